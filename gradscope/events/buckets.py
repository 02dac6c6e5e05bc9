"""Statistics out of the histograms that other tools write: exact where the file says so, estimated from buckets else.

TensorFlow 2 writes 30 buckets of equal width from the least entry to the greatest: count and extremes are exact, and
mean, rms and standard deviation are those of entries spread evenly over each bucket. No entry is misplaced by more than
a bucket's width, so neither are the three: they are off by at most a thirtieth of the range. TensorFlow 1 and PyTorch
write number, sum, sum of squares and extremes beside the buckets: all is exact, but for the share of zeros, in which
entries below 1e-12 count as zero. Norms follow from rms and count.
"""

from __future__ import annotations

import struct
from functools import cache
from math import isfinite, isnan, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.events.wire import BYTES, FIXED64, WireError, fields, varint

__all__ = ["COLUMNS", "of_proto", "of_protos", "of_rows", "rows_of_proto"]

COLUMNS = ("count", "mean", "std", "rms", "min", "max", "zero_fraction", "nan_count", "inf_count")
"""The statistics, in the order of the columns that both functions give."""

FloatArray = npt.NDArray[np.float64]

_EVEN = 1e-9  # of the range: how far edges may be from even
_ROUNDING = 1e-13
_TINY = 1.1e-12  # the bucket that TensorFlow 1 and PyTorch count zeros in ends at 1e-12
_DOUBLE = struct.Struct("<d")
_HEAD = struct.Struct("<BdBdBdBdBd")
_HEAD_KEYS = tuple(number << 3 | FIXED64 for number in range(1, 6))
_LIMITS, _COUNTS = 6, 7
_OF_ONE_THREAD = 1 << 18  # multiplications, up to which OpenBLAS takes one thread
_NONE = (float("nan"),) * 6


