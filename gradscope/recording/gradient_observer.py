"""GradientObserver: notes what an optimizer is handed, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gradscope.recording import statistics
from gradscope.recording.collector import Collector
from gradscope.recording.compiled_step import CompiledStep
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.hearing import Hearing
from gradscope.recording.kernels import unit_columns
from gradscope.recording.large_tensors import sample
from gradscope.recording.learning_rate import LearningRate
from gradscope.recording.naming import NamedVariable, Names
from gradscope.recording.optimizer_state import innermost
from gradscope.recording.scope import scope
from gradscope.recording.trouble import Trouble
from gradscope.run import TensorKey

__all__ = ["SCALED_UPDATES", "UPDATES", "GradientObserver", "Handed"]

UPDATES = Hearing(keras.optimizers.Optimizer, "apply")
"""Every update by an optimizer of Keras, but for those that have a way of their own."""
SCALED_UPDATES = Hearing(keras.optimizers.LossScaleOptimizer, "apply")
"""Those of one that has: it scales the loss, and another optimizer makes the update in a branch."""


@dataclass
class Handed:
    """What an optimizer was handed in one call."""

    variables: list[NamedVariable] = field(default_factory=list)
    gradients: list[Any] = field(default_factory=list)
    """Unscaled, summed over replicas; None where there is none."""
    weights: list[Any] = field(default_factory=list)
    """The variables' values before the call."""


