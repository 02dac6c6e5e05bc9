"""What is left of the gradient after clipping, by the optimizer or before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.global_gradient import GlobalGradient
from gradscope.diagnosis.evidence.window import Window, median
from gradscope.run import Run

__all__ = ["Clipping", "clipping"]

FloatArray = npt.NDArray[np.floating]
_EQUAL = 1e-4
_MANY = 8


@dataclass(frozen=True, eq=False)
class Clipping:
    """Over the usable samples with a gradient other than zero, ``[samples]``."""

    steps: npt.NDArray[np.int64]
    kept: FloatArray
    """Global norm after clipping over that before; 1 where nothing was clipped."""
    norm: FloatArray
    """Global norm before clipping."""
    held_at: float
    """The likely limit of a clipping that the optimizer does not know of: the median of the global norm; or of the
    greatest norm, or the greatest entry, of single gradients."""
    filled: float
    """How near to its greatest entry the gradients' entries are: rms over greatest, median over gradients and samples;
    1 where all have one size, about 0.2 where nothing is clipped."""
    held_fraction: float
    """Share of the samples at which that norm, or those of half of the gradients, are at this limit to a
    ten-thousandth: about 0 where nothing is clipped, since no two batches have the same gradient."""


def clipping(run: Run, global_gradient: GlobalGradient, window: Window) -> Clipping:
    """From the gradient norms before and after clipping; nothing clipped where only one was recorded."""
    norm, clipped = global_gradient.norm, global_gradient.clipped_norm
    known = window.usable & np.isfinite(norm) & np.isfinite(clipped) & (norm > 0)
    held = max((_held(series) for series in _norms(run, norm, known)), key=lambda each: each[1])
    limit, fraction = held
    return Clipping(
        window.steps[known], clipped[known] / norm[known], norm[known], limit, _filled(run, known), fraction
    )


def _filled(run: Run, known: npt.NDArray[np.bool_]) -> float:
    shares = []
    for name in run.names("gradient"):
        low, high, rms = (run.series("gradient", name, each)[known] for each in ("min", "max", "rms"))
        with np.errstate(divide="ignore", invalid="ignore"):
            shares.append(rms / np.maximum(np.abs(low), np.abs(high)))
    return median(np.concatenate(shares)) if shares else nan


def _norms(run: Run, norm: FloatArray, known: npt.NDArray[np.bool_]) -> Iterator[FloatArray]:
    """The global norm, the norms and the greatest entries of the gradients, each ``[gradients, samples]``."""
    yield norm[None, known]
    names = run.names("gradient")
    for statistics in (("norm",), ("min", "max")):
        series = [[np.abs(run.series("gradient", name, each)) for each in statistics] for name in names]
        yield np.reshape(series, (len(names), len(statistics), len(run.steps))).max(axis=1)[:, known]


def _held(series: FloatArray) -> tuple[float, float]:
    """The limit that the series are at, and the share of samples at which half of them are."""
    if series.shape[0] < 1 or series.shape[1] < _MANY:
        return nan, 0.0
    limit = max(median(one) for one in series)
    if not limit > 0:
        return nan, 0.0
    at_limit = np.abs(series - limit) < _EQUAL * limit
    return limit, float(np.mean(2 * at_limit.sum(axis=0) >= len(series)))
