"""From the buckets that other tools write to a log-magnitude histogram."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradscope.histograms import BUCKETS, ZERO_BUCKET, bucket_edges

__all__ = ["log_buckets"]

_MAGNITUDES = bucket_edges()
_EDGES = np.concatenate([-_MAGNITUDES[:0:-1], _MAGNITUDES])
_FINITE = len(_MAGNITUDES) - 1
_CODES = np.concatenate([1024 + np.arange(_FINITE)[::-1], np.arange(_FINITE)])
_LARGEST = float(np.finfo(np.float32).max)
_LARGEST_COUNT = 2.0**53


def log_buckets(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Counts in the buckets of `gradscope.histograms`, shape ``[2048]``.

    The entries of a row are taken to lie evenly in it, so numbers much smaller than a row is wide are not resolved. A
    row of zero width is one number; at 0 it counts as exact zeros. The total stays, to the nearest whole number.

    Args:
        rows: (left, right, count), shape ``[k, 3]``, ascending and not overlapping; what is not finite or has no count
            is left out.
    """
    rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2] > 0) & (rows[:, 0] <= rows[:, 1])]
    # What float32 cannot hold, and counts that are no whole numbers in float64 any more, come from damage.
    rows = np.column_stack([np.clip(rows[:, :2], -_LARGEST, _LARGEST), np.minimum(rows[:, 2], _LARGEST_COUNT)])
    result = np.zeros(BUCKETS, np.int64)
    points = rows[rows[:, 0] == rows[:, 1]]
    np.add.at(result, _codes(points[:, 0]), np.rint(points[:, 2]).astype(np.int64))
    wide = rows[rows[:, 0] < rows[:, 1]]
    if len(wide):
        behind = np.cumsum(wide[:, 2])
        below = np.interp(_EDGES, wide[:, :2].ravel(), np.stack([behind - wide[:, 2], behind], axis=1).ravel())
        result[_CODES] += np.diff(np.rint(below)).astype(np.int64)
    return result


def _codes(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The bucket of each number."""
    small = np.clip(numbers, -_LARGEST, _LARGEST).astype(np.float32)
    return np.where(small == 0, ZERO_BUCKET, (small.view(np.uint32) >> 21).astype(np.int64))
