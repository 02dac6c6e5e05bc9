"""The gradient that comes back to the beginning of a recurrent layer's sequences."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
STEPS = 12


@pytest.fixture
def sequences():
    """x of shape (32, STEPS, 3) and y of shape (32, 1)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, STEPS, 3)).astype(np.float32)
    return x, x[:, 0, :1]


def stack(*parts):
    model = keras.Sequential([keras.Input((STEPS, 3)), *parts, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def expected(model, x, y):
    """The ratio by a plain tape, for a model that has the recurrent layer before its last one."""
    *before, memory, last = model.layers
    for layer in before:
        x = layer(x)
    states = [tf.zeros_like(state) for state in memory.get_initial_state(len(x))]
    with tf.GradientTape() as tape:
        tape.watch(states)
        outputs = memory(x, initial_state=states, training=True)
        tape.watch(outputs)
        loss = model.compute_loss(y=tf.constant(y), y_pred=last(outputs))
    *starts, end = tape.gradient(loss, [*states, outputs])
    by_step = np.abs(end).mean(axis=(0, *range(2, end.ndim)) if memory.return_sequences else None)
    return max(np.abs(start).mean() for start in starts) / np.ravel(by_step)[-1]


def measured(run, name="memory"):
    return run.series("activation_gradient", name, "time_gradient_ratio")


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=lambda o: next(iter(o), ""))
def test_it_is_that_of_a_plain_tape(kind, options, sequences, record):
    model = stack(kind(5, name="memory"))
    ratio = expected(model, *sequences)
    model.compile("sgd", "mse", **options)
    assert measured(record(model, *sequences, batch_size=32))[0] == pytest.approx(ratio, rel=1e-3)


def test_of_a_whole_sequence_the_last_step_counts(sequences, record):
    x, _ = sequences
    model = stack(layers.GRU(5, return_sequences=True, name="memory"))
    y = np.cumsum(x[:, :, :1], axis=1)
    ratio = expected(model, x, y)
    assert measured(record(model, x, y, batch_size=32))[0] == pytest.approx(ratio, rel=1e-3)


def test_what_a_mask_takes_out_is_no_step(sequences, record):
    x, y = sequences
    x[:, :2] = 0.0
    x[:, -3:] = 0.0
    model = stack(layers.Masking(), layers.GRU(5, name="memory"))
    ratio = expected(model, x[:, 2:-3], y)
    assert measured(record(model, x, y, batch_size=32))[0] == pytest.approx(ratio, rel=1e-3)


def test_a_layer_that_is_handed_its_state_has_none(sequences, record):
    inputs = keras.Input((STEPS, 3))
    outputs, state = layers.GRU(4, return_state=True, name="reader")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.GRU(4, name="memory")(inputs, initial_state=state) + outputs))
    model.compile("sgd", "mse")
    run = record(model, *sequences)
    assert np.isnan(measured(run)).all()
    assert np.isfinite(measured(run, "reader")).all()
    assert run.trouble == ()


def test_each_layer_of_a_stack_and_both_directions_have_their_own(sequences, record):
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True, name="both"))
    run = record(stack(both, layers.GRU(4, name="memory")), *sequences)
    recurrent = {card.name for card in run.model.layers if card.kind in ("LSTM", "GRU")}
    assert len(recurrent) == 3
    assert all(np.isfinite(measured(run, name)).all() for name in recurrent)
    assert {card.kind: card.inbound for card in run.model.layers}["Dense"] == ("memory",)
    assert run.trouble == ()


def test_cells_on_top_of_each_other_begin_with_a_state_each(sequences, tmp_path, exact_graphs):
    def weights(callbacks):
        keras.utils.set_random_seed(3)
        model = stack(layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], name="memory"))
        model.fit(*sequences, batch_size=8, verbose=0, callbacks=callbacks)
        return model.get_weights()

    recorded, plain = weights([gradscope.Recorder(tmp_path, every=1, summary=False)]), weights([])
    assert all(np.array_equal(a, b) for a, b in zip(recorded, plain, strict=True))
    run = gradscope.read_run(tmp_path)
    assert np.isfinite(measured(run)).all()
    assert run.trouble == ()


def test_a_frozen_layer_has_none(sequences, record):
    run = record(stack(layers.GRU(4, name="memory", trainable=False)), *sequences)
    assert np.isnan(measured(run)).all()
    assert run.trouble == ()


def test_a_step_of_ones_own_is_measured_alike(sequences, tmp_path):
    x, y = sequences
    model, optimizer = stack(layers.LSTM(5, name="memory")), keras.optimizers.SGD(0.01)
    ratio = expected(model, x, y)

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        recorder.wrap(train_step, model=model, optimizer=optimizer)(tf.constant(x), tf.constant(y))
    assert measured(gradscope.read_run(tmp_path))[0] == pytest.approx(ratio, rel=1e-3)


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_the_weight_that_the_tape_is_led_by_learns_as_before(kind, sequences, tmp_path, exact_graphs):
    def weights(callbacks):
        keras.utils.set_random_seed(3)
        model = stack(kind(5, return_sequences=True), kind(5))
        model.fit(*sequences, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
        return model.get_weights()

    recorded, plain = weights([gradscope.Recorder(tmp_path, every=1, summary=False)]), weights([])
    assert all(np.array_equal(a, b) for a, b in zip(recorded, plain, strict=True))
