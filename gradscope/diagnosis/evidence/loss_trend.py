"""How the loss moved: where it came from, where it is, and how that compares with a constant answer's."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.constant_answer import ConstantAnswer
from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.evidence.median_line import median_line
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median, quantile
from gradscope.run import Run

__all__ = ["LossTrend", "loss_trend"]

FloatArray = npt.NDArray[np.floating]
_FIRST = 5
_VERY_FIRST = 3
_LEAP = 10.0
_STEADY_BATCH = 8  # the loss of fewer examples leaps by chance
_FALLEN = 0.1
_FALLING = 0.5
_SOLVED = 0.2
_IN_A_ROW = 5
_FLAT = 0.9
_NEAR = 1.3
_IMPOSSIBLE = 0.01
_FLOAT32_STEP = 2.0**-24
_RESOLVED = 10.0
_EXPONENTIAL = 10.0  # standard errors of the line through the logarithms
_AT_CONSTANT = (0.97, 1.1)


@dataclass(frozen=True, eq=False)
class LossTrend:
    """The loss at the samples where it is known and finite; levels are NaN where there is none."""

    steps: npt.NDArray[np.int64]
    loss: FloatArray
    """``[samples]``: the mean over the interval since the sample before where Keras keeps it, else of the one batch; so
    too where penalties add to it, which are left out."""
    start: float = nan
    """Median of the first samples; the very first if the loss leapt up at once."""
    start_quartile: float = nan
    """Lower quartile there: with batches of one example single losses say little, so a fall is measured from here."""
    start_greatest: float = nan
    """The highest of the first samples; the very first if the loss leapt up at once."""
    late: float = nan
    """Over the last third of the steps: mean of all steps where Keras keeps it, else median of the samples."""
    late_quartile: float = nan
    """Lower quartile of the samples there."""
    best: float = nan
    """The lowest median of five samples in a row."""
    late_range: tuple[float, float] = (nan, nan)
    """The lowest and the highest of the samples there."""
    slope: float = nan
    """How far the median line goes over the last half of the steps, in units of the loss; negative: falling."""
    significance: float = nan
    """The same in standard errors of that line."""
    delay: float = nan
    """Share of the steps that passed before the loss was for good a tenth below its level, three samples in a row; 1
    where it never was."""
    constant: float = nan
    """What the best constant answer has at most; NaN if unknown."""
    floored: bool = False
    """True where the loss function is one that is 0 at best."""
    bounded: bool = True
    """False where penalties or weights of examples add to the loss: it may exceed a constant answer's and yet learn."""

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
        """Steps from the first sample to the last, both counted: 100 where 100 steps were sampled to the end."""
        return int(self.steps[-1] - self.steps[0]) + 1 if len(self.steps) else 0

    @property
    def level(self) -> float:
        """What the loss is to get below: that of a constant answer where it is known, else the start."""
        return self.constant if self.knows_constant else self.start

    @property
    def begins_at(self) -> float:
        """The start over a constant answer's loss: about 1 for a new network; NaN where the latter is unknown."""
        return self.start / self.constant if self.knows_constant else nan

    @property
    def remaining(self) -> float:
        """The late loss over `level`: 1 or more where nothing was learnt, about 0 where it is solved; NaN if unknown.

        Unknown too where the loss is negative at times (rewards, critics): it has no floor to measure from then.
        """
        return self.late / self.level if self.nonnegative and self.level > 0 else nan

    @property
    def ahead(self) -> float:
        """Where the loss would be after as many steps again, at the pace of the last half; at most the late one."""
        return self.late + 2 * min(0.0, self.slope)

    @property
    def late_share(self) -> float:
        """Share of all it fell that the last half of the steps brought; NaN where it did not fall.

        About a half of a straight line, less where it slows down.
        """
        fallen = self.reference - self.late
        return -self.slope / fallen if fallen > 0 else nan

    @property
    def change(self) -> float:
        """The late loss over the start; NaN if unknown or negative at times."""
        return self.late / self.start if self.nonnegative and self.start > 0 else nan

    @property
    def reference(self) -> float:
        """What a fall is measured from: the start, or a constant answer's loss where the start lies above it."""
        return min(self.start_quartile, self.constant)  # the former where the latter is NaN

    @property
    def answers_constantly(self) -> bool:
        """True where the loss is no lower than a constant answer's: whatever it fell from, it uses no input."""
        low, high = _AT_CONSTANT
        return low * self.constant <= self.late <= (inf if self.bounded else high * self.constant)

    @property
    def has_fallen(self) -> bool:
        """True where all late samples lie below all of the first ones, by more than the late ones differ."""
        low, high = self.late_range
        return self.start - high > high - low

    @property
    def fallen(self) -> bool:
        """True where the loss is below a tenth of the reference: the network plainly learns, or has learnt."""
        return self.late < _FALLEN * self.reference and not self.answers_constantly

    @property
    def falling(self) -> bool:
        """True where the loss is below half of the reference."""
        return self.late < _FALLING * self.reference and not self.answers_constantly

    @property
    def relapsed(self) -> bool:
        """True where the loss was below a fifth of the reference, and nearly all late samples are above half of it."""
        solved, back = self.best < _SOLVED * self.reference, self.late_quartile > _FALLING * self.reference
        return self.nonnegative and solved and back

    @property
    def slow(self) -> bool:
        """True where the loss is above half of the reference; where it is not known to have a floor at 0, at rest."""
        floored = self.knows_constant or self.floored
        return (floored and self.late >= _FALLING * self.reference > 0) or self.at_rest

    @property
    def at_rest(self) -> bool:
        """True where the loss is known and stands where it began, or no lower than a constant answer's."""
        return 0 < _FLAT * self.start <= self.late or self.answers_constantly

    @property
    def flat(self) -> bool:
        """True where it is at rest, unknown or not positive."""
        return not 0 <= self.late < _FLAT * self.start or self.answers_constantly

    @property
    def growth(self) -> float:
        """By what the loss is multiplied per step, where it rises exponentially over the last half; else NaN."""
        last = self.steps >= self.steps[0] + self.reach / 2 if self.is_known else self.steps > 0
        if not self.nonnegative or last.sum() < _IN_A_ROW or not (self.loss[last] > 0).all():
            return nan
        rise, significance = median_line(self.steps[last], np.log(self.loss[last]))
        exponential = rise > 1 and significance > _EXPONENTIAL
        return float(np.exp(rise / (self.steps[last][-1] - self.steps[last][0]))) if exponential else nan

    def is_far(self, least: float) -> bool:
        """True where ``remaining`` is above ``least`` and the loss is not on its way down from far above.

        Near a constant answer's loss it does not matter where it came from: down to there nothing need be learnt.
        """
        near = self.knows_constant and self.remaining < _NEAR
        return self.remaining > least and (near or 1 - self.change < least)


