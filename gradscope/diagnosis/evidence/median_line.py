"""A line through noisy values that single outliers do not move."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.window import median

__all__ = ["median_line"]

_PAIRED = 100  # medians of groups beyond that: pairs grow with the square
_MAD = 1.4826  # of a Gaussian's standard deviation
_MEDIAN_ERROR = 1.2533  # of a median beside a mean, Gaussian noise


def median_line(steps: npt.NDArray[np.number], values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Rise of the median line (Theil & Sen) over the range of steps, and that rise in standard errors of it.

    NaN for fewer than three values; an infinite second figure for a line without noise.
    """
    if len(values) < 3:
        return nan, nan
    if len(values) > _PAIRED:
        steps = np.array([median(group) for group in np.array_split(steps, _PAIRED)])
        values = np.array([median(group) for group in np.array_split(values, _PAIRED)])
    x = (steps - steps.mean()) / (steps[-1] - steps[0])
    i, j = np.triu_indices(len(x), 1)
    slope = median((values[j] - values[i]) / (x[j] - x[i]))
    residual = values - slope * x
    noise = _MAD * median(np.abs(residual - median(residual)))
    error = _MEDIAN_ERROR * noise / float(np.sqrt(np.sum(x**2)))
    return slope, slope / error if error > 0 else float(np.sign(slope)) * inf if slope else 0.0
