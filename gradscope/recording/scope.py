"""The name scope of everything that measures: by it an error at run time is told from one of the model's own."""

from __future__ import annotations

from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["SCOPE", "scope"]

SCOPE = "gradscope_measures"
"""Part of the name of every operation that measures."""


def scope() -> Any:
    """A context in which operations get such names."""
    return tf.name_scope(SCOPE)
