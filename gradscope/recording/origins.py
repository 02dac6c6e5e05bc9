"""Origins: which layer each tensor of a step came out of."""

from __future__ import annotations

from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["Origins"]


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
        """The layer that a tensor came out of; None if unknown."""
        return self._paths.get(id(tensor))

    def returned(self, tensor: Any, path: str) -> None:
        """The model returned a tensor that came out of the layer ``path``."""
        for known, part in ((self.outputs, tensor), (self.logits, getattr(tensor, "_keras_logits", None))):
            if part is not None and hasattr(part, "graph"):
                known[part.name] = path
