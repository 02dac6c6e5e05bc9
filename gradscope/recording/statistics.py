"""Tensors -> statistics and log-magnitude histograms, in graph.

`measure` takes a stack of equally long tensors and is traced once for all of them: inlining the statistics of every
tensor made the first sampled step of a large model several times as long as the plain one. Numbers are compared with
`tf.equal`, because in a TF1 graph ``==`` compares the tensor objects.
"""

from __future__ import annotations

from typing import Any

from gradscope.histograms import BUCKETS, ZERO_BUCKET
from gradscope.recording.frameworks import tf

__all__ = [
    "HISTOGRAM_ENTRIES",
    "MOMENTS",
    "dead_units",
    "example_std",
    "measure",
    "measure_large",
    "saturated_fraction",
    "unit_axis",
]

MOMENTS = (
    "count",
    "mean",
    "std",
    "rms",
    "norm",
    "abs_mean",
    "min",
    "max",
    "zero_fraction",
    "nan_count",
    "inf_count",
)
"""Columns of what `measure` returns."""

HISTOGRAM_ENTRIES = 16384
"""Longer tensors are strided for their histogram to between this and twice as many entries; the moments never are."""

_LEAST_SQUARABLE = 1e-12  # below it the squares of smaller entries fall out of float32
_LEAST_SPREAD = 0.01  # E[x^2] - E[x]^2 keeps at least five digits where it is this share of E[x^2]
_NONFINITE_BUCKET = BUCKETS - 1  # a code no finite number has; the host clears it


@tf.function(  # type: ignore[untyped-decorator]
    input_signature=[tf.TensorSpec([None, None], tf.float32)], autograph=False
)
def measure(stack: Any) -> tuple[Any, Any]:
    """Statistics and histograms of a stack of tensors.

    Args:
        stack: float32 ``[tensors, entries]``, each tensor flattened.

    Returns:
        Statistics, float32 ``[tensors, len(MOMENTS)]``, over the finite entries (counts: over all); NaN where there is
        no finite entry. They are computed relative to the largest magnitude, so entries of 1e30 do not overflow and
        ones of 1e-30 do not vanish. And histograms, int32 ``[tensors, BUCKETS]``.
    """
    return _moments(stack), _histogram(stack)


def _moments(stack: Any) -> Any:
    count = tf.cast(tf.shape(stack)[1], tf.float32)
    finite = tf.math.is_finite(stack)
    finite_count = _count(finite)
    values = tf.where(finite, stack, 0.0)
    magnitude = tf.abs(values)
    low = tf.reduce_min(tf.where(finite, stack, float("inf")), axis=1)
    high = tf.reduce_max(tf.where(finite, stack, float("-inf")), axis=1)
    largest = tf.reduce_max(magnitude, axis=1)
    scale = tf.where(largest > 0.0, largest, 1.0)

    relative = values / scale[:, None]
    mean = tf.reduce_sum(relative, axis=1) / finite_count
    mean_square = tf.reduce_sum(tf.square(relative), axis=1) / finite_count
    deviation = tf.where(finite, relative - mean[:, None], 0.0)
    variance = tf.reduce_sum(tf.square(deviation), axis=1) / finite_count
    abs_mean = tf.reduce_sum(tf.abs(relative), axis=1) / finite_count

    nan_count = _count(tf.math.is_nan(stack))
    nothing = tf.equal(finite_count, 0.0)
    rms = scale * tf.sqrt(mean_square)
    moments = [
        tf.fill(tf.shape(finite_count), count),
        scale * mean,
        scale * tf.sqrt(variance),
        rms,
        rms * tf.sqrt(finite_count),
        scale * abs_mean,
        tf.where(nothing, float("nan"), low),
        tf.where(nothing, float("nan"), high),
        _count(tf.equal(stack, 0.0)) / count,
        nan_count,
        count - finite_count - nan_count,
    ]
    return tf.stack(moments, axis=1)


