"""A loss that is divided once more than its loss functions divide it, and steps that are shorter by as much."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import CalledLoss, LossTrend, Travel
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.travel import farthest
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.short_steps.unlearnt import Unlearnt
from gradscope.diagnosis.verdict import Finding, Measurement
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = ["DividedLoss"]

_PROPORTIONAL = ("SGD", "")
"""Optimizers whose steps are proportional to the gradient; the others' are not shorter for a smaller loss."""


@dataclass(frozen=True)
class DividedLoss(Unlearnt):
    """A fraction of the loss is differentiated, by an optimizer whose steps are proportional to the gradient."""

    min_loss_weight: float = limit(
        0.2, "1", "of what the called loss functions give: less is a division by the batch, the replicas or the batches"
    )
    max_divided_distance: float = limit(
        0.5, "1", "of a kernel's norm over the run, there: healthy networks go 0.3 to 40"
    )

    def _divided_loss(
        self, run: Run, trend: LossTrend, travel: tuple[Travel, ...], called_loss: CalledLoss
    ) -> tuple[Finding, ...]:
        divided = called_loss.whole and called_loss.weight < self.min_loss_weight
        near = farthest(travel) < self.max_divided_distance
        long = trend.is_known and trend.reach >= self.error_steps and trend.is_far(self.min_remaining_loss)
        if not (divided and near and long and optimizer_settings(run).name in _PROPORTIONAL):
            return ()
        found = self._unlearnt(
            run,
            trend,
            variant="divided-loss",
            why=f"{number(called_loss.weight)} of what the loss functions give is differentiated, so the steps are as "
            "much shorter",
            measured=Measurement("loss over the losses called", called_loss.weight, self.min_loss_weight, "1", "", "1"),
            change=remedies.divide_once(called_loss.weight),
        )
        return (found,)
