"""The gradient norm of the whole network over time, against its own past."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.window import Window
from gradscope.run import Run

__all__ = ["GlobalGradient", "global_gradient"]

FloatArray = npt.NDArray[np.floating]
_PAST = 3


@dataclass(frozen=True, eq=False)
class GlobalGradient:
    """Series of shape ``[steps]``, NaN where unknown."""

    norm: FloatArray
    growth: FloatArray
    """The norm over the median of all earlier ones (at least 3), and at most over a tenth of the early maximum.

    So neither the fall from a high start nor noise about a converged, almost zero gradient counts as growth.
    """
    clipped_norm: FloatArray
    """After clipping; equal to ``norm`` where nothing is clipped."""


def global_gradient(run: Run, window: Window) -> GlobalGradient:
    """The global gradient norm, from the step statistics or else from the recorded gradients."""
    norm = _norm(run, "global_gradient_norm", "gradient")
    clipped = _norm(run, "global_clipped_gradient_norm", "clipped_gradient")
    growth = np.full(len(norm), np.nan)
    past = _Past()
    early = norm[window.early & np.isfinite(norm)]
    # In a run that diverges at once the early samples are already the explosion: the first three are the measure then.
    start = float(np.max(early[:_PAST])) / 10 if len(early) else float("nan")
    known = np.flatnonzero(window.usable & np.isfinite(norm))
    for sample, number in zip(known.tolist(), norm[known].tolist(), strict=True):
        if len(past) >= _PAST:
            baseline = max(past.median, start)
            growth[sample] = number / baseline if baseline > 0 else np.nan
        past.add(number)
    return GlobalGradient(norm, growth, np.where(np.isfinite(clipped), clipped, norm))


class _Past:
    """Numbers seen so far, and the upper one of their medians, at a cost that does not grow with their number."""

    def __init__(self) -> None:
        self._lower: list[float] = []  # negated, so that the greatest comes first
        self._upper: list[float] = []

    def __len__(self) -> int:
        return len(self._lower) + len(self._upper)

    @property
    def median(self) -> float:
        return self._upper[0]

    def add(self, number: float) -> None:
        heappush(self._lower, -number)
        heappush(self._upper, -heappop(self._lower))
        if len(self._upper) > len(self._lower) + 1:
            heappush(self._lower, -heappop(self._upper))


def _norm(run: Run, statistic: str, kind: str) -> FloatArray:
    recorded = run.step_statistics.get(statistic)
    if recorded is not None and np.isfinite(recorded).any():
        return np.asarray(recorded, dtype=np.float64)
    norms = [run.series(kind, name, "norm").astype(np.float64) for name in run.names(kind)]
    if not norms:
        return np.full(len(run.steps), np.nan)
    return np.asarray(np.sqrt(np.sum(np.square(norms), axis=0)))
