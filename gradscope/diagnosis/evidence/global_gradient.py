"""The gradient norm of the whole network over time, against its own past."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

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
    past: list[float] = []  # ascending, so that its middle is the median
    early = norm[window.early & np.isfinite(norm)]
    # In a run that diverges at once the early samples are already the explosion: the first three are the measure then.
    start = float(np.max(early[:_PAST])) / 10 if len(early) else float("nan")
    for sample in np.flatnonzero(window.usable & np.isfinite(norm)):
        if len(past) >= _PAST:
            baseline = max(past[len(past) // 2], start)
            growth[sample] = norm[sample] / baseline if baseline > 0 else np.nan
        insort(past, float(norm[sample]))
    return GlobalGradient(norm, growth, np.where(np.isfinite(clipped), clipped, norm))


def _norm(run: Run, statistic: str, kind: str) -> FloatArray:
    recorded = run.step_statistics.get(statistic)
    if recorded is not None and np.isfinite(recorded).any():
        return np.asarray(recorded, dtype=np.float64)
    norms = [run.series(kind, name, "norm").astype(np.float64) for name in run.names(kind)]
    if not norms:
        return np.full(len(run.steps), np.nan)
    return np.asarray(np.sqrt(np.sum(np.square(norms), axis=0)))
