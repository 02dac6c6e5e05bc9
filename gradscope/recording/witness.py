"""Witness: an observer that also keeps the calls it sees, so that they can be made again and differentiated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradscope.model_card import ActivationCard
from gradscope.recording.activations import derivative
from gradscope.recording.frameworks import tf
from gradscope.recording.observer import Observer
from gradscope.run import TensorKey

__all__ = ["LayerCall", "Witness"]


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer in an eager forward pass."""

    name: str
    """As its tensors are called: the layer's path, with ``@2`` behind from the second call on."""
    path: str
    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    """Its first floating output."""
    z: Any = None
    """The argument of its activation where a loss may be computed from that, past the activation; else None."""
    slope_square: float = 1.0
    """Mean of f'(z)² over the batch; 1 without an activation, NaN for one without a derivative entry by entry."""


@dataclass
class Witness(Observer):
    """To be used eagerly: what it keeps are tensors of one forward pass."""

    calls: list[LayerCall] = field(default_factory=list)
    _watched_output: Any = None
    _watched_z: Any = None
    _slope_square: dict[str, float] = field(default_factory=dict)

    def _layer_called(self, path: str, layer: Any, inputs: Any, outputs: Any, *, watch_units: bool) -> Any:
        self._watched_output = None
        result = super()._layer_called(path, layer, inputs, outputs, watch_units=watch_units)
        if self._watched_output is not None:
            args, kwargs = inputs
            slope_square = self._slope_square.pop(path, 1.0)
            name = path if self._calls[path] == 1 else f"{path}@{self._calls[path]}"
            z, self._watched_z = self._watched_z, None
            self.calls.append(LayerCall(name, path, layer, args, kwargs, self._watched_output, z, slope_square))
        return result

    def _activation_called(
        self, path: str, function: Callable[[Any], Any], card: ActivationCard, z: Any, *, repeated: bool
    ) -> Any:
        self._slope_square[path] = float("nan")
        if card.max_derivative is not None:
            self._slope_square[path] = float(tf.reduce_mean(tf.square(tf.cast(derivative(function, z), tf.float32))))
        return super()._activation_called(path, function, card, z, repeated=repeated)

    def _watched(self, tensor: Any, key: TensorKey) -> Any:
        watched = super()._watched(tensor, key)
        if key.kind == "activation_gradient":
            self._watched_output = watched
        else:
            self._watched_z = watched
        return watched
