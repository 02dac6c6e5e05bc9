"""Observer: decides what to measure of a layer call, an activation call and an optimizer call, and notes it.

Every entry point guards itself: what fails is reported with the layer's name, and the step goes on as if untapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradscope.model_card import ActivationCard
from gradscope.recording import statistics
from gradscope.recording.activations import derivative
from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.naming import NamedVariable, Names
from gradscope.recording.trouble import Trouble
from gradscope.run import TensorKey
from gradscope.vocabulary import SATURATION_BOUND

__all__ = ["SCOPE", "Observer", "Sighting"]

SCOPE = "gradscope_measures"
"""Name scope of every operation that measures: by it an error at run time is told from one of the model's own."""

_MOST_UNITS = 8192  # beyond it (a vocabulary) single units are not watched


@dataclass
class Sighting:
    """What a call of a layer showed about it."""

    depth: int
    input_shapes: tuple[tuple[int | None, ...], ...]
    output_shape: tuple[int | None, ...]
    inbound: tuple[str, ...] | None
    is_output: bool = False


@dataclass
class Observer:
    """Notes the tensors of one step in a `Collector`, and what the calls show of the model's structure."""

    collector: Collector
    trouble: Trouble
    names: Names
    failure: Exception | None = None
    """Why the step could not be measured at all."""
    sightings: dict[str, Sighting] = field(default_factory=dict)
    disconnected: set[str] = field(default_factory=set)
    """Names of variables that were handed to the optimizer without a gradient."""
    optimized: set[str] = field(default_factory=set)
    _calls: dict[str, int] = field(default_factory=dict)
    _origin: dict[int, str] = field(default_factory=dict)
    _alive: list[Any] = field(default_factory=list)
    _given: list[tuple[dict[str, Any], Sequence[Any]]] = field(default_factory=list)
    """Weights and variables of the gradients a loop gave itself."""
    _elsewhere: set[str] = field(default_factory=set)
    """Layers called in another graph: a loop's body, or the scratch graph in which Keras builds a model."""

    def begin(self) -> None:
        """A step starts."""
        self.collector.begin()
        self._forget()

    def end(self) -> None:
        """The step is over: write what was noted."""
        for weights, variables in self._given:
            self.after_apply(weights, variables)
        self.frozen()
        self.end_probe()

    def end_probe(self) -> None:
        """A look at a probe batch is over: write what was noted."""
        for key in list(self.collector.noted("preactivation_gradient")):
            if self.collector.has("activation_gradient", key.name):
                self.collector.drop("preactivation_gradient", key.name)
        try:
            with _scope():
                self.collector.flush()
        except Exception as error:  # noqa: BLE001  a trace that fails half-way would leave an optimizer without variables
            self.failure = error
        for path in sorted(self._elsewhere - set(self._calls)):
            self.trouble.report(f"layer {path} runs in a loop or branch of the graph: its output is not recorded")
        self._forget()

    def end_loop_step(self, outputs: Any) -> None:
        """A step of a loop of one's own is over; a scalar it returns, alone or as ``"loss"``, is the loss."""
        loss: Any = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if tf.is_tensor(loss) and loss.dtype.is_floating and loss.shape.rank == 0:
            self.loss_computed(loss)
        self.end()

    def _forget(self) -> None:
        self._calls.clear()
        self._origin.clear()
        self._alive.clear()
        self._given.clear()
        self._elsewhere.clear()

    # -- the model ---------------------------------------------------------------------------------------------------

    def model_called(self, inputs: Any) -> None:
        """The model was called: note its inputs."""
        if not self.collector.listening or self._calls.get("input"):
            return
        self._calls["input"] = 1
        with _scope(), self.trouble.instead_of_raising("the model's input is not recorded"):
            for number, tensor in enumerate(_tensors(inputs)):
                name = "input" if number == 0 else f"input_{number}"
                self._remember(tensor, "input")
                if number == 0 and tensor.shape.rank:
                    self.collector.scalar(("step", "", "example_count"), tf.shape(tensor)[0])
                if tensor.dtype.is_floating:
                    self.collector.tensor(TensorKey("input", name, "input"), tensor)
                    self._note_example_std("input", name, tensor)

    def model_returned(self, outputs: Any) -> None:
        """The model's outputs: mark the layers they come from."""
        if not self.collector.listening:
            return
        for tensor in _tensors(outputs):
            sighting = self.sightings.get(self._origin.get(id(tensor), ""))
            if sighting is not None:
                sighting.is_output = True

    def loss_computed(self, loss: Any) -> None:
        """The loss that will be differentiated."""
        if self.collector.listening:
            with _scope(), self.trouble.instead_of_raising("the loss is not recorded"):
                self.collector.scalar(("step", "", "loss"), tf.reduce_sum(loss))

    # -- layers ------------------------------------------------------------------------------------------------------

    def layer_called(self, path: str, layer: Any, inputs: Any, outputs: Any, *, watch_units: bool) -> Any:
        """A layer returned ``outputs``: note the first tensor, and give it back with its gradient watched.

        ``watch_units`` says whether its units may die.
        """
        if not self.collector.listening:
            if self.collector.active:
                self._elsewhere.add(path)
            return outputs
        try:
            with _scope():
                return self._layer_called(path, layer, inputs, outputs, watch_units=watch_units)
        except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
            self.trouble.report(f"layer {path} is not recorded: {error}")
            return outputs

    def _layer_called(self, path: str, layer: Any, inputs: Any, outputs: Any, *, watch_units: bool) -> Any:
        flat = tf.nest.flatten(outputs)
        position = next((i for i, t in enumerate(flat) if tf.is_tensor(t) and t.dtype.is_floating), None)
        if position is None:
            return outputs
        output = flat[position]
        name = self._call_name(path)
        self.collector.tensor(TensorKey("activation", name, path), output)
        self._note_example_std("activation", name, output)
        if watch_units:
            self._note_units(name, layer, output)
        self._sight(path, inputs, output)
        flat[position] = self._watched(output, TensorKey("activation_gradient", name, path))
        for tensor in flat:
            self._remember(tensor, path)
        return tf.nest.pack_sequence_as(outputs, flat)

    def activation_called(
        self, path: str, function: Callable[[Any], Any], card: ActivationCard, z: Any, *, repeated: bool
    ) -> Any:
        """A layer is about to apply its activation to ``z``: note it, and give back what to apply it to.

        ``repeated`` says that ``z`` is the output of another layer and recorded as such.
        """
        if not self.collector.listening or not tf.is_tensor(z) or not z.dtype.is_floating:
            return z
        try:
            with _scope():
                return self._activation_called(path, function, card, z, repeated=repeated)
        except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
            self.trouble.report(f"the activation of layer {path} is not recorded: {error}")
            return z

    def _activation_called(
        self, path: str, function: Callable[[Any], Any], card: ActivationCard, z: Any, *, repeated: bool
    ) -> Any:
        name = f"{path}@{self._calls[path] + 1}" if self._calls.get(path) else path
        if card.shape != "linear" and not repeated:
            self.collector.tensor(TensorKey("preactivation", name, path), z)
        if card.max_derivative and card.shape != "linear":
            bound = SATURATION_BOUND * card.max_derivative
            seen = tf.cast(statistics.sample(tf.reshape(tf.cast(z, tf.float32), [-1])), z.dtype)
            share = statistics.saturated_fraction(derivative(function, seen), bound, seen)
            self.collector.scalar(("activation", name, "saturation_fraction"), share)
        if card.shape == "joint" or card.name == "sigmoid":
            # Keras computes cross-entropies of these from z, so nothing flows back through a.
            return self._watched(z, TensorKey("preactivation_gradient", name, path))
        return z

    def _call_name(self, path: str) -> str:
        self._calls[path] = self._calls.get(path, 0) + 1
        return path if self._calls[path] == 1 else f"{path}@{self._calls[path]}"

    def _watched(self, tensor: Any, key: TensorKey) -> Any:
        """The same tensor; the gradient that flows back through it is noted under ``key``."""
        is_symbolic = hasattr(tensor, "op") and not tf.executing_eagerly()
        if is_symbolic and tensor.op.type == "Sigmoid" and not hasattr(tensor, "_keras_logits"):
            return tensor  # a loss may look at the op, and an identity would hide it

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def watch(x: Any) -> tuple[Any, Callable[[Any], Any]]:
            def backward(upstream: Any) -> Any:
                if self.collector.listening:
                    failing = f"the {key.kind} of layer {key.layer} is not recorded"
                    with _scope(), self.trouble.instead_of_raising(failing):
                        self.collector.tensor(key, upstream)
                return upstream

            return tf.identity(x), backward

        watched = watch(tensor)
        for attribute in ("_keras_mask", "_keras_logits"):
            if hasattr(tensor, attribute):
                setattr(watched, attribute, getattr(tensor, attribute))
        if is_symbolic and tensor.op.type == "Softmax" and not hasattr(tensor, "_keras_logits"):
            watched._keras_logits = tensor.op.inputs[0]  # noqa: SLF001  what Keras would find by looking at the op
        return watched

    def _note_example_std(self, kind: str, name: str, tensor: Any) -> None:
        if tensor.shape.rank:
            values = tf.cast(tensor, tf.float32)
            values = tf.reshape(values, [tf.shape(values)[0], -1]) if tensor.shape.rank != 2 else values
            self.collector.scalar((kind, name, "example_std"), statistics.example_std(values))

    def _note_units(self, name: str, layer: Any, output: Any) -> None:
        rank = output.shape.rank
        if not rank or rank < 2:
            return
        axis = statistics.unit_axis(rank, getattr(layer, "data_format", None))
        units = output.shape[axis]
        if units is not None and 0 < units <= _MOST_UNITS:
            silent, per_unit = statistics.dead_units(output, axis)
            self.collector.units(name, tf.ensure_shape(silent, [units]))
            self.collector.scalar(("activation", name, "entries_per_unit"), per_unit)

    def _sight(self, path: str, inputs: Any, output: Any) -> None:
        tensors = _tensors(inputs)
        origins = [self._origin.get(id(tensor)) for tensor in tensors]
        inbound = None if None in origins or not origins else tuple(dict.fromkeys(o for o in origins if o))
        if path not in self.sightings:
            self.sightings[path] = Sighting(
                depth=len(self.sightings),
                input_shapes=tuple(tuple(tensor.shape) for tensor in tensors),
                output_shape=tuple(output.shape),
                inbound=inbound,
            )

    def _remember(self, tensor: Any, path: str) -> None:
        if tf.is_tensor(tensor):
            self._origin[id(tensor)] = path
            self._alive.append(tensor)  # an id is only good while its object lives

    def passed_through(self, inputs: Any, outputs: Any) -> None:
        """A layer that is not recorded (dropout, flatten) passed a signal on: output and input have one origin."""
        if self.collector.listening:
            origins = {self._origin.get(id(tensor)) for tensor in _tensors(inputs)}
            if len(origins) == 1 and (origin := origins.pop()) is not None:
                for tensor in _tensors(outputs):
                    self._remember(tensor, origin)

    # -- the optimizer -----------------------------------------------------------------------------------------------

    def before_apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> dict[str, Any]:
        """The optimizer is about to apply ``gradients``: note them and the weights; returns the weights by name."""
        weights: dict[str, Any] = {}
        if not self.collector.listening:
            return weights
        with _scope(), self.trouble.instead_of_raising("the gradients are not recorded"):
            named = [self.names.of(variable) for variable in variables]
            scale = _loss_scale(optimizer)
            if scale is not None:
                self.collector.scalar(("step", "", "loss_scale"), scale)
            if optimizer is not None:
                self.collector.scalar(("step", "", "learning_rate"), optimizer.learning_rate)
            unscaled = [_unscaled(gradient, scale) for gradient in gradients]
            for item, gradient in zip(named, self._over_replicas(unscaled), strict=True):
                self.optimized.add(item.name)
                weights[item.name] = tf.identity(_value(item.variable))
                self.collector.tensor(TensorKey("weight", item.name, item.layer), weights[item.name])
                if gradient is None:
                    self.disconnected.add(item.name)
                else:
                    self.collector.tensor(TensorKey("gradient", item.name, item.layer), gradient)
            self._note_clipping(optimizer, named, unscaled)
        return weights

    def _over_replicas(self, gradients: list[Any]) -> list[Any]:
        replica = self.collector.replica
        return gradients if replica is None else replica.summed(gradients)

    def _note_clipping(self, optimizer: Any, named: list[NamedVariable], gradients: list[Any]) -> None:
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if not any(getattr(inner, name, None) for name in ("clipvalue", "clipnorm", "global_clipnorm")):
            return
        present = [(item, g) for item, g in zip(named, gradients, strict=True) if g is not None]
        clipped = inner._clip_gradients([g for _, g in present])  # noqa: SLF001  the very function the step uses
        changed, count = tf.constant(0.0), tf.constant(0.0)
        # Keras clips the gradients of each replica, and sums what is left.
        for (item, _), applied in zip(present, self._over_replicas(list(clipped)), strict=True):
            self.collector.tensor(TensorKey("clipped_gradient", item.name, item.layer), applied)
        for (_, gradient), result in zip(present, clipped, strict=True):
            differs = tf.not_equal(tf.convert_to_tensor(gradient), tf.convert_to_tensor(result))
            changed += tf.reduce_sum(tf.cast(differs, tf.float32))
            count += tf.cast(tf.size(differs), tf.float32)
        self.collector.scalar(("step", "", "clipped_fraction"), changed / count)

    def after_apply(self, weights: dict[str, Any], variables: Sequence[Any]) -> None:
        """The optimizer has applied the gradients: note what it changed."""
        if not self.collector.listening:
            return
        with _scope(), self.trouble.instead_of_raising("the updates are not recorded"):
            for variable in variables:
                item = self.names.of(variable)
                if item.name in weights:
                    after = _value(item.variable)
                    self.collector.tensor(TensorKey("update", item.name, item.layer), after - weights[item.name])

    def gradients_given(self, grads_and_vars: Sequence[tuple[Any, Any]]) -> None:
        """A loop without a Keras optimizer says what it is about to apply; its updates are noted when the step ends."""
        gradients = [gradient for gradient, _ in grads_and_vars]
        variables = [variable for _, variable in grads_and_vars]
        self._given.append((self.before_apply(None, gradients, variables), variables))

    def gradients_seen(self, variables: Sequence[Any], gradients: Sequence[Any]) -> None:
        """Gradients that nobody is going to apply."""
        if not self.collector.listening:
            return
        with _scope(), self.trouble.instead_of_raising("the gradients of the probe are not recorded"):
            for item, gradient in zip(map(self.names.of, variables), gradients, strict=True):
                if gradient is not None:
                    self.collector.tensor(TensorKey("gradient", item.name, item.layer), gradient)

    def frozen(self) -> None:
        """Note the weights of the variables that are not trained."""
        if self.collector.listening:
            with _scope(), self.trouble.instead_of_raising("the frozen weights are not recorded"):
                for item in self.names.variables:
                    if not item.variable.trainable and not self.collector.has("weight", item.name):
                        self.collector.tensor(TensorKey("weight", item.name, item.layer), _value(item.variable))


def _scope() -> Any:
    return tf.name_scope(SCOPE)


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in tf.nest.flatten(structure) if tf.is_tensor(leaf)]


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
    return tf.convert_to_tensor(gradient) / tf.cast(scale, gradient.dtype)
