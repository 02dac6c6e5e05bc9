"""An identity that notes the gradient which flows back through it, without a second pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["noting_gradient"]

_KERAS_KEEPS = ("_keras_mask", "_keras_logits")


def noting_gradient(tensor: Any, note: Callable[[Any], None], *beside: Any) -> Any:
    """The same tensor; when a gradient flows back through it, ``note`` is called with that, in the graph it is in.

    Args:
        tensor: of floating numbers; what Keras keeps on it is on the result too.
        note: must not raise.
        beside: tensors that go in beside it and get nothing back. A tape follows nothing back to plain data, but with
            one of these that it follows it comes as far as here.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def identity(x: Any, *others: Any) -> tuple[Any, Callable[[Any], Any]]:
        def backward(upstream: Any) -> Any:
            note(upstream)
            return (upstream, *(None for _ in others)) if others else upstream

        return tf.identity(x), backward

    passed = identity(tensor, *beside)
    for attribute in _KERAS_KEEPS:
        if hasattr(tensor, attribute):
            setattr(passed, attribute, getattr(tensor, attribute))
    return passed