@tf.function(  # type: ignore[untyped-decorator]
    input_signature=[tf.TensorSpec([None], tf.float32)], autograph=False
)
def measure_large(flat: Any) -> tuple[Any, Any]:
    """The same as `measure` of one large tensor, in a third of the time for one without surprises.

    The careful way walks over the entries some thirty times. Where all are finite, none is so large or small that its
    square is not a float32, and the mean does not dwarf the spread, six walks give the same numbers.

    Args:
        flat: float32 ``[entries]``.

    Returns:
        As `measure`: ``[1, len(MOMENTS)]`` and ``[1, BUCKETS]``.
    """
    count = tf.cast(tf.size(flat), tf.float32)
    low, high = tf.reduce_min(flat), tf.reduce_max(flat)
    square_sum = 2.0 * tf.nn.l2_loss(flat)
    mean = tf.reduce_sum(flat) / count
    mean_square = square_sum / count
    variance = mean_square - tf.square(mean)
    largest = tf.maximum(tf.abs(low), tf.abs(high))
    plain = (
        tf.math.is_finite(square_sum)
        & ((largest > _LEAST_SQUARABLE) | tf.equal(largest, 0.0))
        & (variance >= _LEAST_SPREAD * mean_square)
    )

    def quick() -> Any:
        zeros = tf.reduce_sum(tf.cast(flat == 0.0, tf.int32))
        moments = [
            count,
            mean,
            tf.sqrt(variance),
            tf.sqrt(mean_square),
            tf.sqrt(square_sum),
            tf.reduce_sum(tf.abs(flat)) / count,
            low,
            high,
            tf.cast(zeros, tf.float32) / count,
            tf.constant(0.0),
            tf.constant(0.0),
        ]
        return tf.stack(moments)[None, :]

    moments = tf.cond(plain, quick, lambda: _moments(flat[None, :]))
    return moments, _histogram(flat[None, :])


def _count(mask: Any) -> Any:
    # int32 first: a float32 sum of ones stops counting at 2**24.
    return tf.cast(tf.reduce_sum(tf.cast(mask, tf.int32), axis=1), tf.float32)


def _histogram(stack: Any) -> Any:
    # An odd stride, so that it does not walk down a column of a matrix whose width is a power of two.
    stride = tf.bitwise.bitwise_or(tf.shape(stack)[1] // HISTOGRAM_ENTRIES, 1)
    sample = stack[:, ::stride]
    code = tf.cast(tf.bitwise.right_shift(tf.bitcast(sample, tf.uint32), tf.constant(21, tf.uint32)), tf.int32)
    code = tf.where(tf.equal(sample, 0.0), ZERO_BUCKET, code)
    code = tf.where(tf.math.is_finite(sample), code, _NONFINITE_BUCKET)
    # The raw op: its output size is a constant, which XLA needs.
    return tf.raw_ops.DenseBincount(input=code, size=BUCKETS, weights=tf.zeros([0], tf.int32), binary_output=False)


def unit_axis(rank: int, data_format: str | None) -> int:
    """The axis of a layer's output that counts as units: the last, or 1 for ``channels_first``."""
    return 1 if data_format == "channels_first" and rank > 1 else rank - 1


def dead_units(activation: Any, axis: int) -> tuple[Any, Any]:
    """Which units are zero on every example of this batch.

    Args:
        activation: ``[batch, …]`` with units along ``axis``.
        axis: as `unit_axis` gives it.

    Returns:
        float32 ``[units]``, 1 where the unit is zero throughout, and the number of entries per unit, a float32 scalar.
    """
    others = [i for i in range(activation.shape.rank) if i != axis]
    silent = tf.reduce_all(tf.equal(activation, 0), axis=others)
    per_unit = tf.size(activation) / tf.maximum(tf.shape(activation)[axis], 1)
    return tf.cast(silent, tf.float32), tf.cast(per_unit, tf.float32)


def example_std(values: Any) -> Any:
    """Root mean square, over all units, of the standard deviation across the examples of the batch.

    Args:
        values: ``[batch, …]``, any float type.

    Returns:
        float32 scalar; NaN for fewer than two examples, and where an entry is not finite.
    """
    values = tf.cast(values, tf.float32)
    centred = values - tf.reduce_mean(values, axis=0, keepdims=True)
    # Of one example nothing can be said: 0/0.
    spread = tf.sqrt(tf.reduce_mean(tf.square(centred)))
    return tf.where(tf.shape(values)[0] > 1, spread, float("nan"))


def saturated_fraction(derivative: Any, bound: float) -> Any:
    """Share of entries with ``|derivative| < bound``; float32 scalar, NaN for an empty tensor."""
    return tf.reduce_mean(tf.cast(tf.abs(derivative) < bound, tf.float32))
