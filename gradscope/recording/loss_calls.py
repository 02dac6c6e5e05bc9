"""LossCalls: what a training step of one's own computes its loss with: the Keras losses it calls, or its operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradscope.recording.frameworks import keras, tf
from gradscope.recording.hearing import Hearing
from gradscope.recording.loss_graph import comparisons
from gradscope.recording.losses import describe_loss
from gradscope.recording.origins import Origins

__all__ = ["LOSSES", "LossCalls"]

LOSSES = Hearing(keras.losses.Loss, "__call__")
"""Every call of a Keras loss, of any object."""


@dataclass(frozen=True)
class _Call:
    loss: Mapping[str, Any]
    value: Any
    target: Any
    output: str
    weights: Any


class LossCalls:
    """The calls in one step, as far as they tell what judges the model's outputs."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._unclear = False

    def forget(self) -> None:
        """A step starts, or is over."""
        self._calls.clear()
        self._unclear = False

    def called(self, loss: Any, value: Any, y_true: Any, output: str | None, weights: Any) -> None:
        """A loss judged what the layer ``output`` gave; None if that is no output of the model as it is."""
        one = tf.is_tensor(value) and value.dtype.is_floating
        if output is None or not one or any(call.output == output for call in self._calls):
            self._unclear = True
        else:
            self._calls.append(_Call(describe_loss(loss), value, y_true, output, weights))

    def read_off(self, loss: Any, origins: Origins) -> None:
        """Where no Keras loss was called: what the operations of the loss compare, as `comparisons` finds it."""
        if self._calls or self._unclear:
            return
        for found in comparisons(loss, origins.outputs, origins.logits):
            self._unclear |= any(call.output == found.output for call in self._calls)
            entry = {"name": found.name, "from_logits": found.from_logits, "broadcast": found.broadcast}
            self._calls.append(_Call(entry, found.value, found.target, found.output, weights=None))

    @property
    def clear(self) -> bool:
        """Whether each call judged another of the model's outputs, as it came out of the model, and there was one."""
        return bool(self._calls) and not self._unclear

    @property
    def targets(self) -> list[Any]:
        """What the outputs were compared with, in the order of the calls."""
        return [call.target for call in self._calls]

    @property
    def weights(self) -> list[Any]:
        """The weights that the examples were given, in the order of the calls; without those calls that had none."""
        return [call.weights for call in self._calls if call.weights is not None]

    def total(self) -> Any:
        """The sum of what the losses gave, each a mean over its examples."""
        return tf.add_n([tf.cast(tf.reduce_mean(call.value), tf.float32) for call in self._calls])

    def describe(self) -> list[Mapping[str, Any]]:
        """The losses as the model card has them; what each counts for in the loss of the step is not known."""
        return [{**call.loss, "output": call.output, "weight": None} for call in self._calls]
