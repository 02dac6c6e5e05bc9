"""Observer: decides what to measure of a model's, a layer's and an activation's call, and notes it.

Every entry point guards itself: what fails is reported with the layer's name, and the step goes on as if untapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradscope.model_card import ActivationCard
from gradscope.recording import statistics
from gradscope.recording.activations import derivative
from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.recording.gradient_calls import GradientCalls
from gradscope.recording.gradient_observer import GradientObserver
from gradscope.recording.large_tensors import sample
from gradscope.recording.loop_arguments import targets_among
from gradscope.recording.loss_calls import LossCalls
from gradscope.recording.naming import Names, numbered, sizes
from gradscope.recording.origins import Origins
from gradscope.recording.reported_loss import ReportedLoss
from gradscope.recording.scope import scope
from gradscope.recording.sequences import Sequences
from gradscope.recording.sparse import is_numeric
from gradscope.recording.trouble import Trouble
from gradscope.run import TensorKey
from gradscope.vocabulary import SATURATION_BOUND

__all__ = ["Observer", "Sighting"]

_LOSS = ("step", "", "loss")
_CALLED_LOSS = ("step", "", "called_loss")
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
    compiled_loss: bool = False
    """Whether the model's ``compute_loss`` was called."""
    own_loss: bool = False
    """Whether the recorded loss is that of a step of one's own."""
    called_losses: list[Mapping[str, Any]] = field(default_factory=list)
    """The losses that such a step called, as the model card has them; empty where it is not clear which judges what."""
    target_shapes: dict[str, list[int | None] | None] = field(default_factory=dict)
    """Of each recorded target, None for sizes that vary."""
    added_losses: bool = False
    """Whether penalties or losses of layers add to the compiled loss."""
    weighted: bool = False
    """Whether the loss was given weights of the examples."""
    _calls: dict[str, int] = field(default_factory=dict)
    _origins: Origins = field(default_factory=Origins)
    _elsewhere: set[str] = field(default_factory=set)
    """Layers called in another graph: a loop's body, or the scratch graph in which Keras builds a model."""

    def __post_init__(self) -> None:
        """Make the parts that watch the optimizers, the sequences and the losses."""
        self.optimizers = GradientObserver(self.collector, self.trouble, self.names)
        self.sequences = Sequences(self.collector, self.trouble)
        self.reported_loss = ReportedLoss(lambda: self.collector.listening)
        self._loss_calls = LossCalls()
        self._gradient_calls = GradientCalls(self.names)

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
        """A step of one's own is over, and returned ``outputs``: see `ReportedLoss` for which loss they tell.

        ``trust`` says that a loss returned as it is tells more than what the model's ``compute_loss`` did.
        """
        if not self.collector.active:
            return  # the replicas of a strategy have observed it
        if self.collector.listening:
            with scope(), self.trouble.instead_of_raising("the loss that the step returns is not recorded"):
                loss, followed = self.reported_loss.of(outputs)
                loss = loss if followed else self._differentiated(loss)
                if loss is not None and (trust or followed or self.collector.noted_scalar(_LOSS) is None):
                    self.own_loss = True
                    self.loss_computed(loss)
                    self._loss_calls.read_off(loss, self._origins)
            with scope(), self.trouble.instead_of_raising("which losses the step computes is not recorded"):
                self._note_called_losses()
        self.end()

    def _differentiated(self, reported: Any) -> Any:
        """The loss that a step of one's own differentiates, rather than what it returns; that if nothing else is known.

        What is scaled against underflow is not taken for a loss that is known without.
        """
        scale, loss = self.collector.noted_scalar(("step", "", "loss_scale")), self._gradient_calls.loss(reported)
        if self.compiled_loss or loss is None or (scale is not None and reported is not None):
            return reported
        return loss if scale is None else loss / scale

    def _note_called_losses(self) -> None:
        calls = self._loss_calls
        if not calls.clear:
            return
        self.collector.scalar(_CALLED_LOSS, total := calls.total())
        if self.compiled_loss:
            self.called_losses = calls.describe()
            return
        if self.collector.noted_scalar(_LOSS) is None:
            self.own_loss = True
            self.loss_computed(total)
        for key in self.collector.noted("target"):
            self.collector.drop("target", key.name)
        self.target_shapes.clear()
        self.targets_given(calls.targets)
        self.called_losses, self.weighted = calls.describe(), calls.weighted

    def metric_updated(self, metric: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A metric of the model is about to be updated."""
        if self.collector.active:
            with scope(), self.trouble.instead_of_raising("what a metric was given is not recorded"):
                self.reported_loss.metric_updated(metric, args, kwargs)

    def metric_read(self, metric: Any, result: Any) -> None:
        """A metric of the model gave its result."""
        if self.collector.active:
            self.reported_loss.metric_read(metric, result)

    def _forget(self) -> None:
        self._calls.clear()
        self._origins.forget()
        self.optimizers.forget()
        self.reported_loss.forget()
        self._loss_calls.forget()
        self._gradient_calls.forget()
        self._elsewhere.clear()

    # -- the model ---------------------------------------------------------------------------------------------------

    def model_called(self, inputs: Any) -> None:
        """The model was called: note its inputs."""
        if not self.collector.listening or self._calls.get("input"):
            return
        self._calls["input"] = 1
        with scope(), self.trouble.instead_of_raising("the model's input is not recorded"):
            for name, tensor in numbered("input", _tensors(inputs)):
                self._origins.remember(tensor, name)
                if name == "input" and tensor.shape.rank:
                    self.collector.scalar(("step", "", "example_count"), tf.shape(tensor)[0])
                if is_numeric(tensor) and tensor.dtype.is_floating:
                    self.collector.tensor(TensorKey("input", name, "input"), tensor)
                    self._note_example_std("input", name, tensor)

    def model_returned(self, outputs: Any) -> None:
        """The model's outputs: mark the layers they come from."""
        if not self.collector.listening:
            return
        entries = outputs.items() if isinstance(outputs, dict) else enumerate(_tensors(outputs))
        for place, tensor in entries:
            path = self._origins.of(tensor)
            self.outputs.setdefault(place, path)
            sighting = self.sightings.get(path or "")
            if sighting is not None and path is not None:
                sighting.is_output = True
                self._origins.returned(tensor, path)

    def loop_called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A step of a loop of one's own was called: note the targets, if it is plain which they are."""
        with scope(), self.trouble.instead_of_raising("the targets are not recorded"):
            self.targets_given(targets_among(function, args, kwargs))

    def loss_computed(self, loss: Any) -> None:
        """The loss that will be differentiated."""
        if self.collector.listening:
            with scope(), self.trouble.instead_of_raising("the loss is not recorded"):
                self.collector.scalar(_LOSS, tf.reduce_sum(loss))

    def compiled_loss_computed(self, loss: Any, *, named: bool) -> None:
        """The model's ``compute_loss`` gave that loss; if its function is none of Keras', see what it is made of."""
        self.loss_computed(loss)
        self.compiled_loss = True
        self._loss_calls.forget()
        if self.collector.listening and not named:
            with scope(), self.trouble.instead_of_raising("what the loss is made of is not recorded"):
                self._loss_calls.read_off(loss, self._origins)

    def losses_added(self, loss: Any, added: Callable[[], list[Any]]) -> None:
        """To what the outputs cost ``compute_loss`` added those: penalties, and losses of layers."""
        if self.collector.listening:
            with scope(), self.trouble.instead_of_raising("the loss without what is added to it is not recorded"):
                parts = [tf.reduce_sum(tf.cast(part, tf.float32)) for part in added()]
                self.added_losses = bool(parts)
                if parts:
                    self.collector.scalar(_CALLED_LOSS, tf.cast(loss, tf.float32) - tf.add_n(parts))

    def loss_called(self, loss: Any, value: Any, y_true: Any, y_pred: Any, *, weighted: bool) -> None:
        """A Keras loss was computed, of an output of the model or of anything else."""
        if self.collector.listening and not self.compiled_loss:
            with self.trouble.instead_of_raising("which losses the step computes is not recorded"):
                output = self._origins.of(y_pred)
                whole = output in self.sightings and self.sightings[output].is_output
                self._loss_calls.called(loss, value, y_true, output if whole else None, weighted=weighted)

    def gradient_taken(self, target: Any, sources: Any) -> None:
        """A tape was asked for the gradient of something."""
        if self.collector.listening:
            with self.trouble.instead_of_raising("which loss the step differentiates is not recorded"):
                self._gradient_calls.called(target, sources)

    def targets_given(self, targets: Any) -> None:
        """What the loss compares the outputs with."""
        if not self.collector.listening:
            return
        with scope(), self.trouble.instead_of_raising("the targets are not recorded"):
            for name, tensor in numbered("target", filter(is_numeric, _tensors(targets))):
                self.collector.tensor(TensorKey("target", name, "target"), tensor)
                self.target_shapes[name] = sizes(tensor)
                self._note_example_std("target", name, tensor)

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
            self._origins.remember(tensor, path)
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

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def watch(x: Any) -> tuple[Any, Callable[[Any], Any]]:
            def backward(upstream: Any) -> Any:
                if self.collector.listening:
                    failing = f"the {key.kind} of layer {key.layer} is not recorded"
                    with scope(), self.trouble.instead_of_raising(failing):
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
        origins = [self._origins.of(tensor) for tensor in tensors]
        inbound = None if None in origins or not origins else tuple(dict.fromkeys(o for o in origins if o))
        if path not in self.sightings:
            self.sightings[path] = Sighting(
                depth=len(self.sightings),
                input_shapes=tuple(tuple(tensor.shape) for tensor in tensors),
                output_shape=tuple(output.shape),
                inbound=inbound,
            )

    def passed_through(self, inputs: Any, outputs: Any) -> None:
        """A layer that is not recorded (dropout, flatten) passed a signal on: output and input have one origin."""
        if self.collector.listening:
            origins = {self._origins.of(tensor) for tensor in _tensors(inputs)}
            if len(origins) == 1 and (origin := origins.pop()) is not None:
                for tensor in _tensors(outputs):
                    self._origins.remember(tensor, origin)


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in tf.nest.flatten(structure) if tf.is_tensor(leaf)]
