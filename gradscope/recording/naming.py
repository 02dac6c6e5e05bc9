"""Names of layers and variables inside one model: paths that are unique and stay the same over its life."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gradscope.recording.frameworks import keras

__all__ = ["NamedLayer", "NamedVariable", "Names", "numbered", "sizes"]


@dataclass(frozen=True)
class NamedLayer:
    """A layer and its path inside the model, ``encoder/dense_1``."""

    path: str
    layer: Any


@dataclass(frozen=True)
class NamedVariable:
    """A variable, the layer that owns it and its name ``<layer path>/<variable name>``."""

    name: str
    layer: str
    variable: Any


class Names:
    """The layers and variables of one model by name."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._read()

    def _read(self) -> None:
        self.layers = _named_layers(self.model)
        self.variables = _named_variables(self.model, self.layers)
        self._by_path = {named.path: named.layer for named in self.layers}
        self._by_id = {id(named.variable): named for named in self.variables}
        # A loop may hand on TensorFlow's variable that stands behind Keras' own.
        self._by_id |= {id(named.variable.value): named for named in self.variables}

    def layer(self, path: str) -> Any:
        """The layer at that path, or None."""
        return self._by_path.get(path)

    def of(self, variable: Any) -> NamedVariable:
        """The name of a variable; of one that does not belong to the model, its own path."""
        known = self._known(variable)
        return known or NamedVariable(str(getattr(variable, "path", variable.name)), "", variable)

    def include(self, variable: Any) -> bool:
        """Whether the variable belongs to the model."""
        return self._known(variable) is not None

    def include_any(self, variables: Iterable[Any]) -> bool:
        """Whether one of the variables belongs to the model."""
        ids = {id(variable) for variable in variables}
        if ids.isdisjoint(self._by_id):
            self._read()
        return not ids.isdisjoint(self._by_id)

    def _known(self, variable: Any) -> NamedVariable | None:
        if id(variable) not in self._by_id:
            self._read()  # a model may make its variables in its first step
        return self._by_id.get(id(variable))


def numbered(kind: str, tensors: Iterable[Any]) -> list[tuple[str, Any]]:
    """Inputs or targets by the names they are recorded under: ``target``, ``target_1`` and so on."""
    return [(f"{kind}_{place}" if place else kind, tensor) for place, tensor in enumerate(tensors)]


def sizes(tensor: Any) -> list[int | None] | None:
    """The shape of a tensor for the model card, None for sizes that vary; None if nothing is known of it."""
    return tensor.shape.as_list() if tensor.shape.rank is not None else None


def _named_layers(model: Any) -> list[NamedLayer]:
    """All layers below ``model``, parents before children, each once; ``_1``, ``_2``, … keep their paths apart."""
    found: list[NamedLayer] = []
    seen: set[int] = {id(model)}
    paths: set[str] = set()

    def visit(parent: Any, prefix: str) -> None:
        for child in _children(parent):
            if id(child) in seen:
                continue
            seen.add(id(child))
            path = _unique(f"{prefix}{child.name}", paths)
            found.append(NamedLayer(path, child))
            if not isinstance(child, keras.layers.RNN):  # its cell runs inside a loop and is recorded as the layer
                visit(child, f"{path}/")

    visit(model, "")
    return found


def _named_variables(model: Any, layers: list[NamedLayer]) -> list[NamedVariable]:
    """All variables of the model with a floating dtype, each named after the innermost layer that owns it.

    Of a model without layers, which does all by itself, each variable counts as a layer.
    """
    owner: dict[int, str] = {}
    for named in layers:  # parents come first, so the innermost owner is the last to write
        for variable in named.layer.weights:
            owner[id(variable)] = named.path
    names: set[str] = set()
    result = []
    for variable in model.weights:
        if "float" not in str(variable.dtype):
            continue  # counters and seed generators
        layer = owner.get(id(variable), "")
        name = _unique(f"{layer}/{variable.name}" if layer else str(variable.name), names)
        result.append(NamedVariable(name, layer if owner else name, variable))
    return result


def _children(layer: Any) -> Iterator[Any]:
    # Not `layer.layers`: only models have it, and a custom layer's parts matter as much.
    for child in layer._flatten_layers(include_self=False, recursive=False):  # noqa: SLF001
        if isinstance(child, keras.layers.Layer):
            yield child


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
