"""Writes: the variables that a traced step writes, read off its graph."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from gradscope.recording.frameworks import keras, tf

__all__ = ["Writes", "written_by"]

_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape"})


class Writes:
    """A set of variables, known by their handles: Keras holds TensorFlow's, and a strategy one for each replica.

    Args:
        handles: tensors of dtype ``resource``.
    """

    def __init__(self, handles: Iterable[Any]) -> None:
        self._handles = list(handles)  # kept, so that no other tensor gets the id of one
        self._ids = {id(handle) for handle in self._handles}

    @classmethod
    def of(cls, variables: Iterable[Any]) -> Writes:
        """The set of these variables, Keras' or TensorFlow's."""
        return cls(handle for variable in variables for handle in _handles(variable))

    def __contains__(self, variable: Any) -> bool:
        return any(id(handle) in self._ids for handle in _handles(variable))


def written_by(train_function: Any) -> Writes | None:
    """The variables that a compiled model's train function writes in any form that was traced; None if none was.

    Every operation that takes a variable and is not known to read it counts as writing it. TensorFlow notes of each
    call of a function which of its variables are only read there, at any depth.
    """
    # Later versions of Keras hand the compiled step on in a closure.
    is_closure = inspect.isfunction(train_function)
    parts = inspect.getclosurevars(train_function).nonlocals.values() if is_closure else [train_function]
    traced = [
        concrete
        for part in parts
        if isinstance(part, tf.types.experimental.PolymorphicFunction)
        for concrete in part._list_all_concrete_functions()  # noqa: SLF001  TensorFlow lists them in no other way
    ]
    return Writes(handle for concrete in traced for handle in _written_in(concrete.graph)) if traced else None


def _written_in(graph: Any) -> Iterator[Any]:
    captured = {id(inner): outer for outer, inner in graph.captures}
    for operation in graph.get_operations():
        if operation.type in _READS:
            continue
        only_read = _only_read(operation)
        for place, tensor in enumerate(operation.inputs):
            if tensor.dtype == tf.resource and place not in only_read and id(tensor) in captured:
                yield captured[id(tensor)]


def _only_read(operation: Any) -> frozenset[int]:
    try:
        return frozenset(operation.get_attr("_read_only_resource_inputs"))
    except ValueError:  # no call of a function
        return frozenset()


def _handles(variable: Any) -> list[Any]:
    inner = variable.value if isinstance(variable, keras.Variable) else variable
    return [part.handle for part in getattr(inner, "values", [inner])]