def of_rows(histograms: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Statistics of histograms given as rows (left, right, count), shape ``[n, k, 3]``; the result is ``[n, 9]``.

    TensorFlow turns all edges into NaN as soon as one entry is NaN, and the outer ones into infinities; such a
    histogram has only a count and a ``nan_count`` or ``inf_count`` of 1, which means "at least one". Without entries
    the count is 0 and the rest NaN; all is NaN where counts are negative or not finite.
    """
    size = histograms.shape[1]
    flat = np.ascontiguousarray(histograms, np.float64).reshape(len(histograms), -1)
    counts, least, greatest = flat[:, 2::3], flat[:, 0], flat[:, -2]
    with np.errstate(all="ignore"):
        total, first, second, lefts, rights = _sums(flat, _weights(size)).T
        # Most buckets are of equal width; then three weighted sums of the counts give all moments.
        width, offset = (greatest - least) / size, first / total
        mean = (least + greatest) / 2 + width * offset
        variance = width**2 * np.maximum(second / total - offset**2 + 1 / 12, 0)
        square = mean**2 + variance
        blur = _ROUNDING * np.maximum(np.abs(least), np.abs(greatest)) + _EVEN * (greatest - least)
        others = np.flatnonzero(~(np.abs(lefts) + np.abs(rights) - blur <= 0))  # not finite: likewise
        if len(others):
            total[others], mean[others], variance[others], square[others] = _moments(flat[others].reshape(-1, size, 3))
    nan = np.isnan(least) | np.isnan(greatest)
    inf = ~nan & ~(np.isfinite(least) & np.isfinite(greatest))
    # Some zeros cannot be told from numbers that share their bucket.
    zeros = np.where((least == 0) & (greatest == 0), 1.0, np.where((least > 0) | (greatest < 0), 0.0, np.nan))
    columns = [total, mean, np.sqrt(variance), np.sqrt(square), least, greatest, zeros, nan, inf]
    result = np.stack(columns, axis=1, dtype=np.float32, casting="unsafe")
    result[nan | inf | (total <= 0), 1:7] = np.nan
    impossible = ~np.isfinite(total)
    if not counts.min() >= 0:  # in one pass; row by row it takes five times as long
        impossible |= (counts < 0).any(axis=1)
    result[impossible] = np.nan
    return result


def _moments(histograms: FloatArray) -> tuple[FloatArray, ...]:
    """Number, mean, variance and mean square of histograms with buckets of any width."""
    left, right, counts = np.ascontiguousarray(histograms.transpose(2, 0, 1))
    total, both = counts.sum(axis=1), left + right
    mean = np.einsum("ij,ij->i", counts, both) / (2 * total)
    # The mean of x^2 over a bucket is (l^2 + lr + r^2) / 3.
    thrice = np.einsum("ij,ij,ij->i", counts, both, both) - np.einsum("ij,ij,ij->i", counts, left, right)
    square = np.maximum(thrice, 0) / (3 * total)
    return total, mean, np.maximum(square - mean * mean, 0), square


def _sums(flat: FloatArray, weights: FloatArray) -> FloatArray:
    """Their product, in pieces so small that BLAS takes one thread for each: its other threads only wait, busily."""
    sums = np.empty((len(flat), weights.shape[1]))
    for first in range(0, len(flat), rows := max(_OF_ONE_THREAD // weights.size, 1)):
        np.matmul(flat[first : first + rows], weights, out=sums[first : first + rows])
    return sums


@cache
def _weights(size: int) -> FloatArray:
    """``[3 size, 5]``: what rows (left, right, count), laid flat, are multiplied by.

    The sums are: of the counts, of the counts times the distance of their bucket from the middle one, and times its
    square; and of how far left and right edges are from where buckets of equal width have them, each with a weight of
    its own.
    """
    weights = np.zeros((size, 3, 5))
    distance = np.arange(size) - (size - 1) / 2
    weights[:, 2, :3] = np.stack([np.ones(size), distance, distance**2], axis=1)
    place = np.arange(size)
    for edge, odd in enumerate((np.sqrt(1 + place), np.cbrt(2 + place))):
        weights[:, edge, 3 + edge] = odd
        end = (odd * (place + edge)).sum() / size
        weights[0, 0, 3 + edge] -= odd.sum() - end
        weights[-1, 1, 3 + edge] -= end
    return weights.reshape(3 * size, 5)


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


def of_protos(
    data: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """What `of_proto` gives of many at once, without a look at their buckets for zeros, ``[n, 9]``.

    The second result is False where a HistogramProto is empty, not finite, or lacks a number: `of_proto` is to take it.
    """
    whole = ends - starts >= _HEAD.size
    rows = np.ndarray(len(data) - _HEAD.size + 1, f"V{_HEAD.size}", data, strides=(1,))
    heads = rows[np.where(whole, starts, 0)].view(np.uint8).reshape(len(starts), len(_HEAD_KEYS), -1)
    least, greatest, count, total, squares = heads[:, :, 1:].copy().view("<f8")[:, :, 0].T
    with np.errstate(all="ignore"):
        usable = whole & (heads[:, :, 0] == _HEAD_KEYS).all(axis=1) & (count > 0) & (squares >= 0)
        usable &= np.isfinite(count) & np.isfinite(total + squares + least + greatest)
        mean, square = total / count, squares / count
        std = np.sqrt(np.maximum(square - mean * mean, 0.0))
        zeros = np.where((least > 0) | (greatest < 0), 0.0, np.nan)
        none = np.zeros(len(starts))
        columns = [count, mean, std, np.sqrt(square), least, greatest, zeros, none, none]
        return np.stack(columns, axis=1, dtype=np.float32, casting="unsafe"), usable


def rows_of_proto(payload: bytes, start: int, end: int) -> FloatArray:
    """The buckets of a HistogramProto as rows (left, right, count), shape ``[k, 3]``; of zeros (0, 0, count).

    Raises:
        WireError: the bytes are no HistogramProto.
    """
    least, greatest, _, _, _, rest = _head(payload, start, end)
    limits, counts = _buckets(payload, rest, end)
    if limits[1] - limits[0] != counts[1] - counts[0] or (limits[1] - limits[0]) % 8:
        raise WireError("buckets and their limits do not match")
    right = np.frombuffer(payload, "<f8", (limits[1] - limits[0]) // 8, limits[0])
    left = np.append(least, right[:-1])[: len(right)]
    rows = np.stack([left, right, np.frombuffer(payload, "<f8", len(right), counts[0])], axis=1)
    zeros = (rows[:, 1] > 0) & (rows[:, 1] <= _TINY)
    rows[zeros, :2] = 0
    rows[:, :2] = np.clip(rows[:, :2], least, greatest)
    return rows


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
