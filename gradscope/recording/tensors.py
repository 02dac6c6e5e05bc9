"""What of the values that a step handles are tensors to measure."""

from __future__ import annotations

from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["example_count", "is_floating", "is_numeric", "tensors_in"]


def tensors_in(structure: Any) -> list[Any]:
    """The tensors in a value, maybe nested, those that are not whole among them."""
    return [leaf for leaf in tf.nest.flatten(structure) if tf.is_tensor(leaf)]


def is_numeric(tensor: Any) -> bool:
    """Whether a tensor holds real numbers, and all of them, as a `tf.SparseTensor` or a `tf.RaggedTensor` does not."""
    whole = not isinstance(tensor, (tf.SparseTensor, tf.RaggedTensor))
    return whole and bool(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)


def is_floating(value: Any) -> bool:
    """Whether a value is a tensor of floating numbers, and whole."""
    return tf.is_tensor(value) and is_numeric(value) and bool(value.dtype.is_floating)


def example_count(tensor: Any) -> Any:
    """The size of the first axis, an integer scalar; also of a tensor that is not whole, of rank >= 1."""
    return tensor.nrows() if isinstance(tensor, tf.RaggedTensor) else tf.shape(tensor)[0]
