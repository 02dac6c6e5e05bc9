"""Loops that hand their optimizer only the gradients that are not None: what the loss misses is told as such."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
STEPS = 12
RULES = ("disconnected-variable", "omitted-variable")


def build(*, cut=True):
    """An encoder of two layers, behind which nothing flows back if it is cut off, and a head."""
    keras.utils.set_random_seed(7)
    x = keras.Input((5,))
    z = layers.Dense(4, "tanh", name="second")(layers.Dense(6, "tanh", name="first")(x))
    z = layers.Lambda(tf.stop_gradient if cut else tf.identity)(z)
    return keras.Model(x, layers.Dense(1, name="head")(z))


def error(model, x, y):
    return tf.reduce_mean(tf.square(model(x, training=True) - y))


def present(gradients, variables):
    return [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]


def filtered(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = error(model, x, y)
    variables = model.trainable_variables
    optimizer.apply_gradients(present(tape.gradient(loss, variables), variables))
    return loss


def clipped(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = error(model, x, y)
    pairs = present(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    gradients, _ = tf.clip_by_global_norm([gradient for gradient, _ in pairs], 0.1)
    optimizer.apply_gradients(zip(gradients, [variable for _, variable in pairs], strict=True))
    return loss


def nested(model, optimizer, x, y):
    sources = {layer.name: [v.value for v in layer.trainable_variables] for layer in model.layers}
    with tf.GradientTape() as tape:
        loss = error(model, x, y)
    gradients = tape.gradient(loss, sources)
    by_path = {id(v.value): v for v in model.trainable_variables}
    pairs = present(tf.nest.flatten(gradients), tf.nest.flatten(sources))
    optimizer.apply_gradients([(gradient, by_path[id(value)]) for gradient, value in pairs])
    return loss


def of_two_losses(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        losses = [error(model, x, y), tf.reduce_sum(tf.square(model.get_layer("head").kernel))]
    variables = model.trainable_variables
    optimizer.apply_gradients(present(tape.gradient(losses, variables), variables))
    return losses[0]


def by_parts(model, optimizer, x, y):
    with tf.GradientTape(persistent=True) as tape:
        loss = error(model, x, y)
    parts = [layer.trainable_variables for layer in model.layers]
    pairs = [pair for part in parts if part for pair in present(tape.gradient(loss, part), part)]
    optimizer.apply_gradients(pairs)
    return loss


def record(step, model, log, *, compiled=False):
    """The findings of the two rules by rule, and the run."""
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build(model.trainable_variables)

    def train_step(x, y):
        return step(model, optimizer, x, y)

    rng = np.random.default_rng(0)
    with gradscope.Recorder(log, every=1, summary=False) as recorder:
        recorded = recorder.wrap(tf.function(train_step) if compiled else train_step, model=model, optimizer=optimizer)
        for _ in range(STEPS):
            recorded(*(tf.constant(rng.normal(size=(16, size)), tf.float32) for size in (5, 1)))
    return judged(log)


def judged(log):
    run = gradscope.read_run(log)
    assert run.trouble == ()
    return {f.rule: f for f in gradscope.diagnose(run).findings() if f.rule in RULES}, run


def cards(run):
    return {v.name: (v.optimized, v.connected) for v in run.model.variables}


@pytest.mark.parametrize("compiled", [True, False], ids=["function", "eager"])
@pytest.mark.parametrize("step", [filtered, clipped, nested, of_two_losses, by_parts], ids=lambda step: step.__name__)
def test_layers_that_are_cut_off_are_disconnected(step, compiled, tmp_path):
    found, run = record(step, build(), tmp_path, compiled=compiled)
    assert set(found) == {"disconnected-variable"}
    assert found["disconnected-variable"].layers == ("first", "second")
    assert found["disconnected-variable"].variant == "absent"
    assert cards(run)["first/kernel"] == (True, False)
    assert cards(run)["head/kernel"] == (True, True)


def test_nothing_is_said_where_all_get_a_gradient(tmp_path):
    found, _ = record(filtered, build(cut=False), tmp_path)
    assert not found


def test_a_step_of_the_models_own_that_drops_gradients_is_seen_through(tmp_path, regression):
    class Own(keras.Model):
        def train_step(self, data):
            return {"loss": filtered(self, self.optimizer, *data)}

    plain = build()
    model = Own(plain.inputs, plain.outputs)
    model.compile("sgd")
    x, y = regression
    model.fit(x, y, epochs=2, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    found, _ = judged(tmp_path)
    assert set(found) == {"disconnected-variable"}
    assert found["disconnected-variable"].layers == ("first", "second")


def test_a_gradient_of_rows_is_one(tmp_path):
    x = keras.Input((5,))
    tokens = layers.Lambda(lambda t: tf.cast(tf.math.floormod(t * 10, 7), tf.int32))(x)
    words, cut = (layers.Embedding(7, 3, name=name)(tokens) for name in ("words", "cut"))
    joined = layers.Flatten()(layers.Concatenate()([words, layers.Lambda(tf.stop_gradient)(cut)]))
    found, run = record(filtered, keras.Model(x, layers.Dense(1, name="head")(joined)), tmp_path)
    assert set(found) == {"disconnected-variable"}
    assert found["disconnected-variable"].layers == ("cut",)
    assert cards(run)["words/embeddings"] == (True, True)


def test_what_has_a_gradient_and_is_left_out_is_omitted(tmp_path):
    def heads_only(model, optimizer, x, y):
        with tf.GradientTape() as tape:
            loss = error(model, x, y)
        variables = model.trainable_variables
        pairs = present(tape.gradient(loss, variables), variables)
        optimizer.apply_gradients([(g, v) for g, v in pairs if "head" in v.path])
        return loss

    found, run = record(heads_only, build(cut=False), tmp_path)
    assert set(found) == {"omitted-variable"}
    assert found["omitted-variable"].layers == ("first", "second")
    assert cards(run)["first/kernel"] == (False, True)


def test_what_another_loss_gives_a_gradient_of_is_omitted(tmp_path):
    def looks_on(model, optimizer, x, y):
        first = model.get_layer("first")
        with tf.GradientTape() as beside:
            length = tf.reduce_sum(tf.square(first(x)))
        beside.gradient(length, first.trainable_variables)
        return filtered(model, optimizer, x, y)

    found, _ = record(looks_on, build(), tmp_path)
    assert found["disconnected-variable"].layers == ("second",)
    assert found["omitted-variable"].layers == ("first",)


def test_what_only_a_loss_that_trains_nothing_was_asked_for_is_omitted(tmp_path):
    def looks_on(model, optimizer, x, y):
        with tf.GradientTape() as beside:
            bound = tf.reduce_sum(tf.square(model.get_layer("head").kernel))
        beside.gradient(bound, model.trainable_variables)
        with tf.GradientTape() as tape:
            loss = error(model, x, y)
        variables = model.get_layer("head").trainable_variables
        optimizer.apply_gradients(present(tape.gradient(loss, variables), variables))
        return loss

    found, _ = record(looks_on, build(cut=False), tmp_path)
    assert set(found) == {"omitted-variable"}
    assert found["omitted-variable"].layers == ("first", "second")


def test_statistics_of_a_batch_are_not_to_be_trained(tmp_path):
    def asks_for_all_there_is(model, optimizer, x, y):
        with tf.GradientTape() as tape:
            loss = error(model, x, y)
        optimizer.apply_gradients(present(tape.gradient(loss, model.variables), model.variables))
        return loss

    plain = build(cut=False)
    outputs = layers.Dense(1, name="last")(layers.BatchNormalization(name="normed")(plain.output))
    found, run = record(asks_for_all_there_is, keras.Model(plain.input, outputs), tmp_path)
    assert not found
    assert cards(run)["normed/moving_mean"] == (False, True)


def test_losses_that_take_turns_leave_nothing_out(tmp_path):
    x = keras.Input((5,))
    z = layers.Dense(6, "tanh", name="trunk")(x)
    model = keras.Model(x, [layers.Dense(1, name="left")(z), layers.Dense(1, name="right")(z)])
    turns = []

    def one_at_a_time(model, optimizer, x, y):
        turns.append(1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True)[len(turns) % 2] - y))
        variables = model.trainable_variables
        optimizer.apply_gradients(present(tape.gradient(loss, variables), variables))
        return loss

    found, _ = record(one_at_a_time, model, tmp_path)
    assert not found


@pytest.mark.parametrize("compiled", [True, False], ids=["function", "eager"])
def test_rivals_that_are_each_asked_for_their_own_are_as_they_were(compiled, tmp_path):
    keras.utils.set_random_seed(7)
    maker = keras.Sequential([keras.Input((5,)), layers.Dense(3, name="maker_out")], name="maker")
    judge = keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)], name="judge")
    x = keras.Input((5,))
    model = keras.Model(x, judge(maker(x)))
    optimizers = [keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3)]

    def train_step(x, y):
        with tf.GradientTape() as theirs, tf.GradientTape() as ours:
            made, real = model(x, training=True), judge(y)
            fooled = tf.reduce_mean(tf.nn.softplus(-made))
            told = tf.reduce_mean(tf.nn.softplus(made) + tf.nn.softplus(-real))
        for tape, loss, variables, optimizer in (
            (theirs, fooled, maker.trainable_variables, optimizers[0]),
            (ours, told, judge.trainable_variables, optimizers[1]),
        ):
            optimizer.apply_gradients(present(tape.gradient(loss, variables), variables))
        return fooled

    rng = np.random.default_rng(0)
    for optimizer, network in zip(optimizers, (maker, judge), strict=True):
        optimizer.build(network.trainable_variables)
    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        recorded = recorder.wrap(tf.function(train_step) if compiled else train_step, model=model, optimizer=optimizers)
        for _ in range(STEPS):
            recorded(*(tf.constant(rng.normal(size=(16, size)), tf.float32) for size in (5, 3)))
    found, run = judged(tmp_path)
    assert not found
    assert set(cards(run).values()) == {(True, True)}
