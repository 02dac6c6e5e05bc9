"""Inlining: a layer's ``call`` that is a `tf.function` of its own, as part of the step that calls it.

What happens in a graph of its own may not leave it, and once traced is not run through again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["inlined", "is_inlinable"]


def is_inlinable(call: Any) -> bool:
    """Whether a method is a `tf.function`, and not one to be compiled by XLA, whose numbers would be others."""
    return isinstance(call, tf.types.experimental.PolymorphicFunction) and not call._jit_compile  # noqa: SLF001


def inlined(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """What a ``call`` runs, turned by autograph into what it would trace; a method that is none as it is.

    Args:
        layer: whose method it is.
        call: the method, bound.
    """
    if not is_inlinable(call):
        return call
    method = inspect.unwrap(call.python_function)  # type: ignore[attr-defined]
    function = getattr(method, "__func__", method)
    if call._autograph:  # type: ignore[attr-defined]  # noqa: SLF001  as it was decorated
        with suppress(Exception):  # as TensorFlow does, which then runs it as it is: it may have no source
            function = tf.autograph.to_graph(function)
    return partial(function, layer) if inspect.ismethod(method) else function
