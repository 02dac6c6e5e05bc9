"""gradscope.probe: what a network does to signal and gradient, seen on one batch before it is trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradscope.diagnosis.engine import diagnose
from gradscope.errors import RecordingError
from gradscope.events.sample import Sample
from gradscope.events.writer import EventWriter
from gradscope.model_card import ModelCard
from gradscope.recording.assemble import DEAD_UNIT_WINDOW, Assembler
from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.gain_profile import GainProfile, LayerGains
from gradscope.recording.jacobian import EXACT_ENTRIES, Function, SingularValues, singular_values
from gradscope.recording.layer_gains import backward_gain, effective_gain, forward_gain
from gradscope.recording.losses import loss_in_inference
from gradscope.recording.model_card import build_model_card
from gradscope.recording.naming import Names
from gradscope.recording.outlook import outlook
from gradscope.recording.replicas import Observers
from gradscope.recording.taps import Taps
from gradscope.recording.trouble import Trouble
from gradscope.recording.witness import Witness
from gradscope.reports.json_document import to_json
from gradscope.reports.markdown import to_markdown
from gradscope.run import Run

__all__ = ["probe"]

_Target = Callable[[Witness, Any], Any]


def probe(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    loss: Any = None,
    log_dir: str | os.PathLike[str] | None = None,
    examples: int = 4,
    exact_entries: int = EXACT_ENTRIES,
    seed: int = 0,
) -> GainProfile:
    """Run one batch forward and back through a model, without changing it, and measure what each layer does.

    For every call of a layer: how much larger or smaller its output is than its input, and the gradient at its input
    than that at its output; fan_in · Var(w) · E[f'²], which Glorot's initialisation sets to about 1; and the singular
    values of its Jacobian. Besides, those of the whole network's, and what the rules say. All runs eagerly and in
    inference mode. Weights, moving statistics, metrics and the states of seed generators are afterwards as they were; a
    model that is not built yet is built, as its first step would.

    Args:
        model: a Keras model or layer. Its examples must not act on each other in inference mode.
        x: a batch: an array or tensor, or a structure of them, the examples along the first axis.
        y: what the loss compares with; None sends a random gradient back instead, normally distributed at the output,
            before a softmax or sigmoid there.
        loss: a Keras loss, its name, or a function of (y, prediction); None: that of the compiled model.
        log_dir: where to write what was measured, as a run of the one step 0 that ``gradscope check`` and TensorBoard
            read, the table in its Text tab; None writes nothing. Best a folder of its own.
        examples: how many examples of the batch, evenly spaced, Jacobians are taken at; 0 leaves them out.
        exact_entries: Jacobians of up to so many entries are decomposed exactly, larger ones estimated; see
            `gradscope.recording.jacobian.singular_values`. 2^20 decomposes 1024 x 1024, at about a second each.
        seed: of all random vectors.

    Raises:
        RecordingError: ``model`` is no Keras layer, ``x`` no batch, ``y`` given without a loss or the other way round,
            or ``examples`` negative.
        MissingDependencyError: TensorFlow or Keras 3 on the tensorflow backend is missing.

    Example:
        >>> import keras, numpy as np, gradscope
        >>> small = keras.initializers.RandomNormal(stddev=0.05, seed=1)
        >>> stack = [keras.layers.Dense(16, activation="tanh", kernel_initializer=small) for _ in range(8)]
        >>> found = gradscope.probe(keras.Sequential([keras.Input((16,)), *stack]), np.ones((4, 16), "float32"))
        >>> found.outlook.word, len(found.frame)
        ('will vanish', 8)
    """
    _check(model, y, loss, examples)
    inputs = _converted(x)
    if not getattr(model, "built", True):
        model(inputs, training=False)
    trouble = Trouble()
    with _unchanged(model):
        witness = Witness(Collector(), trouble, Names(model))
        taps = Taps(model, Observers(trouble, witness.names, witness))
        tape, gradients = _pass(model, inputs, witness, taps, _target(model, y, loss, seed), is_loss=y is not None)
        measured = witness.collector.read_replicas()
        card = build_model_card(model, witness, taps.activations, {"dead_unit_window": DEAD_UNIT_WINDOW})
        batch = int(tf.nest.flatten(inputs)[0].shape[0])
        jacobian = _Jacobians(batch, examples, exact_entries, seed, trouble)
        layers = tuple(
            LayerGains(
                layer=call.name,
                kind=type(call.layer).__name__,
                forward_gain=forward_gain(call, function),
                backward_gain=backward_gain(call, function, tape, *gradient),
                effective_gain=effective_gain(call, card),
                jacobian=jacobian(f"layer {call.name}", function),
            )
            for call, gradient in zip(witness.calls, gradients, strict=True)
            for function in [Function(call.layer, call.args, call.kwargs, batch)]
        )
        network = jacobian("the network", Function(model, (inputs,), {"training": False}, batch))
    sample = Assembler().assemble(measured[0], 0, keep_histograms=True, seconds=0.0)
    path = str(model.name) if log_dir is None else os.fspath(log_dir)
    run = _run_of(path, sample, card, trouble)
    profile = GainProfile(layers, network, outlook(run), diagnose(run), tuple(trouble.texts))
    if log_dir is not None:
        _write(path, sample, card, profile)
    return profile


def _check(model: Any, y: Any, loss: Any, examples: int) -> None:
    if not isinstance(model, keras.layers.Layer):
        raise RecordingError(f"model={model!r}: give a Keras model or layer")
    if isinstance(examples, bool) or not isinstance(examples, int) or examples < 0:
        raise RecordingError(f"examples={examples!r}: give a whole number >= 0 of examples to take Jacobians at")
    if y is None and loss is not None:
        raise RecordingError("loss was given without y: give what the loss is to compare with, or neither")
    if y is not None and loss is None and not getattr(model, "compiled", False):
        raise RecordingError("y was given, but the model is not compiled: give the loss as well, or leave y out")


def _converted(x: Any) -> Any:
    try:
        inputs = tf.nest.map_structure(tf.convert_to_tensor, x)
        sizes = {tensor.shape[0] if tensor.shape.rank else None for tensor in tf.nest.flatten(inputs)}
    except (ValueError, TypeError) as error:
        raise RecordingError(f"x is no batch ({error}): give an array, or a structure of arrays") from error
    if len(sizes) != 1 or not sizes.copy().pop():
        found = ", ".join(str(tuple(tensor.shape)) for tensor in tf.nest.flatten(inputs)) or "nothing"
        raise RecordingError(f"x is no batch: got {found}; give arrays with the same number of examples, at least one")
    return inputs


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Whatever the block does to the model's variables is undone: its statistics, metrics, states, seeds."""
    variables = {id(v): v for v in [*model.variables, *getattr(model, "metrics_variables", ())]}.values()
    before = [(variable, variable.numpy()) for variable in variables]
    try:
        yield
    finally:
        for variable, value in before:
            if not np.array_equal(variable.numpy(), value, equal_nan=value.dtype.kind == "f"):
                variable.assign(value)


def _target(model: Any, y: Any, loss: Any, seed: int) -> _Target:
    """What is differentiated, as a function of the witness of the forward pass and the model's outputs."""
    if y is None:
        random = np.random.default_rng(seed)
        return lambda witness, outputs: sum(
            tf.reduce_sum(tensor * tf.cast(random.normal(size=tensor.shape), tensor.dtype))
            for tensor in _raw_outputs(witness, outputs)
        )
    target = tf.nest.map_structure(tf.convert_to_tensor, y)
    if loss is not None:
        function = keras.losses.get(loss)
        return lambda _, outputs: tf.reduce_mean(function(target, outputs))
    return lambda _, outputs: loss_in_inference(model, y=target, y_pred=outputs)


def _raw_outputs(witness: Witness, outputs: Any) -> list[Any]:
    """The network's floating outputs; in place of a softmax or sigmoid there, its argument."""
    arguments = {id(call.output): call.z for call in witness.calls if call.z is not None}
    tensors = [tensor for tensor in tf.nest.flatten(outputs) if tensor.dtype.is_floating]
    return [arguments.get(id(tensor), tensor) for tensor in tensors]


def _pass(
    model: Any, inputs: Any, witness: Witness, taps: Taps, target: _Target, *, is_loss: bool
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Forward and back once; returns the tape and each call's ∂loss/∂output and ∂loss/∂z, None where there is none."""
    variables = list(model.trainable_variables)
    with taps.installed():
        witness.begin()
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([tensor for tensor in tf.nest.flatten(inputs) if tensor.dtype.is_floating])
            outputs = model(inputs, training=False)
            loss = target(witness, outputs)
        if is_loss:  # else a random projection of the outputs: its size and sign mean nothing to the rules
            witness.losses.computed(loss)
        at_output, at_argument, at_variable = tape.gradient(
            loss,
            (
                [call.output for call in witness.calls],
                [call.output if call.z is None else call.z for call in witness.calls],
                [variable.value for variable in variables],
            ),
        )
        witness.optimizers.before(None, at_variable, variables)
        witness.end()
    return tape, list(zip(at_output, at_argument, strict=True))


@dataclass(frozen=True)
class _Jacobians:
    """Singular values of one function after another, at the same examples."""

    batch: int
    examples: int
    exact_entries: int
    seed: int
    trouble: Trouble

    def __call__(self, name: str, function: Function) -> SingularValues:
        if self.examples:
            chosen = np.unique(np.linspace(0, self.batch - 1, min(self.examples, self.batch)).astype(int))
            with self.trouble.instead_of_raising(f"the Jacobian of {name} is not known"):
                return singular_values(function, chosen, seed=self.seed, exact_entries=self.exact_entries)
        return SingularValues.unknown()


def _run_of(path: str, sample: Sample, card: ModelCard, trouble: Trouble) -> Run:
    statistics = {name: np.array([value]) for name, value in sample.step_statistics.items()}
    values = sample.values[None]
    return Run(path, np.zeros(1, np.int64), sample.tensors, values, statistics, card, trouble=tuple(trouble.texts))


def _write(log_dir: str, sample: Sample, card: ModelCard, profile: GainProfile) -> None:
    with EventWriter(log_dir) as writer:
        writer.write_model_card(card, 0)
        for text in profile.trouble:
            writer.write_trouble(text, 0)
        writer.write_sample(sample)
        writer.write_findings(to_json(profile.diagnosis), 0)
        writer.write_report(f"{profile.to_markdown()}\n\n{to_markdown(profile.diagnosis)}", 0)
