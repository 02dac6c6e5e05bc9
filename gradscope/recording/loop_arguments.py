"""What a training step of one's own is called with: which of its arguments are the targets."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradscope.recording.frameworks import tf

__all__ = ["targets_among"]

_TARGET = re.compile(r"(y|ys|(y_|batch_|train_)?(true|label|labels|target|targets|y)|yb|y_batch|y_train)(_batch)?")


def targets_among(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The targets, if it is plain which argument they are.

    That is one called ``y``, ``labels``, ``targets`` or the like, behind another whose examples it has as many of.

    Args:
        function: the step; its signature names its positional arguments.
        args: what it is called with by position.
        kwargs: and by name.

    Returns:
        The tensors of that argument; none where there is no such argument or more than one, or where the number of
        examples differs.
    """
    try:
        arguments = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return []
    given = [(name, _tensors(value)) for name, value in arguments.items()]
    given = [(name, tensors) for name, tensors in given if tensors]
    targets = [(place, tensors) for place, (name, tensors) in enumerate(given) if _TARGET.fullmatch(name.lower())]
    if len(targets) != 1 or targets[0][0] == 0:
        return []
    inputs, (_, tensors) = given[0][1], targets[0]
    examples = {_examples(tensor) for tensor in (inputs[0], *tensors)}
    return tensors if len(examples) == 1 and 0 not in examples else []


def _tensors(value: Any) -> list[Any]:
    return [
        leaf if isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)) else tf.convert_to_tensor(leaf)
        for leaf in tf.nest.flatten(value)
        if tf.is_tensor(leaf) or (isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fiub")
    ]


def _examples(tensor: Any) -> int | None:
    """The leading dimension; 0 for a scalar, None where it is not known."""
    return tensor.shape[0] if tensor.shape.rank else 0
