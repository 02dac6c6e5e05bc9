"""Origins: which layer each tensor of a step came out of."""

from __future__ import annotations

from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["Origins"]

_SAME_NUMBERS = ("Cast", "ExpandDims", "Reshape", "Squeeze", "Transpose")


class Origins:
    """Follows tensors by identity, those that the model returns by their names in its graph as well."""

    def __init__(self) -> None:
        self._paths: dict[int, str] = {}
        self._alive: list[Any] = []
        self.outputs: dict[str, str] = {}
        """The layer that each output of the model comes from, by the name of its tensor; empty in an eager step."""
        self.logits: dict[str, str] = {}
        """The same of what a softmax at the output was given: Keras computes cross-entropies from that."""

    def forget(self) -> None:
        """A step starts, or is over."""
        for known in (self._paths, self._alive, self.outputs, self.logits):
            known.clear()

    def remember(self, tensor: Any, path: str) -> None:
        """A tensor came out of the layer ``path``; anything else is ignored."""
        if tf.is_tensor(tensor):
            self._paths[id(tensor)] = path
            self._alive.append(tensor)  # an id is only good while its object lives

    def of(self, tensor: Any) -> str | None:
        """The layer that a tensor came out of, maybe in another format or shape; None if unknown."""
        path = self._paths.get(id(tensor))
        operation = getattr(tensor, "op", None) if path is None and not tf.executing_eagerly() else None
        if operation is None or operation.type not in _SAME_NUMBERS:
            return path
        return self.of(operation.inputs[0])

    def returned(self, tensor: Any, path: str) -> None:
        """The model returned a tensor that came out of the layer ``path``."""
        for known, part in ((self.outputs, tensor), (self.logits, getattr(tensor, "_keras_logits", None))):
            if part is not None and hasattr(part, "graph"):
                known[part.name] = path
