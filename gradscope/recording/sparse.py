"""Sparse gradients: statistics of the whole tensor from the rows that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.histograms import ZERO_BUCKET
from gradscope.recording.frameworks import tf
from gradscope.recording.statistics import MOMENTS

__all__ = ["fill_in_zeros", "summed_rows"]

_COLUMN = {name: number for number, name in enumerate(MOMENTS)}


def summed_rows(slices: Any) -> tuple[Any, Any]:
    """The rows of `tf.IndexedSlices`, those of one index added up, without a tensor of the dense shape.

    All shapes are known where those of ``slices`` are, as XLA needs it: where indices repeat, rows of zeros fill up.

    Args:
        slices: a gradient, with its ``dense_shape``.

    Returns:
        As many rows as ``slices`` has, and the number of zeros that the dense tensor has beyond their entries, a
        float32 scalar; negative where the slices have more rows than the tensor.
    """
    order = tf.argsort(tf.cast(slices.indices, tf.int32))
    indices = tf.gather(slices.indices, order)
    changes = tf.cast(tf.not_equal(indices[1:], indices[:-1]), tf.int32)
    segments = tf.cumsum(tf.pad(changes, [[1, 0]]))[: tf.shape(indices)[0]]
    rows = tf.math.unsorted_segment_sum(tf.gather(slices.values, order), segments, tf.shape(indices)[0])
    entries = tf.reduce_prod(tf.cast(slices.dense_shape, tf.float32))
    return rows, entries - tf.cast(tf.size(rows), tf.float32)


def fill_in_zeros(moments: npt.NDArray[np.float32], histogram: npt.NDArray[np.int32], zeros: float) -> None:
    """Turn, in place, the statistics of some entries of a tensor into those of all: the others are zero.

    Args:
        moments: ``[len(MOMENTS)]``.
        histogram: ``[BUCKETS]``, perhaps of a sample of the entries.
        zeros: how many entries there are beside; see `summed_rows`.
    """
    old = {name: float(moments[column]) for name, column in _COLUMN.items()}
    finite = old["count"] - old["nan_count"] - old["inf_count"]
    count, new_finite = old["count"] + zeros, finite + zeros
    if new_finite <= 0:
        return
    if finite <= 0:
        old |= dict.fromkeys(("mean", "std", "rms", "norm", "abs_mean", "min", "max"), 0.0)
    share = finite / new_finite
    mean = old["mean"] * share
    variance = share * (old["std"] ** 2 + (old["mean"] - mean) ** 2) + (1 - share) * mean**2
    new = {
        "count": count,
        "mean": mean,
        "std": max(variance, 0.0) ** 0.5,
        "rms": old["rms"] * share**0.5,
        "norm": old["norm"],
        "abs_mean": old["abs_mean"] * share,
        "min": min(old["min"], 0.0) if zeros > 0 else old["min"],
        "max": max(old["max"], 0.0) if zeros > 0 else old["max"],
        "zero_fraction": ((old["zero_fraction"] * old["count"] if old["count"] else 0.0) + zeros) / count,
    }
    for name, value in new.items():
        moments[_COLUMN[name]] = value
    sampled = histogram.sum() / finite if finite > 0 else 1.0
    counted = round(float(histogram[ZERO_BUCKET]) + zeros * sampled)
    histogram[ZERO_BUCKET] = min(max(0, counted), np.iinfo(np.int32).max)
