"""How much of the gradient comes back to the first steps of a recurrent layer's sequence.

The loop over the sequence is a graph of its own, and what is in there may not leave it. But ∂loss/∂x of the sequence
that goes in has an entry for each step, and stands outside: it tells what the loop did to the gradient on its way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.recording.scope import scope
from gradscope.recording.statistics import traced_once
from gradscope.recording.tensors import is_floating
from gradscope.recording.trouble import Trouble

__all__ = ["Sequences", "time_gradient_ratio"]

_STATISTIC = "time_gradient_ratio"


class Sequences:
    """Watches what goes into recurrent layers.

    Args:
        collector: notes the measured ratio beside the layer's activation gradient.
        trouble: hears of what fails; the layer then runs as if nobody watched.
    """

    def __init__(self, collector: Collector, trouble: Trouble) -> None:
        self._collector = collector
        self._trouble = trouble

    def given(self, path: str, layer: Any, sequence: Any) -> Any:
        """The same ``sequence``, float ``[batch, time, …]``; the gradient that comes back to it is measured."""
        if not (self._collector.listening and is_floating(sequence)):
            return sequence
        variables = layer.trainable_variables
        if not variables or (sequence.shape.rank or 0) < 3:
            return sequence
        with scope(), self._trouble.instead_of_raising(f"the gradient through time of layer {path} is not recorded"):
            return self._watched(path, layer, sequence, tf.convert_to_tensor(variables[0]))
        return sequence

    def _watched(self, path: str, layer: Any, sequence: Any, weight: Any) -> Any:
        # A tape follows nothing back to plain data; with a weight that goes in beside it, it comes as far as here.
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def watch(x: Any, _weight: Any) -> tuple[Any, Callable[[Any], tuple[Any, None]]]:
            def backward(upstream: Any) -> tuple[Any, None]:
                if self._collector.listening:
                    failing = f"the gradient through time of layer {path} is not recorded"
                    with scope(), self._trouble.instead_of_raising(failing):
                        backwards = bool(getattr(layer, "go_backwards", False))
                        ratio = time_gradient_ratio(_by_step(upstream, reverse=backwards))
                        self._collector.scalar(("activation_gradient", path, _STATISTIC), ratio)
                return upstream, None

            return tf.identity(x), backward

        watched = watch(sequence, weight)
        if hasattr(sequence, "_keras_mask"):
            watched._keras_mask = sequence._keras_mask  # noqa: SLF001  Keras keeps it there
        return watched


def _by_step(gradient: Any, *, reverse: bool) -> Any:
    """Mean magnitude at each step, float32 ``[batch, time]``, first what the layer goes through first."""
    features = list(range(2, gradient.shape.rank))
    magnitude = tf.reduce_mean(tf.abs(tf.cast(gradient, tf.float32)), axis=features)
    return tf.reverse(magnitude, [1]) if reverse else magnitude


@traced_once([None, None])
def time_gradient_ratio(magnitude: Any) -> Any:
    """The gradient at the first step of the sequences over that at the last, each a mean over the examples.

    Args:
        magnitude: float32 ``[batch, time]``, >= 0. The first and the last step of an example are those with a gradient
            other than zero: padding that a mask takes out has none.

    Returns:
        float32 scalar in [0, inf], 1 for sequences of one step; NaN where all is zero or an entry is not finite.
    """
    known = tf.cast(tf.not_equal(magnitude, 0.0), tf.int32)
    first = tf.argmax(known, axis=1)
    last = tf.cast(tf.shape(magnitude)[1], tf.int64) - 1 - tf.argmax(tf.reverse(known, [1]), axis=1)
    scale = tf.reduce_max(magnitude)
    begin, end = (tf.gather(magnitude / scale, step, batch_dims=1) for step in (first, last))
    return tf.reduce_mean(begin) / tf.reduce_mean(end)
