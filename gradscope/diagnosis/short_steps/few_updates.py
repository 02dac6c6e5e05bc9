"""Gradients that are accumulated over so many batches that a long run makes but a few updates of them."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossTrend
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.short_steps.unlearnt import Unlearnt
from gradscope.diagnosis.verdict import Finding, Measurement
from gradscope.run import Run

__all__ = ["FewUpdates"]


@dataclass(frozen=True)
class FewUpdates(Unlearnt):
    """Too few updates by accumulation."""

    min_updates: float = limit(50, "updates", "where gradients are accumulated: no learning is to be expected of fewer")

    def _few_updates(self, run: Run, trend: LossTrend) -> tuple[Finding, ...]:
        batches = optimizer_settings(run).accumulated
        long = batches > 1 and trend.is_known and trend.reach >= self.error_steps
        updates = trend.reach / batches if long else 0.0
        if not (1 <= updates < self.min_updates and trend.is_far(self.min_remaining_loss)):
            return ()
        found = self._unlearnt(
            run,
            trend,
            variant="few-updates",
            title="too few updates",
            why=f"gradients are accumulated over {batches} batches: {trend.reach:,} steps make {updates:.0f} updates",
            measured=Measurement("updates of the run", updates, self.min_updates, "updates", "", "hundreds"),
            change=remedies.accumulate_less(trend.reach),
        )
        return (found,)
