"""Tensors -> statistics and log-magnitude histograms, in graph.

The functions are traced once and called, never inlined: inlining the statistics of every tensor made the first sampled
step of a large model several times as long as the plain one. Numbers are compared by `tf.equal`, because in a TF1
graph ``==`` compares the tensor objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gradscope.histograms import BUCKETS, ZERO_BUCKET
from gradscope.recording.frameworks import tf

__all__ = [
    "MOMENTS",
    "dead_units",
    "dot",
    "example_std",
    "flattened",
    "histogram_of",
    "leading_unit",
    "measure",
    "moments_of",
    "saturated_fraction",
    "traced_once",
    "underflow_fraction",
    "unit_axis",
    "unit_std",
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

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SPREAD_ENTRIES = 16384
_LEAST_NORMAL_FLOAT16 = 2.0**-14
_NONFINITE_BUCKET = BUCKETS - 1  # a code no finite number has; the host clears it


def traced_once(*shapes: list[int | None]) -> Callable[[_Function], _Function]:
    """A function of float32 tensors of those shapes, traced when it is first called and from then on only called."""
    return tf.function(  # type: ignore[no-any-return]
        input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )


@traced_once([None, None])
def measure(stack: Any) -> tuple[Any, Any]:
    """Statistics and histograms of a stack of small tensors.

    Args:
        stack: float32 ``[tensors, entries]``, each tensor flattened.

    Returns:
        Statistics, float32 ``[tensors, len(MOMENTS)]``, over the finite entries (counts: over all); NaN where there is
        no finite entry. They are computed relative to the largest magnitude, so entries of 1e30 do not overflow and
        ones of 1e-30 do not vanish. And histograms, int32 ``[tensors, BUCKETS]``.
    """
    return moments_of(stack), histogram_of(stack)


def moments_of(stack: Any) -> Any:
    """The statistics that `measure` gives."""
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


def _count(mask: Any) -> Any:
    # int32 first: a float32 sum of ones stops counting at 2**24.
    return tf.cast(tf.reduce_sum(tf.cast(mask, tf.int32), axis=1), tf.float32)


def histogram_of(stack: Any) -> Any:
    """The histograms that `measure` gives."""
    code = tf.cast(tf.bitwise.right_shift(tf.bitcast(stack, tf.uint32), tf.constant(21, tf.uint32)), tf.int32)
    code = tf.where(tf.equal(stack, 0.0), ZERO_BUCKET, code)
    code = tf.where(tf.math.is_finite(stack), code, _NONFINITE_BUCKET)
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
    rank, magnitude = activation.shape.rank, tf.abs(activation)
    if axis == rank - 1:
        # A sum of magnitudes is zero only where all are; as a product of matrices it takes a quarter of the time.
        rows = tf.reshape(magnitude, [-1, activation.shape[axis]])
        total = tf.matmul(tf.ones([1, tf.shape(rows)[0]], rows.dtype), rows)[0]
    else:
        total = tf.reduce_max(magnitude, axis=[i for i in range(rank) if i != axis])
    silent = tf.equal(total, 0)
    per_unit = tf.size(activation) / tf.maximum(tf.shape(activation)[axis], 1)
    return tf.cast(silent, tf.float32), tf.cast(per_unit, tf.float32)


@traced_once([None, None])
def example_std(values: Any) -> Any:
    """Root mean square, over the units, of the standard deviation across the examples of the batch.

    Args:
        values: float32 ``[batch, units]``; of more than a few thousand units, evenly spaced ones stand for all.

    Returns:
        float32 scalar; NaN for fewer than two examples, and where an entry is not finite.
    """
    batch, units = tf.shape(values)[0], tf.shape(values)[1]
    most = tf.maximum(_SPREAD_ENTRIES // tf.maximum(batch, 1), 1)
    # An odd stride, so that it does not fall in step with the channels.
    values = values[:, :: tf.bitwise.bitwise_or(units // most, 1)]
    centred = values - tf.reduce_mean(values, axis=0, keepdims=True)
    spread = tf.sqrt(tf.reduce_mean(tf.square(centred)))
    return tf.where(batch > 1, spread, float("nan"))


@traced_once([None, None])
def leading_unit(values: Any) -> tuple[Any, Any]:
    """How far the unit that varies most stands out of the others, and which it is.

    Args:
        values: float32 ``[examples, units]``, with one unit or more.

    Returns:
        Its standard deviation across the examples over the median (the lower one of two) of those of the units that
        vary at all, float32 scalar, NaN where fewer than two vary or an entry is not finite; its number, float32.
    """
    spread = tf.math.reduce_std(values, axis=0)
    varying = tf.reduce_sum(tf.cast(spread > 0.0, tf.int32))
    # Those that do not vary come last.
    ratio = tf.reduce_max(spread) / tf.gather(tf.sort(spread, direction="DESCENDING"), varying // 2)
    known = (varying > 1) & tf.math.is_finite(tf.reduce_sum(spread))
    return tf.where(known, ratio, float("nan")), tf.cast(tf.argmax(spread), tf.float32)


def saturated_fraction(derivative: Any, bound: float, z: Any) -> Any:
    """Share of the entries with ``|derivative| < bound``.

    Args:
        derivative: f'(z), of any shape.
        bound: > 0.
        z: of the same shape; entries that are not finite, such as those that fill up a `sample`, are left out.

    Returns:
        float32 scalar; NaN where no entry is finite.
    """
    taken = tf.math.is_finite(z)
    flat = tf.cast(taken & (tf.abs(derivative) < bound), tf.float32)
    return tf.reduce_sum(flat) / tf.reduce_sum(tf.cast(taken, tf.float32))


@traced_once([None, None])
def unit_std(columns: Any) -> Any:
    """Root mean square, over the rows, of the standard deviation across the columns.

    Args:
        columns: float32 ``[inputs, units]``.

    Returns:
        float32 scalar, 0 where all columns are alike; NaN where an entry is not finite.
    """
    largest = tf.reduce_max(tf.abs(columns))
    scale = tf.where(tf.equal(largest, 0.0), 1.0, largest)
    relative = columns / scale
    centred = relative - tf.reduce_mean(relative, axis=1, keepdims=True)
    return scale * tf.sqrt(tf.reduce_mean(tf.square(centred)))


@traced_once([None])
def underflow_fraction(scaled: Any) -> Any:
    """Share of the entries other than zero that lie below the least normal float16 number, 2^-14.

    Args:
        scaled: float32 ``[entries]``, a gradient times the loss scale, as it was computed; NaN entries are left out.

    Returns:
        float32 scalar; NaN where all entries are zero.
    """
    magnitude = tf.abs(scaled)
    taken = tf.cast(magnitude > 0.0, tf.float32)
    tiny = tf.cast((magnitude > 0.0) & (magnitude < _LEAST_NORMAL_FLOAT16), tf.float32)
    return tf.reduce_sum(tiny) / tf.reduce_sum(taken)


def flattened(tensor: Any) -> Any:
    """All entries of a tensor, or of the rows that `tf.IndexedSlices` hold, as float32 ``[entries]``."""
    values = tensor.values if isinstance(tensor, tf.IndexedSlices) else tensor
    return tf.reshape(tf.cast(tf.convert_to_tensor(values), tf.float32), [-1])


def dot(gradient: Any, update: Any) -> Any:
    """The sum of ``gradient * update`` over all entries, a float32 scalar.

    Args:
        gradient: a tensor, or `tf.IndexedSlices`, which are not made dense.
        update: a tensor of the variable's shape.
    """
    if isinstance(gradient, tf.IndexedSlices):
        update = tf.gather(update, gradient.indices)
    # Twice as fast as tf.tensordot, which takes long vectors for thin matrices.
    return tf.reduce_sum(flattened(gradient) * flattened(update))
