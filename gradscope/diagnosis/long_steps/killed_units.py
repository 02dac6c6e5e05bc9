"""Steps a little shorter than those that overshoot, by which units died that had lived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradscope.diagnosis.evidence import LossTrend, OptimizerGroup
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.long_steps.large_steps import LargeSteps
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Finding
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = ["KilledUnits"]


@dataclass(frozen=True)
class KilledUnits(LargeSteps):
    """Units that died while the weights grew, by the first steps or with what the network had begun to learn."""

    max_killing_step: float = limit(
        0.05,
        "1",
        "of a kernel's norm where units that lived at first have died and what was learnt is lost: fifty times usual",
    )
    min_sudden_growth: float = limit(
        2.0,
        "1",
        "times the first size, of the weights, where nothing was learnt before, after steps as where the loss leapt",
    )
    min_died: float = limit(0.35, "1", "of the units of a layer, there")
    max_learnt: float = limit(0.9, "1", "of the late loss, the lowest level before, there: it had learnt something")

    def _killed_units(self, run: Run, groups: tuple[OptimizerGroup, ...], trend: LossTrend) -> tuple[Finding, ...]:
        killing = [
            group
            for group in groups
            if group.largest_step > self.max_killing_step and group.growth > self.min_killing_growth
        ]
        at_once = all(
            group.largest_step > self.max_leaping_step and group.growth > self.min_sudden_growth for group in killing
        )
        died = self._died(run) if killing and self._is_lost(trend, at_once=at_once) else ""
        return tuple(
            self._large_steps(run, group, self.max_killing_step, died, grave=True) for group in killing if died
        )

    def _is_lost(self, trend: LossTrend, *, at_once: bool) -> bool:
        """Whether what the network had begun to learn is gone, or the first steps left it nothing to learn with."""
        learnt = trend.best < self.max_learnt * trend.late
        return trend.slow and (learnt or (at_once and trend.at_rest))

    def _died(self, run: Run) -> str:
        """How many units of the first layer of which many died; empty if there is none."""
        for name in run.names("activation"):
            dead = run.series("activation", name, "dead_unit_fraction")
            dead = dead[np.isfinite(dead)].astype(np.float64)
            if len(dead) >= self.min_samples and (share := median(dead[-len(dead) // 3 :])) - dead[0] > self.min_died:
                return f"{number(100 * share)} % of the units of {name} died"
        return ""
