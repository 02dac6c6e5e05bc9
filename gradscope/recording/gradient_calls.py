"""GradientCalls: which loss a training step of one's own differentiates, as its tape is asked for gradients."""

from __future__ import annotations

from typing import Any

from gradscope.recording.frameworks import keras, tf
from gradscope.recording.hearing import Hearing
from gradscope.recording.naming import Names

__all__ = ["GRADIENTS", "GradientCalls"]

GRADIENTS = Hearing(tf.GradientTape, "gradient")
"""Every gradient that a tape is asked for."""

_VARIABLES = (tf.Variable, keras.Variable)


class GradientCalls:
    """What was differentiated in one step by the model's variables; by anything else it may be part of a loss.

    Args:
        names: of the model's variables.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._calls: list[tuple[Any, frozenset[int]]] = []

    def forget(self) -> None:
        """A step starts, or is over."""
        self._calls.clear()

    def called(self, target: Any, sources: Any) -> None:
        """A tape was asked for the gradient of ``target`` by ``sources``, both maybe nested."""
        by = frozenset(
            id(source)
            for source in tf.nest.flatten(sources)
            if isinstance(source, _VARIABLES) and self._names.include(source)
        )
        losses = [part for part in tf.nest.flatten(target) if tf.is_tensor(part) and part.dtype.is_floating]
        if by and len(losses) == 1:
            self._calls.append((losses[0], by))

    def loss(self, reported: Any) -> Any:
        """The one loss of the step, a scalar; of batches whose gradients are accumulated the mean.

        Where the step differentiates what it ``reported``, it is that: other losses were those of trial steps.

        None where there is none, or different variables have different ones, as those of rivals do.
        """
        if any(target is reported for target, _ in self._calls):
            return reported
        targets = {id(target): target for target, _ in self._calls}
        if not targets or (len(targets) > 1 and len({by for _, by in self._calls}) > 1):
            return None
        # A tape differentiates the sum of what it is given.
        losses = [target if target.shape.rank == 0 else tf.reduce_sum(target) for target in targets.values()]
        return losses[0] if len(losses) == 1 else tf.add_n(losses) / len(losses)