class GradientObserver:
    """Notes gradients, weights and updates of the calls of one step.

    Args:
        collector: takes what is noted.
        trouble: where failures go.
        names: of the model's layers and variables.
    """

    def __init__(self, collector: Collector, trouble: Trouble, names: Names) -> None:
        self.disconnected: set[str] = set()
        """Names of variables that were to be trained, and have no gradient."""
        self.optimized: set[str] = set()
        """Names of variables that were to be trained: optimizers were handed them, or would have been."""
        self.trained_by: dict[str, Any] = {}
        """The optimizer that each variable was handed to last, by the variable's name."""
        self.applied: list[Any] = []
        """The gradients that optimizers were handed in this step, as they were handed."""
        self.learning_rate = LearningRate(collector, trouble)
        self.compiled = CompiledStep(trouble, names)
        self._collector = collector
        self._trouble = trouble
        self._names = names
        self._given: list[Handed] = []
        self._others: list[NamedVariable] = []
        self._elsewhere = False
        self._changes: list[Any] = []

    def forget(self) -> None:
        """A step starts, or is over."""
        self.applied.clear()
        self._given.clear()
        self._others.clear()
        self._elsewhere = False
        self._changes.clear()

    def end(self) -> None:
        """The step is over."""
        for handed in self._given:
            self.after(handed)
        if self._elsewhere and not self._collector.noted("gradient"):
            self._trouble.report(
                "gradients and updates are not recorded: the optimizer applies them in a loop or branch of the graph"
            )
        self._note_frozen()
        if self._collector.listening and self._changes:
            with scope(), self._trouble.instead_of_raising("the expected change of the loss is not recorded"):
                self._collector.scalar(("step", "", "expected_loss_change"), tf.add_n(self._changes))

    def before(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> Handed:
        """The optimizer is about to apply ``gradients``: note them and the weights."""
        handed = Handed()
        if not self._collector.listening:
            self._elsewhere |= self._collector.active
            return handed
        self.applied += [gradient for gradient in gradients if gradient is not None]
        with scope(), self._trouble.instead_of_raising("the gradients are not recorded"):
            named = [self._names.of(variable) for variable in variables]
            scale = _loss_scale(optimizer)
            if scale is not None:
                self._collector.scalar(("step", "", "loss_scale"), scale)
            if optimizer is not None:
                is_own = optimizer is getattr(self._names.model, "optimizer", None)
                self.learning_rate.about_to_apply(optimizer, is_own=is_own)
            self._note_underflow(named, gradients)
            unscaled = [_unscaled(gradient, scale) for gradient in gradients]
            summed = self._over_replicas(unscaled)
            for item, gradient in zip(named, summed, strict=True):
                self.optimized.add(item.name)
                self.trained_by[item.name] = optimizer
                handed.weights.append(tf.identity(_value(item.variable)))
                self._note_weight(item, handed.weights[-1])
                if gradient is None:
                    self.disconnected.add(item.name)
                else:
                    self._collector.tensor(TensorKey("gradient", item.name, item.layer), gradient)
            handed.variables, handed.gradients = named, summed
            inner = innermost(optimizer)
            if steps := getattr(inner, "gradient_accumulation_steps", None):
                # The only count of batches; Keras 3.3 has but the public one.
                batches = tf.convert_to_tensor(getattr(inner, "_iterations", inner.iterations))
                applies = tf.equal((batches + 1) % steps, 0)
                self._collector.scalar(("step", "", "applies"), applies)
                unscaled = [_averaged(inner, *pair) for pair in zip(unscaled, variables, strict=True)]
            self._note_clipping(inner, named, unscaled)
        return handed

    def before_own(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> Handed:
        """The same of one that the model knows or a loop handed over; what others did to its variables were trials."""
        own = {self._names.of(variable).name for variable in variables} if self._others else set()
        again = [item for item in self._others if item.name in own]
        for item in again:
            for kind in ("gradient", "clipped_gradient", "update", "weight"):
                self._collector.drop(kind, item.name)
        if again:
            self._changes.clear()
            self.applied.clear()
        return self.before(optimizer, gradients, variables)

    def before_another(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> Handed | None:
        """The same of an optimizer that may be about other models' variables only; None if so."""
        with self._trouble.instead_of_raising("what another optimizer does is not recorded"):
            if self._collector.active and self._names.include_any(variables):
                handed = self.before(optimizer, gradients, variables)
                self._others += handed.variables
                return handed
        return None

    def after(self, handed: Handed) -> None:
        """The optimizer has applied the gradients: note what it changed."""
        self.learning_rate.applied()
        if not self._collector.listening:
            return
        with scope(), self._trouble.instead_of_raising("the updates are not recorded"):
            for item, gradient, weight in zip(handed.variables, handed.gradients, handed.weights, strict=False):
                key, changed = TensorKey("update", item.name, item.layer), _value(item.variable)
                if gradient is None:
                    self._collector.tensor(key, changed - weight)
                else:
                    self._changes.append(self._collector.change(key, changed, weight, gradient))

    def given(self, grads_and_vars: Sequence[tuple[Any, Any]]) -> None:
        """A loop without a Keras optimizer says what it is about to apply; its updates are noted when the step ends."""
        gradients = [gradient for gradient, _ in grads_and_vars]
        self._given.append(self.before(None, gradients, [variable for _, variable in grads_and_vars]))

    def without_gradient(self, names: set[str]) -> None:
        """A tape was asked for those variables and gave None; the step may have kept them from its optimizer for it."""
        left = {item.name for item in self._names.variables if item.variable.trainable and item.name in names}
        left -= self.optimized
        self.optimized |= left
        self.disconnected |= left

    def seen(self, variables: Sequence[Any], gradients: Sequence[Any]) -> None:
        """Gradients that nobody is going to apply."""
        if not self._collector.listening:
            return
        with scope(), self._trouble.instead_of_raising("the gradients of the probe are not recorded"):
            for item, gradient in zip(map(self._names.of, variables), gradients, strict=True):
                if gradient is not None:
                    self._collector.tensor(TensorKey("gradient", item.name, item.layer), gradient)

    def _note_weight(self, item: NamedVariable, weight: Any) -> None:
        self._collector.tensor(TensorKey("weight", item.name, item.layer), weight)
        layer = self._names.layer(item.layer)
        kind = "Embedding" if isinstance(layer, keras.layers.Embedding) else type(layer).__name__
        columns = unit_columns(kind, item.variable.name, weight)
        if columns is not None:
            self._collector.scalar(("weight", item.name, "unit_std"), statistics.unit_std(columns))

    def _note_frozen(self) -> None:
        """Note the weights of the variables that are not trained, or that no optimizer was handed."""
        if self._collector.listening:
            with scope(), self._trouble.instead_of_raising("the frozen weights are not recorded"):
                for item in self._names.variables:
                    if not self._collector.has("weight", item.name):
                        self._note_weight(item, _value(item.variable))

    def _note_underflow(self, named: list[NamedVariable], gradients: Sequence[Any]) -> None:
        """Of gradients as they are, scaled; those of each replica, since it is there that they are computed."""
        for item, gradient in zip(named, gradients, strict=True):
            layer = self._names.layer(item.layer)
            if gradient is not None and getattr(layer, "compute_dtype", None) == "float16":
                share = statistics.underflow_fraction(sample(statistics.flattened(gradient)))
                self._collector.scalar(("gradient", item.name, "underflow_fraction"), share)

    def _over_replicas(self, gradients: list[Any]) -> list[Any]:
        replica = self._collector.replica
        return gradients if replica is None else replica.summed(gradients)

    def _note_clipping(self, optimizer: Any, named: list[NamedVariable], gradients: list[Any]) -> None:
        if not any(getattr(optimizer, name, None) for name in ("clipvalue", "clipnorm", "global_clipnorm")):
            return
        present = [(item, g) for item, g in zip(named, gradients, strict=True) if g is not None]
        clipped = optimizer._clip_gradients([g for _, g in present])  # noqa: SLF001  the very function the step uses
        changed, count = tf.constant(0.0), tf.constant(0.0)
        # Keras clips the gradients of each replica, and sums what is left.
        for (item, _), applied in zip(present, self._over_replicas(list(clipped)), strict=True):
            self._collector.tensor(TensorKey("clipped_gradient", item.name, item.layer), applied)
        for (_, gradient), result in zip(present, clipped, strict=True):
            differs = tf.not_equal(tf.convert_to_tensor(gradient), tf.convert_to_tensor(result))
            changed += tf.reduce_sum(tf.cast(differs, tf.float32))
            count += tf.cast(tf.size(differs), tf.float32)
        self._collector.scalar(("step", "", "clipped_fraction"), changed / count)


def _averaged(optimizer: Any, gradient: Any, variable: Any) -> Any:
    """What an optimizer applies that accumulates gradients, if it applies them in this step."""
    if gradient is None or not optimizer.built:
        return gradient
    place = optimizer._get_variable_index(variable)  # noqa: SLF001  the only way to what was accumulated
    kept = optimizer._accumulated_gradients[place]  # noqa: SLF001  likewise
    return (tf.convert_to_tensor(gradient) + _value(kept)) / optimizer.gradient_accumulation_steps


def _value(variable: Any) -> Any:
    value = variable.value  # a property of Keras' variables, a method of TensorFlow's
    return tf.convert_to_tensor(value() if callable(value) else value)


def _loss_scale(optimizer: Any) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return tf.convert_to_tensor(optimizer.dynamic_scale.value) if optimizer.built else optimizer.initial_scale
    return getattr(optimizer, "loss_scale_factor", None)


def _unscaled(gradient: Any, scale: Any) -> Any:
    if gradient is None or scale is None:
        return gradient
    factor = tf.cast(scale, gradient.dtype)
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values / factor, gradient.indices, gradient.dense_shape)
    return tf.convert_to_tensor(gradient) / factor
