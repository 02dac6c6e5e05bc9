"""Kernels: what of a variable belongs to which unit."""

from __future__ import annotations

import math
from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["unit_columns"]

_MOST_UNITS = 64
_MOST_INPUTS = 256


def unit_columns(kind: str, role: str, kernel: Any) -> Any:
    """Evenly spaced inputs and units of a kernel: a row for each input, a column for each unit.

    Units are the last axis; of a transposed convolution the last but one; of a depthwise convolution, which has filters
    of its own for each channel, the last two.

    Args:
        kind: class of the layer that owns the kernel, ``Conv2DTranspose``; empty if unknown.
        role: the variable's own name, ``kernel``.
        kernel: a tensor of static shape.

    Returns:
        float32 ``[inputs, units]``, at most 256 x 64; None for what is no kernel (a vector, an embedding) and for a
        kernel of one unit.
    """
    shape = [int(size) for size in kernel.shape]
    if len(shape) < 2 or 0 in shape or kind == "Embedding":
        return None
    before, units, after = math.prod(shape[:-1]), shape[-1], 1
    if role.startswith("depthwise") or kind.startswith("Depthwise"):
        before, units = math.prod(shape[:-2]), shape[-2] * shape[-1]
    elif kind.endswith("Transpose"):
        before, units, after = math.prod(shape[:-2]), shape[-2], shape[-1]
    if units < 2:
        return None
    strides = _stride(before, _MOST_INPUTS), _stride(units, _MOST_UNITS), _stride(before * after, _MOST_INPUTS)
    taken = tf.reshape(kernel, [before, units, after])[:: strides[0], :: strides[1], :: strides[2]]
    taken = tf.transpose(taken, [0, 2, 1]) if after > 1 else taken
    return tf.cast(tf.reshape(taken, [-1, -(-units // strides[1])]), tf.float32)


def _stride(size: int, most: int) -> int:
    # Odd, so that it does not fall in step with the channels.
    return -(-size // most) | 1 if size > most else 1
