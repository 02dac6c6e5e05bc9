"""Statistics out of the histograms that other tools write: exact where the file says so, estimated from buckets else.

TensorFlow 2 writes 30 buckets of equal width from the least entry to the greatest: count and extremes are exact, and
mean, rms and standard deviation are those of entries spread evenly over each bucket. No entry is misplaced by more than
a bucket's width, so neither are the three: they are off by at most a thirtieth of the range. TensorFlow 1 and PyTorch
write number, sum, sum of squares and extremes beside the buckets: all is exact, but for the share of zeros, in which
entries below 1e-12 count as zero. Norms follow from rms and count.
"""

from __future__ import annotations

import struct
from math import isfinite, isnan, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.events.wire import BYTES, FIXED64, WireError, fields, varint

__all__ = ["COLUMNS", "of_proto", "of_rows"]

COLUMNS = ("count", "mean", "std", "rms", "min", "max", "zero_fraction", "nan_count", "inf_count")
"""The statistics, in the order of the columns that both functions give."""

_TINY = 1.1e-12  # the bucket that TensorFlow 1 and PyTorch count zeros in ends at 1e-12
_DOUBLE = struct.Struct("<d")
_HEAD = struct.Struct("<BdBdBdBdBd")
_HEAD_KEYS = tuple(number << 3 | FIXED64 for number in range(1, 6))
_LIMITS, _COUNTS = 6, 7
_NONE = (float("nan"),) * 6


def of_rows(histograms: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Statistics of histograms given as rows (left, right, count), shape ``[n, k, 3]``; the result is ``[n, 9]``.

    TensorFlow turns all edges into NaN as soon as one entry is NaN, and the outer ones into infinities; such a
    histogram has only a count and a ``nan_count`` or ``inf_count`` of 1, which means "at least one". Without entries
    the count is 0 and the rest NaN; all is NaN where counts are negative or not finite.
    """
    left, right, counts = np.ascontiguousarray(histograms.transpose(2, 0, 1), np.float64)
    total = counts.sum(axis=1)
    least, greatest = left[:, 0], right[:, -1]
    with np.errstate(all="ignore"):
        both = left + right
        mean = np.einsum("ij,ij->i", counts, both) / (2 * total)
        # The mean of x^2 over a bucket is (l^2 + lr + r^2) / 3.
        thrice = np.einsum("ij,ij,ij->i", counts, both, both) - np.einsum("ij,ij,ij->i", counts, left, right)
        square = np.maximum(thrice, 0) / (3 * total)
        std = np.sqrt(np.maximum(square - mean * mean, 0))
    nan = np.isnan(least) | np.isnan(greatest)
    inf = ~nan & ~(np.isfinite(least) & np.isfinite(greatest))
    # Some zeros cannot be told from numbers that share their bucket.
    zeros = np.where((least == 0) & (greatest == 0), 1.0, np.where((least > 0) | (greatest < 0), 0.0, np.nan))
    result = np.stack([total, mean, std, np.sqrt(square), least, greatest, zeros, nan, inf], axis=1)
    result[nan | inf | (total <= 0), 1:7] = np.nan
    result[~np.isfinite(total) | (counts < 0).any(axis=1)] = np.nan  # no histogram
    return result.astype(np.float32)


def of_proto(payload: bytes, start: int, end: int, *, zeros: bool = True) -> tuple[float, ...]:
    """Statistics of the HistogramProto in ``payload[start:end]``, in the order of `COLUMNS`.

    Args:
        payload: holds it.
        start: its first byte.
        end: behind its last.
        zeros: whether to look for the share of zeros in the buckets, which takes as long as all the rest; else NaN.

    Raises:
        WireError: the bytes are no HistogramProto.
    """
    least, greatest, count, total, squares, rest = _head(payload, start, end)
    if count == 0:
        return (0.0, *_NONE, 0.0, 0.0)
    if not 0 < count < float("inf") or squares < 0:
        raise WireError("impossible numbers")
    if not isfinite(total + squares + least + greatest):
        nan = isnan(total) or isnan(squares) or isnan(least) or isnan(greatest)
        return (count, *_NONE, float(nan), float(not nan))
    mean, square = total / count, squares / count
    share = 0.0 if least > 0 or greatest < 0 else float("nan")
    if zeros and share != 0:
        share = _share_of_zeros(payload, rest, end, count)
    return (count, mean, sqrt(max(square - mean * mean, 0.0)), sqrt(square), least, greatest, share, 0.0, 0.0)


def _head(payload: bytes, start: int, end: int) -> tuple[float, float, float, float, float, int]:
    """Least, greatest, number, sum, sum of squares, and where the rest begins."""
    if end - start >= _HEAD.size:
        key1, least, key2, greatest, key3, count, key4, total, key5, squares = _HEAD.unpack_from(payload, start)
        if (key1, key2, key3, key4, key5) == _HEAD_KEYS:
            return least, greatest, count, total, squares, start + _HEAD.size
    # A field that is zero is left out.
    numbers = [0.0] * 6
    for number, wire, first, _ in fields(payload, start, end):
        if wire == FIXED64 and number < len(numbers):
            numbers[number] = _DOUBLE.unpack_from(payload, first)[0]
    return numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], start


def _share_of_zeros(payload: bytes, start: int, end: int, count: float) -> float:
    limits, counts = _buckets(payload, start, end)
    size = limits[1] - limits[0]
    if size != counts[1] - counts[0] or size % 8:
        raise WireError("buckets and their limits do not match")
    if not size:
        return float("nan")
    edges = np.frombuffer(payload, "<f8", size // 8, limits[0])
    place = int(edges.searchsorted(0.0, "right"))  # the first bucket that ends above zero
    if place == len(edges) or edges[place] > _TINY:
        # The buckets are too coarse to tell.
        return float("nan")
    share: float = _DOUBLE.unpack_from(payload, counts[0] + 8 * place)[0] / count
    return share


def _buckets(payload: bytes, start: int, end: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the limits and the counts of the buckets lie."""
    if start < end and payload[start] == _LIMITS << 3 | BYTES:
        length, begin = varint(payload, start + 1, end)
        behind = begin + length
        if behind < end and payload[behind] == _COUNTS << 3 | BYTES:
            size, first = varint(payload, behind + 1, end)
            if first + size == end:
                return (begin, behind), (first, end)
    limits = counts = (0, 0)
    for number, wire, first, last in fields(payload, start, end):
        if wire == BYTES and number == _LIMITS:
            limits = (first, last)
        elif wire == BYTES and number == _COUNTS:
            counts = (first, last)
    return limits, counts