def loss_trend(
    run: Run,
    nonfinite: Nonfinite,
    constant_answer: ConstantAnswer,
    fresh_start: bool | None,  # noqa: FBT001
) -> LossTrend:
    """The loss over the samples before the first that is not finite; without penalties, where it is known without."""
    bare = _without_penalties(run)
    series = _series(run) if bare is None else bare
    known = finite_window(run, nonfinite).usable & np.isfinite(series)
    steps, loss = run.steps[known], series[known].astype(np.float64)
    constant, floored = constant_answer.loss, np.isfinite(constant_answer.loss)
    bounded = bare is not None or not constant_answer.exceeded
    if fresh_start and len(loss) and loss[0] < _IMPOSSIBLE * constant:
        constant = nan  # no new network is that good: the loss has a weight
    if not len(loss):
        return LossTrend(steps, loss, constant=constant, bounded=bounded)
    first = loss[: max(1, min(_FIRST, len(loss) // 3))]
    if not example_count(run) < _STEADY_BATCH and first.max() > _LEAP * abs(loss[0]):
        first = first[:1]  # coming down again from a leap is no learning
    half = steps >= steps[0] + (steps[-1] - steps[0]) / 2
    late = steps >= steps[-1] - (steps[-1] - steps[0]) / 3
    slope, significance = median_line(steps[half], loss[half])
    start = max(median(first[:_VERY_FIRST]), median(first))
    return LossTrend(
        steps,
        loss,
        # A quick learner is done within these samples; the very first ones show where it came from.
        start=start,
        start_quartile=max(quantile(part, 0.25) for part in (first[:_VERY_FIRST], first)),
        start_greatest=float(first.max()),
        late=_late(run, steps, loss, late) if bare is None else median(loss[late]),
        late_quartile=quantile(loss[late], 0.25),
        best=min(median(loss[i : i + _IN_A_ROW]) for i in range(max(1, len(loss) - _IN_A_ROW + 1))),
        late_range=(float(loss[late].min()), float(loss[late].max())),
        slope=slope,
        significance=significance,
        delay=_delay(steps, loss < _FLAT * min(start, constant)),
        constant=constant,
        floored=bool(floored),
        bounded=bounded,
    )


def _without_penalties(run: Run) -> FloatArray | None:
    """What the outputs cost, where penalties are all that adds to it and both were recorded."""
    called = run.step_statistics.get("called_loss")
    if called is None or run.settings.get("loss_additions") != ["penalties"]:
        return None
    bare = np.asarray(called, dtype=np.float64)
    return bare if np.nan_to_num(bare).any() else None  # layers add all there is


def _series(run: Run) -> FloatArray:
    nothing = np.full(len(run.steps), nan)
    single = np.asarray(run.step_statistics.get("loss", nothing), dtype=np.float64)
    mean = np.asarray(run.step_statistics.get("interval_loss", nothing), dtype=np.float64)
    return np.where(np.isfinite(mean) & ~_is_rounded_away(mean, single, run.steps), mean, single)


def _is_rounded_away(mean: FloatArray, single: FloatArray, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where the mean says nothing: it is a difference of float32 sums, and one huge loss drowns those after it."""
    length = np.diff(steps, prepend=steps[:1] - 1)
    summed = np.abs(np.nan_to_num(mean, posinf=0.0, neginf=0.0)) * length
    before = np.cumsum(summed) - summed
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(summed, np.abs(single) * length) < _RESOLVED * _FLOAT32_STEP * before)


def _delay(steps: npt.NDArray[np.int64], below: npt.NDArray[np.bool_]) -> float:
    """Share of the steps before the first of three samples in a row."""
    rows = np.flatnonzero(below[:-2] & below[1:-1] & below[2:])
    return float((steps[rows[0]] - steps[0]) / (steps[-1] - steps[0])) if len(rows) else 1.0


def _late(run: Run, steps: npt.NDArray[np.int64], loss: FloatArray, late: npt.NDArray[np.bool_]) -> float:
    if "interval_loss" not in run.step_statistics:
        return median(loss[late])
    length = np.diff(steps, prepend=steps[:1] - 1)
    return float(np.average(loss[late], weights=length[late]))
