"""Log-magnitude histograms: fixed buckets of a quarter octave, so that they merge across steps, replicas and runs.

A bucket is the top 11 bits of a float32: the sign, the 8 bits of the exponent and the first 2 of the mantissa. Bucket
``b < 1020`` holds the values in ``[edge[b], edge[b + 1])``; bucket ``1024 + b`` their negatives. Zeros of both signs
are counted in `ZERO_BUCKET`, a code that no finite number has. NaN and infinities are never in a histogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BUCKETS", "ZERO_BUCKET", "LogHistogram", "bucket_edges", "quantiles"]

BUCKETS = 2048
"""Number of buckets of a packed histogram, both signs."""

ZERO_BUCKET = 1023
"""Where exact zeros are counted: a code that no finite number has."""

_FINITE = 1020  # buckets per sign that hold finite numbers: exponents 0..254, four buckets each


def _magnitude_edges() -> npt.NDArray[np.float64]:
    bits = (np.arange(_FINITE, dtype=np.uint32) << 21).view(np.float32)
    return np.append(bits.astype(np.float64), 2.0**128)


_EDGES = _magnitude_edges()
# Buckets in ascending order of value: negatives from the largest magnitude down, zero, positives up.
_ASCENDING = np.concatenate([np.arange(1024 + _FINITE - 1, 1023, -1), [ZERO_BUCKET], np.arange(_FINITE)])
_LEFT = np.concatenate([-_EDGES[_FINITE:0:-1], [0.0], _EDGES[:-1]])
_RIGHT = np.concatenate([-_EDGES[_FINITE - 1 :: -1], [0.0], _EDGES[1:]])


def bucket_edges() -> npt.NDArray[np.float64]:
    """The 1021 edges of the positive buckets: ``edges[b]`` to ``edges[b + 1]`` is bucket ``b``; the first is 0."""
    return _EDGES.copy()


@dataclass(frozen=True)
class LogHistogram:
    """Counts of one tensor's finite entries.

    ``counts`` has shape ``[2048]`` (`BUCKETS`), in bucket order, zeros at `ZERO_BUCKET`.
    """

    counts: npt.NDArray[np.int64]

    @property
    def zero_count(self) -> int:
        """Number of entries that are exactly zero."""
        return int(self.counts[ZERO_BUCKET])

    def ascending(self) -> npt.NDArray[np.float64]:
        """The non-empty buckets in ascending order of value as rows ``(left, right, count)``, shape ``[k, 3]``.

        The zeros are a row ``(0, 0, count)``. An empty histogram gives shape ``[0, 3]``.
        """
        counts = self.counts[_ASCENDING]
        used = np.flatnonzero(counts > 0)
        rows = np.empty((len(used), 3))
        rows[:, 0], rows[:, 1], rows[:, 2] = _LEFT[used], _RIGHT[used], counts[used]
        return rows

    def quantiles(self, q: Sequence[float]) -> npt.NDArray[np.float64]:
        """Quantiles of the entries, each within one bucket of the true one; NaN if the histogram is empty."""
        return quantiles(self.counts[None, :], q).reshape(-1)


def quantiles(counts: npt.NDArray[np.integer], q: Sequence[float]) -> npt.NDArray[np.float64]:
    """Quantiles from packed histograms.

    Args:
        counts: ``[tensors, 2048]``, in bucket order, zeros at `ZERO_BUCKET`.
        q: probabilities in [0, 1].

    Returns:
        ``[tensors, len(q)]``: for each probability a value of the bucket that holds the entry of rank ``q (n - 1)``,
        placed linearly between its edges. Rows without entries are NaN.
    """
    used = np.flatnonzero(np.any(counts, axis=0)[_ASCENDING])
    result = np.full((len(counts), len(q)), np.nan)
    if not len(used):
        return result
    ordered = counts[:, _ASCENDING[used]].astype(np.float64)
    cumulative = np.cumsum(ordered, axis=1)
    rows = np.flatnonzero(cumulative[:, -1] > 0)
    if len(rows) < len(counts):
        ordered, cumulative = ordered[rows], cumulative[rows]
    rank = np.asarray(q, dtype=np.float64) * (cumulative[:, -1:] - 1)
    # The bucket of the entry of that rank is the first whose cumulative count exceeds it.
    bucket = np.stack([(cumulative > one[:, None]).argmax(axis=1) for one in rank.T], axis=1)
    count = np.take_along_axis(ordered, bucket, axis=1)
    before = np.take_along_axis(cumulative, bucket, axis=1) - count
    left, right = _LEFT[used][bucket], _RIGHT[used][bucket]
    result[rows] = left + np.clip((rank - before + 0.5) / count, 0.0, 1.0) * (right - left)
    return result
