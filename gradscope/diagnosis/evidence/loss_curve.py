"""The loss over the steps as a robust curve: where it came from, how low it got, where it is, how it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.constant_answer import ConstantAnswer
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.run import Run

__all__ = ["LossCurve", "loss_curve"]

FloatArray = npt.NDArray[np.floating]
_FIRST = 5
_GROUPS = 6
_PAIRED = 100  # a line through medians of groups beyond that: pairs grow with the square
_LEAP = 10.0
_STEADY_BATCH = 8  # the loss of fewer examples leaps by chance
_NEAR = 1.3
_MAD = 1.4826
_MEDIAN_ERROR = 1.2533


@dataclass(frozen=True, eq=False)
class LossCurve:
    """The loss at the samples where it is known and finite; levels are NaN where there is none."""

    steps: npt.NDArray[np.int64]
    loss: FloatArray
    """``[samples]``: the mean over the interval since the sample before where Keras keeps it, else of the one batch."""
    start: float
    """Median of the first samples; the very first if the loss leapt up at once."""
    best: float
    """The lowest median of a sixth of the samples."""
    late: float
    """Median over the last third of the steps."""
    start_greatest: float
    """The highest of the first samples; the very first if the loss leapt up at once."""
    late_quartile: float
    """Lower quartile over the last third: single batches of few examples vary a lot."""
    noise: float
    """Robust standard deviation of one late value about the line through the last half of the steps."""
    late_range: tuple[float, float]
    """The lowest and the highest loss over the last third of the steps."""
    trend: float
    """How far that line goes over the last half, in standard errors of it; negative: falling."""
    slope: float
    """How far that line goes over the last half, in units of the loss."""
    constant: float
    """What the best constant answer has at most; NaN if unknown."""

    @property
    def knows_constant(self) -> bool:
        """True where the loss of a constant answer is known."""
        return bool(np.isfinite(self.constant)) and self.constant > 0

    @property
    def is_known(self) -> bool:
        """True where the loss was recorded at three samples or more."""
        return len(self.loss) >= 3

    @property
    def nonnegative(self) -> bool:
        """True where no value was negative, so that zero may be taken for the floor."""
        return bool(len(self.loss)) and bool(self.loss.min() >= 0)

    @property
    def reach(self) -> int:
        """Steps from the first sample to the last."""
        return int(self.steps[-1] - self.steps[0]) if len(self.steps) else 0

    @property
    def level(self) -> float:
        """What the loss is to get below: that of a constant answer where it is known, else the start."""
        return self.constant if self.knows_constant else self.start

    @property
    def remaining(self) -> float:
        """The late loss over `level`: 1 or more where nothing was learnt, about 0 where it is solved; NaN if unknown.

        Unknown too where the loss is negative at times (rewards, critics): it has no floor to measure from then.
        """
        return self.late / self.level if self.nonnegative and self.level > 0 else float("nan")

    @property
    def fallen(self) -> float:
        """Share of the starting loss that is gone; negative where it has risen; NaN if unknown."""
        return 1 - self.late / self.start if self.nonnegative and self.start > 0 else float("nan")

    def is_far(self, least: float) -> bool:
        """True where ``remaining`` is above ``least`` and the loss is not on its way down from far above.

        Near a constant answer's loss it does not matter where it came from: down to there nothing need be learnt.
        """
        near = self.knows_constant and self.remaining < _NEAR
        return self.remaining > least and (near or self.fallen < least)


def loss_curve(run: Run, nonfinite: Nonfinite, constant_answer: ConstantAnswer) -> LossCurve:
    """The curve over the samples before the first that is not finite."""
    usable = finite_window(run, nonfinite).usable
    loss = _series(run)
    known = usable & np.isfinite(loss)
    steps, loss = run.steps[known], loss[known].astype(np.float64)
    if not len(loss):
        nan = float("nan")
        return LossCurve(steps, loss, nan, nan, nan, nan, nan, nan, (nan, nan), nan, nan, constant_answer.loss)
    batch = median(np.asarray(run.step_statistics.get("example_count", np.zeros(0)), np.float64))
    steady = not batch < _STEADY_BATCH
    half = steps >= steps[0] + (steps[-1] - steps[0]) / 2
    late = loss[steps >= steps[-1] - (steps[-1] - steps[0]) / 3]
    slope, noise, trend = _line(steps[half], loss[half])
    return LossCurve(
        steps,
        loss,
        start=_start(loss, median, steady=steady),
        best=min(median(group) for group in np.array_split(loss, min(_GROUPS, len(loss)))),
        late=median(late),
        start_greatest=_start(loss, np.max, steady=steady),
        late_quartile=float(np.quantile(late, 0.25)),
        noise=noise,
        late_range=(float(late.min()), float(late.max())),
        trend=trend,
        slope=slope,
        constant=constant_answer.loss,
    )


def _series(run: Run) -> FloatArray:
    nothing = np.full(len(run.steps), np.nan)
    single = np.asarray(run.step_statistics.get("loss", nothing), dtype=np.float64)
    mean = np.asarray(run.step_statistics.get("interval_loss", nothing), dtype=np.float64)
    return np.where(np.isfinite(mean), mean, single)


def _start(loss: FloatArray, level: Callable[[FloatArray], Any], *, steady: bool) -> float:
    first = loss[: max(1, min(_FIRST, len(loss) // 3))]
    leaps = steady and first.max() > _LEAP * abs(loss[0])
    return float(loss[0]) if leaps else float(level(first))


def _line(steps: npt.NDArray[np.number], loss: FloatArray) -> tuple[float, float, float]:
    """Rise over the range of the median line (Theil & Sen), robust noise about it, and rise over its standard error."""
    if len(loss) < 3:
        return float("nan"), float("nan"), float("nan")
    if len(loss) > _PAIRED:
        steps = np.array([median(group) for group in np.array_split(steps, _PAIRED)])
        loss = np.array([median(group) for group in np.array_split(loss, _PAIRED)])
    x = (steps - steps.mean()) / (steps[-1] - steps[0])
    i, j = np.triu_indices(len(x), 1)
    slope = float(np.median((loss[j] - loss[i]) / (x[j] - x[i])))
    residual = loss - slope * x
    noise = _MAD * float(np.median(np.abs(residual - np.median(residual))))
    error = _MEDIAN_ERROR * noise / float(np.sqrt(np.sum(x**2)))
    return slope, noise, slope / error if error > 0 else float(np.sign(slope) * np.inf) if slope else 0.0
