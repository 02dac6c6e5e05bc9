"""Large tensors: the same statistics as of small ones, in as few walks over the entries as TensorFlow allows.

What needs sorting entries by magnitude (histogram, quantiles, mean magnitude, share of zeros) comes from a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradscope.recording.frameworks import tf
from gradscope.recording.statistics import MOMENTS, histogram_of, moments_of, traced_once

__all__ = ["SAMPLE_ENTRIES", "measure_change", "measure_large", "measure_samples", "sample"]

SAMPLE_ENTRIES = 8192
"""What a large tensor gives for its histogram and its mean magnitude: one entry of each of as many equal stretches."""

_SAMPLE_BITS = np.int64(SAMPLE_ENTRIES.bit_length() - 1)
_PLACES = np.arange(SAMPLE_ENTRIES, dtype=np.int64)
_WITHIN = np.random.default_rng(0).permutation(_PLACES)
_BLOCK = 65536  # entries that stay in a core's cache, and that TensorFlow does not yet split among threads
_LEAST_SQUARABLE = 1e-12  # below it the squares of smaller entries fall out of float32
_LEAST_SPREAD = 0.01  # E[x^2] - E[x]^2 keeps at least five digits where it is this share of E[x^2]
_OF_SAMPLE = ("abs_mean", "zero_fraction")


@traced_once([None])
def measure_large(flat: Any) -> tuple[Any, Any]:
    """The statistics of one large tensor, and a sample of its entries.

    The careful way of `gradscope.recording.statistics.measure` walks over the entries some thirty times. Where all are
    finite, none is so large or small that its square is not a float32, and the mean does not dwarf the spread, four
    walks give the same numbers; else it is taken.

    Args:
        flat: float32 ``[entries]``.

    Returns:
        float32 ``[len(MOMENTS)]``, with NaN for ``abs_mean`` and ``zero_fraction`` where those are left to the sample:
        see `measure_samples`. And float32 ``[SAMPLE_ENTRIES]``, what `sample` gives.
    """
    return _moments(flat, _reduced(flat), lambda: flat), _sample(flat)


@traced_once([None], [None], [None])
def measure_change(after: Any, before: Any, gradient: Any) -> tuple[Any, Any, Any]:
    """What `measure_large` gives of ``after - before``, and the sum of the difference times ``gradient``.

    The difference is never made as a whole: each block of it is measured while it is in the cache.

    Args:
        after: float32 ``[entries]``.
        before: of the same length.
        gradient: likewise.

    Returns:
        As `measure_large`, and a float32 scalar.
    """

    def measured(start: Any, size: Any) -> tuple[Any, ...]:
        new, old, slope = (tf.slice(whole, [start], [size]) for whole in (after, before, gradient))
        change = new - old
        return *_reduced(change), tf.reduce_sum(change * slope)

    def with_next(start: Any, *seen: Any) -> tuple[Any, ...]:
        return start + _BLOCK, *_joined(seen, measured(start, _BLOCK))

    size = tf.size(after)
    ends = size - size % _BLOCK
    rest = measured(ends, size - ends)
    # One block after another: side by side they would push each other out of the cache.
    _, *four, product = tf.while_loop(lambda start, *_: start < ends, with_next, (0, *rest), parallel_iterations=1)
    return _moments(after, four, lambda: after - before), _sample(after) - _sample(before), product


@traced_once([None, len(MOMENTS)], [None, SAMPLE_ENTRIES])
def measure_samples(moments: Any, samples: Any) -> tuple[Any, Any]:
    """Add to the moments of several large tensors what their samples tell.

    Args:
        moments: float32 ``[tensors, len(MOMENTS)]``, as `measure_large` gives them.
        samples: float32 ``[tensors, SAMPLE_ENTRIES]``.

    Returns:
        The moments, complete, and histograms, int32 ``[tensors, BUCKETS]``.
    """
    finite = tf.math.is_finite(samples)
    count = tf.reduce_sum(tf.cast(finite, tf.float32), axis=1)
    of_sample = {
        "abs_mean": tf.reduce_sum(tf.where(finite, tf.abs(samples), 0.0), axis=1) / count,
        "zero_fraction": tf.reduce_sum(tf.cast(tf.equal(samples, 0.0), tf.float32), axis=1) / count,
    }
    columns = [
        tf.where(tf.math.is_nan(column), of_sample[name], column) if name in of_sample else column
        for name, column in zip(MOMENTS, tf.unstack(moments, axis=1), strict=True)
    ]
    return tf.stack(columns, axis=1), histogram_of(samples)


@traced_once([None])
def sample(flat: Any) -> Any:
    """One entry of each of many equal stretches of a tensor; of a smaller one all entries, and NaN to fill up.

    Where in its stretch an entry lies differs from one to the next, the same at every step: evenly spaced entries would
    all be of a few units where the spacing and the number of units have a factor in common.

    Args:
        flat: float32 ``[entries]``.

    Returns:
        float32 ``[SAMPLE_ENTRIES]``.
    """
    return _sample(flat)


def _sample(flat: Any) -> Any:
    size = tf.size(flat, out_type=tf.int64)
    places = tf.constant(_PLACES)

    def spaced() -> Any:
        # Shifts: dividing as many whole numbers took longer than all reductions together.
        scaled = places * size + _WITHIN * tf.bitwise.right_shift(size, _SAMPLE_BITS)
        return tf.gather(flat, tf.bitwise.right_shift(scaled, _SAMPLE_BITS))

    def padded() -> Any:
        filled = tf.concat([flat, [float("nan")]], axis=0)  # an empty tensor has nothing to gather
        return tf.gather(filled, tf.minimum(places, size))

    return tf.cond(size >= SAMPLE_ENTRIES, spaced, padded)


def _joined(seen: Any, more: Any) -> tuple[Any, ...]:
    low, high, *sums = zip(seen, more, strict=True)
    return tf.minimum(*low), tf.maximum(*high), *(one + other for one, other in sums)


def _reduced(flat: Any) -> tuple[Any, Any, Any, Any]:
    """Least, greatest, sum and half the sum of squares."""
    return tf.reduce_min(flat), tf.reduce_max(flat), tf.reduce_sum(flat), tf.nn.l2_loss(flat)


def _moments(sized: Any, reduced: Sequence[Any], entries: Callable[[], Any]) -> Any:
    """The moments out of what `_reduced` gives; where that does not tell enough, of ``entries``, made only then."""
    low, high, total, half_square_sum = reduced
    count = tf.cast(tf.size(sized), tf.float32)
    square_sum = 2.0 * half_square_sum
    mean, mean_square = total / count, square_sum / count
    variance = mean_square - tf.square(mean)
    largest = tf.maximum(tf.abs(low), tf.abs(high))
    plain = (
        tf.math.is_finite(square_sum)
        & ((largest > _LEAST_SQUARABLE) | tf.equal(largest, 0.0))
        & (variance >= _LEAST_SPREAD * mean_square)
    )
    known = {
        "count": count,
        "mean": mean,
        "std": tf.sqrt(variance),
        "rms": tf.sqrt(mean_square),
        "norm": tf.sqrt(square_sum),
        "min": low,
        "max": high,
        "nan_count": 0.0,
        "inf_count": 0.0,
    }
    quick = tf.stack([known.get(name, float("nan")) for name in MOMENTS])
    return tf.cond(plain, lambda: quick, lambda: moments_of(entries()[None, :])[0])
