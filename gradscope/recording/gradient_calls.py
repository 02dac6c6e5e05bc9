"""GradientCalls: what a training step of one's own differentiates by what, as its tape is asked for gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradscope.recording.frameworks import keras, tf
from gradscope.recording.hearing import Hearing
from gradscope.recording.naming import Names

__all__ = ["GRADIENTS", "SCALINGS", "GradientCalls"]

GRADIENTS = Hearing(tf.GradientTape, "gradient")
"""Every gradient that a tape is asked for."""
SCALINGS = (
    Hearing(keras.optimizers.Optimizer, "scale_loss"),
    Hearing(keras.optimizers.LossScaleOptimizer, "scale_loss"),
)
"""Every time an optimizer scales a loss against underflow."""


@dataclass(frozen=True)
class _Call:
    target: Any
    """None where it is not a single loss."""
    by: frozenset[str]
    """Names of the model's variables among the sources."""
    absent: frozenset[str]
    """Those of them of which the tape gave None."""
    gradients: list[Any]


class GradientCalls:
    """What was differentiated in one step by the model's variables; by anything else it may be part of a loss.

    Args:
        names: of the model's variables.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._calls: list[_Call] = []
        self._scaled: dict[int, tuple[Any, Any]] = {}

    def forget(self) -> None:
        """A step starts, or is over."""
        self._calls.clear()
        self._scaled.clear()

    def scaled(self, loss: Any, larger: Any) -> None:
        """An optimizer scaled a loss: who differentiates what it gave differentiates the loss."""
        self._scaled[id(larger)] = (loss, larger)  # an id is only good while its object lives

    @property
    def are_unscaled(self) -> bool:
        """Whether an optimizer did the scaling, so that `targets` are without."""
        return bool(self._scaled)

    def called(self, target: Any, sources: Any, gradients: Any) -> None:
        """A tape gave the ``gradients`` of ``target`` by ``sources``, all maybe nested."""
        flat = tf.nest.flatten(gradients)
        asked = [
            (self._names.of(source).name, gradient)
            for source, gradient in zip(tf.nest.flatten(sources), flat, strict=True)
            if hasattr(source, "assign")
            and self._names.include(source)  # keras.Variable is no class of them in Keras 3.3
        ]
        losses = [part for part in tf.nest.flatten(target) if tf.is_tensor(part) and part.dtype.is_floating]
        if asked:
            loss, _ = self._scaled.get(id(losses[0]), (losses[0], None)) if len(losses) == 1 else (None, None)
            by = frozenset(name for name, _ in asked)
            absent = frozenset(name for name, gradient in asked if gradient is None)
            self._calls.append(_Call(loss, by, absent, [part for part in flat if part is not None]))

    def without_gradient(self, applied: Sequence[Any]) -> set[str]:
        """Names of the variables that what the step differentiates does not depend on, as its tape gave None for them.

        It is that whose gradients are ``applied``, as in `targets`; a variable of which any other loss gave a gradient
        is none of them. Empty where nothing is applied.
        """
        if not applied:
            return set()
        targets = {id(call.target) for call in self._applied(applied)}
        absent = {name for call in self._calls if id(call.target) in targets for name in call.absent}
        return absent - {name for call in self._calls for name in call.by - call.absent}

    def targets(self, reported: Any, applied: Sequence[Any]) -> list[Any]:
        """What the step differentiates as its loss; several where the gradients of batches are accumulated.

        It is that whose gradients are ``applied``, where they are so as they are: other losses were those of inner or
        trial steps. So they were where the step differentiates what it ``reported``. What an optimizer scaled is the
        loss that it was given.

        Empty where there is none, or different variables have different ones, as those of rivals do.
        """
        calls = [call for call in self._applied(applied) if call.target is not None]
        for call in calls:
            if _is_same(call.target, reported):
                return [call.target]
        targets = {id(call.target): call.target for call in calls}
        return [] if len(targets) > 1 and len({call.by for call in calls}) > 1 else list(targets.values())

    def _applied(self, applied: Sequence[Any]) -> list[_Call]:
        """The calls whose gradients are applied as they are; all, where none are, since they were changed before."""
        ids = set(map(id, applied))
        return [call for call in self._calls if not ids.isdisjoint(map(id, call.gradients))] or self._calls


def _is_same(target: Any, reported: Any) -> bool:
    """Whether a scalar is what was reported; of an eager step that reports a number it is told by its value."""
    if target is reported or reported is None or not tf.executing_eagerly() or target.shape.rank != 0:
        return target is reported
    return float(target) == float(reported)
