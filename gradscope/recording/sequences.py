"""How much of the gradient comes back to the beginning of a recurrent layer's sequences.

The loop over the sequence is a graph of its own, and what is in there may not leave it. But the gradient that the loop
hands back to its initial state stands outside, and is computed anyway: it tells what became of the gradient on its way
through all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradscope.recording.backflow import noting_gradient
from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.recording.scope import scope
from gradscope.recording.statistics import traced_once
from gradscope.recording.tensors import is_floating
from gradscope.recording.trouble import Trouble

__all__ = ["Sequences", "last_mean"]

_STATISTIC = "time_gradient_ratio"


class Sequences:
    """Watches what recurrent layers begin with and what they give; one that is handed its state is left alone.

    Args:
        collector: notes the measured ratio beside the layer's activation gradient.
        trouble: hears of what fails; the layer then runs as if nobody watched.
    """

    def __init__(self, collector: Collector, trouble: Trouble) -> None:
        self._collector = collector
        self._trouble = trouble
        self._ends: dict[str, Any] = {}
        self._beginnings: dict[str, Any] = {}

    def forget(self) -> None:
        """A step starts, or is over."""
        self._ends.clear()
        self._beginnings.clear()

    def begun(self, path: str, layer: Any, states: Any) -> Any:
        """The same initial ``states``, maybe nested; the gradient that comes back to those of floats is measured."""
        variables = layer.trainable_variables
        if not self._collector.listening or not variables:
            return states
        with scope(), self._trouble.instead_of_raising(_failing(path)):
            weight = tf.convert_to_tensor(variables[0])  # without it no tape would follow the gradient back to zeros
            note = self._guarded(path, lambda gradient: self._came_back(path, gradient))
            return tf.nest.map_structure(
                lambda state: noting_gradient(state, note, weight) if is_floating(state) else state, states
            )
        return states

    def given(self, path: str, layer: Any, outputs: Any) -> Any:
        """The same ``outputs``; the gradient that comes to the first of them is measured."""
        if not self._collector.listening or not layer.trainable_variables:
            return outputs
        with scope(), self._trouble.instead_of_raising(_failing(path)):
            first, *rest = tf.nest.flatten(outputs)
            if not is_floating(first):
                return outputs
            note = self._guarded(path, lambda gradient: self._came(path, layer, gradient))
            return tf.nest.pack_sequence_as(outputs, [noting_gradient(first, note), *rest])
        return outputs

    def _guarded(self, path: str, note: Callable[[Any], None]) -> Callable[[Any], None]:
        def guarded(gradient: Any) -> None:
            if self._collector.listening:
                with scope(), self._trouble.instead_of_raising(_failing(path)):
                    note(tf.cast(gradient, tf.float32))

        return guarded

    def _came(self, path: str, layer: Any, gradient: Any) -> None:
        by_step = tf.transpose(gradient, [1, 0, *range(2, gradient.shape.rank)]) if layer.return_sequences else gradient
        rows = tf.shape(by_step)[0] if layer.return_sequences else 1
        self._ends[path] = last_mean(tf.reshape(by_step, [rows, -1]))

    def _came_back(self, path: str, gradient: Any) -> None:
        size = last_mean(tf.reshape(gradient, [1, -1]))
        other = self._beginnings.get(path)  # an LSTM has two states
        self._beginnings[path] = size if other is None else tf.maximum(size, other)
        if path in self._ends:
            ratio = self._beginnings[path] / self._ends[path]
            self._collector.scalar(("activation_gradient", path, _STATISTIC), ratio)


def _failing(path: str) -> str:
    return f"the gradient through time of layer {path} is not recorded"


@traced_once([None, None])
def last_mean(gradient: Any) -> Any:
    """The mean magnitude of the last row that is not all zeros, as those are that a mask takes out.

    Args:
        gradient: float32 ``[rows, entries]``.

    Returns:
        float32 scalar >= 0, 0 where all rows are zeros; NaN where an entry of that row is not finite.
    """
    sizes = tf.reduce_mean(tf.abs(gradient), axis=1)
    last = tf.reduce_max(tf.where(tf.equal(sizes, 0.0), 0, tf.range(tf.size(sizes))))
    return sizes[last]
