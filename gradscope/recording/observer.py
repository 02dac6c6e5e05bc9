"""Observer: decides what to measure of a model's, a layer's and an activation's call, and notes it.

Every entry point guards itself: what fails is reported with the layer's name, and the step goes on as if untapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradscope.model_card import ActivationCard
from gradscope.recording import statistics
from gradscope.recording.activations import derivative
from gradscope.recording.backflow import noting_gradient
from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.recording.gradient_observer import GradientObserver
from gradscope.recording.large_tensors import sample
from gradscope.recording.loss_observer import LossObserver
from gradscope.recording.naming import Names, numbered
from gradscope.recording.origins import Origins
from gradscope.recording.scope import scope
from gradscope.recording.sequences import Sequences
from gradscope.recording.tensors import example_count, is_floating, is_numeric, tensors_in
from gradscope.recording.trouble import Trouble
from gradscope.run import TensorKey
from gradscope.vocabulary import SATURATION_BOUND

__all__ = ["Observer", "Sighting"]

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
    outputs: dict[int | str, str | None] = field(default_factory=dict)
    """The layer that each output of the model comes from, by its place or its key; None if unknown."""
    passed: dict[str, str] = field(default_factory=dict)
    """Where the signal came from that a layer passed on which is not recorded."""
    _calls: dict[str, int] = field(default_factory=dict)
    _origins: Origins = field(default_factory=Origins)
    _elsewhere: set[str] = field(default_factory=set)
    """Layers called in another graph: a loop's body, or the scratch graph in which Keras builds a model."""

    def __post_init__(self) -> None:
        """Make the parts that watch the optimizers, the sequences and the losses."""
        self.optimizers = GradientObserver(self.collector, self.trouble, self.names)
        self.sequences = Sequences(self.collector, self.trouble)
        self.losses = LossObserver(self.collector, self.trouble, self.names, self._origins, self._is_output)

    def begin(self) -> None:
        """A step starts."""
        self.collector.begin()
        self._forget()

    def end(self) -> None:
        """The step is over: write what was noted."""
        self.optimizers.end()
        self._finish()

    def end_probe(self) -> None:
        """A look at a probe batch is over: write what was noted."""
        for key in self.collector.noted("target"):
            self.collector.drop("target", key.name)
        self._finish()

    def _finish(self) -> None:
        for key in self.collector.noted("preactivation_gradient"):
            if self.collector.has("activation_gradient", key.name):
                self.collector.drop("preactivation_gradient", key.name)
        try:
            with scope():
                self.collector.flush()
        except Exception as error:  # noqa: BLE001  a trace that fails half-way would leave an optimizer without variables
            self.failure = error
        for path in sorted(self._elsewhere - set(self._calls)):
            self.trouble.report(f"layer {path} runs in a loop or branch of the graph: its output is not recorded")
        self._forget()

    def end_step(self, outputs: Any, *, trust: bool) -> None:
        """A step of one's own is over, and returned ``outputs``; see `LossObserver.step_returned` for ``trust``."""
        if not self.collector.active:
            return  # the replicas of a strategy have observed it
        applied = self.optimizers.applied
        self.losses.step_returned(outputs, applied, trust=trust)
        self.optimizers.without_gradient(self.losses.without_gradient(applied))
        self.end()

    def _forget(self) -> None:
        self._calls.clear()
        self._origins.forget()
        self.optimizers.forget()
        self.losses.forget()
        self.sequences.forget()
        self._elsewhere.clear()

    def _is_output(self, path: str | None) -> bool:
        return path in self.sightings and self.sightings[path].is_output

    # -- the model ---------------------------------------------------------------------------------------------------

    def model_called(self, inputs: Any) -> None:
        """The model was called: note its inputs."""
        if not self.collector.listening or self._calls.get("input"):
            return
        self._calls["input"] = 1
        with scope(), self.trouble.instead_of_raising("the model's input is not recorded"):
            for name, tensor in numbered("input", tensors_in(inputs)):
                self._origins.remember(tensor, name)
                if name == "input" and tensor.shape.rank:
                    self.collector.scalar(("step", "", "example_count"), example_count(tensor))
                if is_numeric(tensor):
                    self.collector.tensor(TensorKey("input", name, "input"), tensor)
                    self.collector.example_std("input", name, tensor)
                    self.collector.leading_unit("input", name, tensor)

    def model_returned(self, outputs: Any) -> None:
        """The model's outputs: mark the layers they come from."""
        if not self.collector.listening:
            return
        entries = outputs.items() if isinstance(outputs, dict) else enumerate(tensors_in(outputs))
        for place, tensor in entries:
            path = self._origins.of(tensor)
            self.outputs.setdefault(place, path)
            sighting = self.sightings.get(path or "")
            if sighting is not None and path is not None:
                sighting.is_output = True
                self._origins.returned(tensor, path)

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
            with scope():
                return self._layer_called(path, layer, inputs, outputs, watch_units=watch_units)
        except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
            self.trouble.report(f"layer {path} is not recorded: {error}")
            return outputs

    def _layer_called(self, path: str, layer: Any, inputs: Any, outputs: Any, *, watch_units: bool) -> Any:
        flat = tf.nest.flatten(outputs)
        position = next((i for i, t in enumerate(flat) if is_floating(t)), None)
        if position is None:
            self._calls.setdefault(path, 0)  # it was called here, wherever else it was
            if any(isinstance(tensor, tf.RaggedTensor) for tensor in flat):
                self.trouble.report(f"layer {path} is not recorded: its output is a ragged tensor")
            return outputs
        output = flat[position]
        name = self._call_name(path)
        self.collector.tensor(TensorKey("activation", name, path), output)
        self.collector.example_std("activation", name, output)
        if watch_units:
            self._note_units(name, layer, output)
        self._sight(path, inputs, output)
        flat[position] = self._watched(output, TensorKey("activation_gradient", name, path))
        for tensor in flat:
            self._origins.remember(tensor, path)
        return tf.nest.pack_sequence_as(outputs, flat)

    def activation_called(
        self, path: str, function: Callable[[Any], Any], card: ActivationCard, z: Any, *, repeated: bool
    ) -> Any:
        """A layer is about to apply its activation to ``z``: note it, and give back what to apply it to.

        ``repeated`` says that ``z`` is the output of another layer and recorded as such.
        """
        if not self.collector.listening or not is_floating(z):
            return z
        try:
            with scope():
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
            seen = tf.cast(sample(statistics.flattened(z)), z.dtype)
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

        def note(upstream: Any) -> None:
            if self.collector.listening:
                failing = f"the {key.kind} of layer {key.layer} is not recorded"
                with scope(), self.trouble.instead_of_raising(failing):
                    self.collector.tensor(key, upstream)

        watched = noting_gradient(tensor, note)
        if is_symbolic and tensor.op.type == "Softmax" and not hasattr(tensor, "_keras_logits"):
            watched._keras_logits = tensor.op.inputs[0]  # noqa: SLF001  what Keras would find by looking at the op
        return watched

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
        tensors = tensors_in(inputs)
        origins = [self._origins.of(tensor) for tensor in tensors]
        inbound = None if None in origins or not origins else tuple(dict.fromkeys(o for o in origins if o))
        if path not in self.sightings:
            self.sightings[path] = Sighting(
                depth=len(self.sightings),
                input_shapes=tuple(tuple(tensor.shape) for tensor in tensors),
                output_shape=tuple(output.shape),
                inbound=inbound,
            )

    def passed_through(self, path: str, inputs: Any, outputs: Any) -> None:
        """A layer that is not recorded (dropout, flatten) passed a signal on: output and input have one origin."""
        if self.collector.listening:
            origins = {self._origins.of(tensor) for tensor in tensors_in(inputs)}
            if len(origins) == 1 and (origin := origins.pop()) is not None:
                self.passed[path] = origin
                for tensor in tensors_in(outputs):
                    self._origins.remember(tensor, origin)
