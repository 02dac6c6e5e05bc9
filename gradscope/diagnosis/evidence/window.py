"""Which sampled steps count as early and late, and robust levels of a series over them.

Sampling is often dense at first and sparse later, single steps are noisy (batches of one example) and a gradient may be
exactly zero by chance, so a level is always a median over many samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.rule import NotJudged
from gradscope.diagnosis.verdict import Severity
from gradscope.run import Run

__all__ = ["Window", "finite_window", "largest", "median", "quantile", "window"]

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

_EARLY_SAMPLES = 10
_EARLY_SHARE = 0.02
_LATE_SHARE = 1 / 3
_FEW = 3
_MANY = 9  # samples
_LONG = 100  # steps
_LASTING = 0.8
_YOUNG = 20  # steps


@dataclass(frozen=True, eq=False)
class Window:
    """Masks over the sampled steps, each bool ``[steps]``."""

    steps: npt.NDArray[np.int64]
    usable: BoolArray
    """Samples before the first that is not finite, without steps that loss scaling left out."""
    early: BoolArray
    """The first third of the samples but at most ten, and all within the first 2 % of the steps."""
    late: BoolArray
    """The last third of the range of steps, and at least three samples where there are nine over a hundred steps."""
    cut: int | None
    """The first step with values that are not finite, or None."""

    @property
    def brief(self) -> bool:
        """True where fewer than 3 samples are late: only what every sample shows counts."""
        return int(self.late.sum()) < _FEW

    @property
    def young(self) -> bool:
        """True in the first 20 steps, in which much passes that is as it should be; false where values broke since."""
        known = self.steps[self.usable]
        return self.cut is None and bool(known[-1] - known[0] < _YOUNG)

    def early_level(self, series: FloatArray) -> float:
        """Median over the early samples; NaN if none was recorded."""
        return median(series[self.early])

    def over_first(self, series: FloatArray) -> float:
        """The late level over the first usable sample; NaN where either is unknown, or that one not above zero."""
        first = series[self.usable & np.isfinite(series)][:1]
        return median(series[self.late]) / float(first[0]) if len(first) and first[0] > 0 else float("nan")

    def upper(self, series: FloatArray) -> float:
        """What the series lately stays below: the late median, in a brief run the maximum; NaN if not recorded."""
        known = _finite(series[self.usable])
        return float(known.max()) if self.brief and len(known) else median(series[self.late])

    def lower(self, series: FloatArray) -> float:
        """What the series lately stays above: the late median, in a brief run the minimum; NaN if not recorded."""
        known = _finite(series[self.usable])
        return float(known.min()) if self.brief and len(known) else median(series[self.late])

    def span(self, ill: BoolArray, *, lasting: bool = True) -> tuple[int, int]:
        """First and last step of an illness seen at the samples ``ill``.

        The first step of a lasting one is that from which on at least 80 % of the usable samples are ill; of one that
        passed, or that never reaches 80 %, it is the first ill one.
        """
        ill, steps = ill[self.usable], self.steps[self.usable]
        if not ill.any():
            return int(steps[0]), int(steps[-1])
        share = np.cumsum(ill[::-1])[::-1] / np.arange(len(ill), 0, -1)
        settled = ill & (share >= _LASTING)
        first = int(np.argmax(settled if lasting and settled.any() else ill))
        return int(steps[first]), int(steps[np.flatnonzero(ill)[-1]])

    def cap(self, severity: Severity, *, extreme: bool = False) -> Severity:
        """The severity, but at most a warning where the run is too young for the evidence.

        One sample shows no course; a young or brief run shows one where the values are extreme.
        """
        doubtful = self.usable.sum() == 1 or ((self.brief or self.young) and not extreme)
        return min(severity, Severity.WARNING) if doubtful else severity


def median(values: FloatArray) -> float:
    """Median of the finite values; NaN if there is none."""
    finite = _finite(values)
    if not len(finite):
        return float("nan")
    # np.median imports numpy.ma on its first call, which takes 10 ms.
    lower, upper = (len(finite) - 1) // 2, len(finite) // 2
    ordered = np.partition(finite, (lower, upper) if lower < upper else upper)
    return float((ordered[lower] + ordered[upper]) / 2)


def largest(values: Iterable[float]) -> float:
    """The largest of the finite values; NaN if there is none."""
    return max((value for value in values if np.isfinite(value)), default=float("nan"))


def over_steps(steps: npt.NDArray[np.integer], values: FloatArray) -> float:
    """The sum of a sampled quantity over all steps from the first sample to the last, each of which counts half.

    Between samples it is taken for a straight line; 0 for fewer than two.
    """
    return float(np.sum(np.diff(steps) * (values[1:] + values[:-1]) / 2))


def quantile(values: FloatArray, share: float) -> float:
    """The value that ``share`` of the values lie below, between two of them interpolated; at least one value."""
    # np.quantile imports numpy.ma on its first call, like np.median.
    return float(np.interp(share, np.linspace(0.0, 1.0, len(values)), np.sort(values)))


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]


def window(run: Run, nonfinite: Nonfinite) -> Window:
    """The early and late samples of what is finite.

    Raises:
        NotJudged: no sample comes before the first that is not finite, or none is usable.
    """
    masks = finite_window(run, nonfinite)
    if masks.usable.any():
        return masks
    if masks.cut is not None:
        raise NotJudged(
            f"needs nonfinite-values clear first: no sampled step lies before step {masks.cut}, "
            "where values stop being finite"
        )
    raise NotJudged("no sampled step is usable: loss scaling left out every one; record more steps")


def finite_window(run: Run, nonfinite: Nonfinite) -> Window:
    """The same however few samples are finite; with none at all every mask is false."""
    cut = nonfinite.first_broken
    usable = ~nonfinite.skipped & (np.arange(len(run.steps)) < (len(run.steps) if cut is None else cut))
    broken_at = None if cut is None else int(run.steps[cut])
    if not usable.any():
        return Window(run.steps, usable, usable, usable, broken_at)
    count = int(usable.sum())
    steps = run.steps[usable]
    order = np.cumsum(usable) - 1
    reach = steps[-1] - steps[0]
    first_few = order < max(1, min(_EARLY_SAMPLES, count // 3))
    early = usable & (first_few | (run.steps <= steps[0] + _EARLY_SHARE * reach))
    late = usable & (run.steps >= steps[-1] - _LATE_SHARE * reach)
    if count >= _MANY and reach >= _LONG:
        late |= usable & (order >= count - _FEW)
    return Window(run.steps, usable, early, late, broken_at)
