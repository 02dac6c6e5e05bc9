"""How far the loss fell, from its start and below what a constant answer reaches."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.constant_answer import ConstantAnswer
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import Window, finite_window, median
from gradscope.run import Run

__all__ = ["LossTrend", "loss_trend"]

_FIRST = 3
_FALLEN = 0.1
_FALLING = 0.5
_FLAT = 0.9
_LEAP = 1e3
_FAR_ABOVE = 3.0
_AT_CONSTANT = (0.97, 1.1)


@dataclass(frozen=True)
class LossTrend:
    """The loss at the start and lately; NaN where it was not recorded."""

    early: float
    """Median over the early samples."""
    early_quartile: float
    """Lower quartile there: with batches of one example single losses say little, so a fall is measured from here."""
    late: float
    """Mean over all late steps where Keras kept it, else the median over the late samples."""
    constant: float = nan
    """What the best constant answer has at most; NaN if unknown."""

    @property
    def at_constant_answer(self) -> bool:
        """True where the loss is what a constant answer has: whatever it fell from, nothing of the input is used."""
        low, high = _AT_CONSTANT
        return low * self.constant <= self.late <= high * self.constant

    @property
    def reference(self) -> float:
        """What a fall is measured from: the start, or a constant answer's loss where the start lies far above it."""
        far = self.early_quartile > _FAR_ABOVE * self.constant
        return self.constant if far else self.early_quartile

    @property
    def fallen(self) -> bool:
        """True where the loss is below a tenth of the reference: the network plainly learns, or has learnt."""
        return self.late < _FALLEN * self.reference and not self.at_constant_answer

    @property
    def falling(self) -> bool:
        """True where the loss is below half of the reference."""
        return self.late < _FALLING * self.reference and not self.at_constant_answer

    @property
    def at_rest(self) -> bool:
        """True where the loss is known and stands where it began, or where a constant answer stands."""
        return 0 < _FLAT * self.early <= self.late or self.at_constant_answer

    @property
    def flat(self) -> bool:
        """True where the loss is at 90 % of its start or above, at a constant answer's, unknown or not positive."""
        return not 0 <= self.late < _FLAT * self.early or self.at_constant_answer


def loss_trend(run: Run, nonfinite: Nonfinite, constant_answer: ConstantAnswer) -> LossTrend:
    """The loss over the early and the late samples before the first that is not finite."""
    window = finite_window(run, nonfinite)
    loss = np.asarray(run.step_statistics.get("loss", np.full(len(run.steps), np.nan)), np.float64)
    late = _late(run, window, loss)
    early = loss[window.early & np.isfinite(loss)]
    if not len(early):
        return LossTrend(nan, nan, late, constant_answer.loss)
    if early.max() > _LEAP * early[0]:
        # The loss leapt up at once: coming down again is no learning.
        return LossTrend(float(early[0]), float(early[0]), late, constant_answer.loss)
    # A quick learner is done within the early samples; the very first ones show where it came from.
    first = early[:_FIRST]
    quartile = max(float(np.quantile(first, 0.25)), float(np.quantile(early, 0.25)))
    return LossTrend(max(median(first), median(early)), quartile, late, constant_answer.loss)


def _late(run: Run, window: Window, loss: npt.NDArray[np.float64]) -> float:
    interval = run.step_statistics.get("interval_loss")
    if interval is None:
        return median(loss[window.late])
    length = np.diff(run.steps, prepend=run.steps[:1] - 1)
    known = window.late & np.isfinite(interval)
    return float(np.average(interval[known], weights=length[known])) if known.any() else median(loss[window.late])
