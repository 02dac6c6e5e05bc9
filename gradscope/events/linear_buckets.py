"""From a log-magnitude histogram to the few linear buckets that TensorBoard's Histograms and Distributions tabs want.

Both tabs spread a bucket's count evenly over its width, and Distributions takes a bucket to begin where the one before
it ended. So the rows given here touch each other. Only a tensor of equal entries gives a row of zero width, which both
tabs show as a spike; any width would be shown as a spread.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradscope.histograms import LogHistogram

__all__ = ["linear_buckets"]

_ROWS = 38
_NEAR_ZERO = 1e-6  # of the greatest magnitude: too small to see on a linear axis, wide enough to divide by
_ALL_ZERO = 1e-12


def linear_buckets(histogram: LogHistogram, least: float, greatest: float) -> npt.NDArray[np.float64]:
    """At most 40 rows ``(left, right, count)``, float64, ascending, each beginning where the one before ends.

    The edges are placed where range and entries are both well resolved: a row holds at most about a twentieth of the
    range or of the entries, unless a single log bucket does already. Zeros get a row of their own, narrow around 0.
    A tensor that is narrow beside its distance from 0 is resolved to the quarter octave of its log buckets only.

    Args:
        histogram: of the finite entries.
        least: the least entry, cuts the outermost bucket to what was seen; NaN if unknown.
        greatest: the greatest entry, likewise.

    Returns:
        ``[k, 3]``; ``[0, 3]`` for an empty histogram.
    """
    rows = histogram.ascending()
    if not len(rows):
        return rows
    if least == greatest:
        return np.array([[least, greatest, rows[:, 2].sum()]])
    near_zero = _NEAR_ZERO * max(-rows[0, 0], rows[-1, 1]) or _ALL_ZERO
    rows = _cut_ends(rows, least, greatest, near_zero)
    return _thin(_fill_gaps(_join_near_zero(rows, near_zero)), near_zero)


def _cut_ends(rows: npt.NDArray[np.float64], least: float, greatest: float, thinnest: float) -> npt.NDArray[np.float64]:
    """The same without the empty parts of the outermost buckets, such as that beyond 1 of a saturated sigmoid."""
    (left, first_right, _), (last_left, right, _) = rows[0], rows[-1]
    rows = rows.copy()
    if left < least <= first_right:
        rows[0, 0] = min(least, first_right - thinnest)
    if last_left <= greatest < right:
        rows[-1, 1] = max(greatest, last_left + thinnest)
    return rows


def _join_near_zero(rows: npt.NDArray[np.float64], near_zero: float) -> npt.NDArray[np.float64]:
    """The same with all that lies within ``near_zero`` of 0 in one row of that width."""
    below = rows[rows[:, 0] < -near_zero]
    above = rows[rows[:, 1] > near_zero]
    below[:, 1] = np.minimum(below[:, 1], -near_zero)
    above[:, 0] = np.maximum(above[:, 0], near_zero)
    count = rows[:, 2].sum() - below[:, 2].sum() - above[:, 2].sum()
    middle = [[-near_zero, near_zero, count]] if count else np.zeros((0, 3))
    return np.concatenate([below, middle, above])


def _fill_gaps(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same with an empty row wherever two rows do not touch."""
    gaps = np.flatnonzero(rows[:-1, 1] < rows[1:, 0])
    filled = np.zeros((len(rows) + len(gaps), 3))
    after = np.arange(len(gaps)) + gaps + 1
    is_row = np.ones(len(filled), bool)
    is_row[after] = False
    filled[is_row] = rows
    filled[after, 0], filled[after, 1] = rows[gaps, 1], rows[gaps + 1, 0]
    return filled


def _thin(rows: npt.NDArray[np.float64], near_zero: float) -> npt.NDArray[np.float64]:
    """The same with neighbours joined until few are left; the row around 0 stays by itself."""
    left, right, count = rows.T
    share = (right - left) / (right[-1] - left[0]) + count / count.sum()
    group = np.floor(_ROWS * (np.cumsum(share) - share / 2) / 2)
    around_zero = (left == -near_zero) & (right == near_zero)
    new = (group[1:] != group[:-1]) | around_zero[1:] | around_zero[:-1]
    inner = np.flatnonzero(new)
    joined = np.empty((len(inner) + 1, 3))
    starts = np.concatenate([[0], inner + 1])
    joined[:, 0], joined[:, 2] = left[starts], np.add.reduceat(count, starts)
    joined[:-1, 1], joined[-1, 1] = right[inner], right[-1]
    return joined
