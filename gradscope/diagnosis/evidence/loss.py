"""How far the loss fell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.run import Run

__all__ = ["LossTrend", "loss_trend"]

_FIRST = 3
_FALLEN = 0.1
_FALLING = 0.5
_FLAT = 0.9
_LEAP = 1e3


@dataclass(frozen=True)
class LossTrend:
    """The loss at the start and lately; NaN where it was not recorded."""

    early: float
    """Median over the early samples."""
    early_quartile: float
    """Lower quartile there: with batches of one example single losses say little, so a fall is measured from here."""
    late: float

    @property
    def fallen(self) -> bool:
        """True where the loss is below a tenth of its start: the network plainly learns, or has learnt."""
        return self.late < _FALLEN * self.early_quartile

    @property
    def falling(self) -> bool:
        """True where the loss is below half of its start."""
        return self.late < _FALLING * self.early_quartile

    @property
    def flat(self) -> bool:
        """True where the loss is at 90 % of its start or above, or unknown, or was not positive."""
        return not 0 <= self.late < _FLAT * self.early


def loss_trend(run: Run, nonfinite: Nonfinite) -> LossTrend:
    """The loss over the early and the late samples before the first that is not finite."""
    window = finite_window(run, nonfinite)
    loss = np.asarray(run.step_statistics.get("loss", np.full(len(run.steps), np.nan)))
    late = median(loss[window.late])
    early = loss[window.early & np.isfinite(loss)]
    if not len(early):
        return LossTrend(float("nan"), float("nan"), late)
    if early.max() > _LEAP * early[0]:
        # The loss leapt up at once: coming down again is no learning.
        return LossTrend(float(early[0]), float(early[0]), late)
    # A quick learner is done within the early samples; the very first ones show where it came from.
    first = early[:_FIRST]
    quartile = max(float(np.quantile(first, 0.25)), float(np.quantile(early, 0.25)))
    return LossTrend(max(median(first), median(early)), quartile, late)
