"""Variables of TensorFlow's that layers keep and Keras knows nothing of: no optimizer is ever handed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gradscope.recording.frameworks import tf
from gradscope.recording.naming import Names

__all__ = ["untracked_variables"]


def untracked_variables(names: Names, optimized: set[str]) -> list[str]:
    """``<layer path>/<attribute>`` of each trainable ``tf.Variable`` of several entries that no optimizer was handed.

    Keras 3 keeps account of its own variables only, those of ``add_weight`` and ``keras.Variable``; Keras 2 took
    TensorFlow's as well.

    Args:
        names: of the model's layers and variables.
        optimized: names of the variables that optimizers were handed; a loop may hand over any.
    """
    found: dict[int, str] = {}
    owners = [("", names.model), *((named.path, named.layer) for named in names.layers)]
    for path, owner in owners:
        for attribute, variable in _kept(owner):
            if _would_train(variable) and not names.include(variable) and names.of(variable).name not in optimized:
                found.setdefault(id(variable), "/".join(filter(None, (path, attribute))))
    return list(found.values())


def _kept(layer: Any) -> Iterator[tuple[str, Any]]:
    for attribute, value in vars(layer).items():
        if attribute.startswith("_"):
            continue  # Keras' own, and those that a class means to hide
        parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
        yield from ((attribute, part) for part in parts)


def _would_train(variable: Any) -> bool:
    if not isinstance(variable, tf.Variable) or not variable.trainable or not variable.dtype.is_floating:
        return False
    # A single number is a counter or a weight that a callback sets.
    return bool(variable.shape.is_fully_defined() and variable.shape.num_elements() > 1)
