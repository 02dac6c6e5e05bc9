"""Loops of one's own: a GradientTape, eager or compiled, with a Keras optimizer or without any."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradscope
from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
WAYS = {
    "eager": lambda step: step,
    "function": tf.function,
    "xla": tf.function(jit_compile=True),
}


@pytest.fixture
def batches(regression):
    x, y = regression
    return [(tf.constant(x[i : i + 16]), tf.constant(y[i : i + 16])) for i in range(0, 64, 16)]


def build():
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="tanh", name="hidden"), layers.Dense(1, name="out")]
    )


def tape_step(model, optimizer):
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        returned = loss
        if loss > 1e9:  # autograph turns this into a branch of the graph
            returned = 2.0 * loss
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return returned

    return train_step


def plain_step(model, recorder):
    """Neither a Keras optimizer nor fit(): the variables are changed by hand."""

    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        variables = [variable.value for variable in model.trainable_variables]
        gradients = tape.gradient(loss, variables)
        if recorder is not None:
            recorder.record_gradients(zip(gradients, variables, strict=True))
        for gradient, variable in zip(gradients, variables, strict=True):
            variable.assign_sub(0.1 * gradient)
        return {"loss": loss}

    return train_step


@pytest.mark.parametrize("way", WAYS)
def test_a_wrapped_step_is_recorded_and_trains_as_before(way, batches, tmp_path, exact_graphs):
    weights = []
    for recorded in (True, False):
        model = build()
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build(model.trainable_variables)
        train_step = WAYS[way](tape_step(model, optimizer))
        with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
            if recorded:
                train_step = recorder.wrap(train_step, model=model, optimizer=optimizer)
            losses = [float(train_step(x, y)) for x, y in batches]
        weights.append(model.get_weights())
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert run.step_statistics["loss"].tolist() == pytest.approx(losses, rel=1e-5)
    for kind in ("gradient", "weight", "update"):
        assert set(run.names(kind)) == {"hidden/kernel", "hidden/bias", "out/kernel", "out/bias"}
    assert run.names("activation_gradient") == ("out", "hidden")
    assert run.step_statistics["learning_rate"].tolist() == pytest.approx([0.01] * 4)
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_a_loop_without_an_optimizer_tells_its_gradients(way, batches, tmp_path):
    model = build()
    with gradscope.Recorder(tmp_path / "own", every=2, summary=False) as recorder:
        train_step = recorder.wrap(WAYS[way](plain_step(model, recorder)), model=model)
        for x, y in batches:
            train_step(x, y)
    reference = build()
    reference.compile(keras.optimizers.SGD(0.1), "mse")
    fit = gradscope.Recorder(tmp_path / "fit", every=2, summary=False)
    reference.fit(
        tf.data.Dataset.from_tensor_slices(tuple(map(tf.stack, zip(*batches, strict=True)))),
        callbacks=[fit],
        verbose=0,
        shuffle=False,
    )
    own, expected = gradscope.read_run(tmp_path / "own"), gradscope.read_run(tmp_path / "fit")
    assert own.steps.tolist() == expected.steps.tolist() == [0, 2]
    for kind, statistic in (("gradient", "norm"), ("update", "norm"), ("update", "update_to_weight_ratio")):
        for name in expected.names(kind):
            np.testing.assert_allclose(
                own.series(kind, name, statistic), expected.series(kind, name, statistic), rtol=1e-4, atol=1e-9
            )


def test_steps_that_are_not_sampled_run_the_users_own_function(batches, tmp_path):
    model = build()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    compiled = tf.function(tape_step(model, optimizer))
    graphs = []

    @tf.function
    def train_step(x, y):
        graphs.append(tf.compat.v1.get_default_graph())
        return compiled(x, y)

    recorder = gradscope.Recorder(tmp_path, every=4, summary=False)
    wrapped = recorder.wrap(train_step, model=model, optimizer=optimizer)
    wrapped(*batches[0])
    sampled = set(map(id, graphs))
    for x, y in batches[1:]:
        wrapped(x, y)
    own = {id(train_step.get_concrete_function(*batches[0]).graph)}
    assert own <= set(map(id, graphs)) - sampled


def test_the_users_error_reaches_them(batches, tmp_path):
    def train_step(x, y):
        raise ZeroDivisionError("mine")

    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    with pytest.raises(ZeroDivisionError, match="mine"):
        recorder.wrap(train_step, model=build())(*batches[0])


def test_what_cannot_be_wrapped_is_refused(tmp_path):
    recorder = gradscope.Recorder(tmp_path)
    with pytest.raises(RecordingError, match="give the function"):
        recorder.wrap(3, model=build())
    with pytest.raises(RecordingError, match="give the Keras model"):
        recorder.wrap(print, model=None)


def test_record_gradients_outside_a_sampled_step_does_nothing(tmp_path):
    gradscope.Recorder(tmp_path).record_gradients([(tf.constant(1.0), tf.Variable(1.0))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compiled", [True, False], ids=["function", "eager"])
def test_an_optimizer_that_nobody_handed_over_is_seen(compiled, tmp_path):
    """As in the tutorials on GANs, whose loops have one for each network."""
    maker = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="made")], name="maker")
    judge = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="score")], name="judge")
    stranger = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    both = keras.Sequential([keras.Input((3,)), maker, judge])
    first, second, third = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-2), keras.optimizers.SGD(0.1)
    for optimizer, model in ((second, judge), (third, stranger)):
        optimizer.build(model.trainable_variables)

    def step(x):
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean(judge(maker(x)))
            other = tf.reduce_mean(judge(x[:, :2])) - loss
            theirs = tf.reduce_mean(stranger(x) ** 2)
        for optimizer, model, value in ((second, judge, other), (third, stranger, theirs), (first, maker, loss)):
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return loss

    before = set(vars(keras.optimizers.Optimizer))
    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        run_step = recorder.wrap(tf.function(step) if compiled else step, model=both, optimizer=first)
        weights = [judge.get_weights()[0]]
        for _ in range(3):
            run_step(tf.ones([4, 3]))
            weights.append(judge.get_weights()[0])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert set(run.names("update")) == {
        "maker/made/kernel",
        "maker/made/bias",
        "judge/score/kernel",
        "judge/score/bias",
    }
    moved = [np.linalg.norm(b - a) for a, b in itertools.pairwise(weights)]
    np.testing.assert_allclose(run.series("update", "judge/score/kernel", "norm"), moved, rtol=1e-4)
    assert sorted(optimizer["name"] for optimizer in run.settings["optimizers"]) == ["Adam", "SGD"]
    assert set(vars(keras.optimizers.Optimizer)) == before


@pytest.mark.parametrize("handed", [True, False], ids=["variables handed", "variables known"])
@pytest.mark.parametrize("compiled", [True, False], ids=["function", "eager"])
def test_an_optimizer_that_scales_the_loss_is_seen_wherever_it_was_made(compiled, handed, tmp_path, exact_graphs):
    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    runs = []
    for name, given in (("known", True), ("unknown", False)):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="out")])
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1024.0)
        optimizer.build(model.trainable_variables)

        def step(x, model=model, optimizer=optimizer):
            with tf.GradientTape() as tape:
                scaled = optimizer.scale_loss(tf.reduce_mean(tf.square(model(x) - x[:, :2])))
            gradients = tape.gradient(scaled, model.trainable_variables)
            optimizer.apply(gradients, *([model.trainable_variables] if handed else []))

        with gradscope.Recorder(tmp_path / name, every=1, summary=False) as recorder:
            run_step = recorder.wrap(
                tf.function(step) if compiled else step, model=model, optimizer=optimizer if given else None
            )
            for _ in range(3):
                run_step(tf.constant(x))
        runs.append(gradscope.read_run(tmp_path / name))
    known, unknown = runs
    assert unknown.trouble == ()
    assert unknown.step_statistics["loss_scale"].tolist() == [1024.0] * 3
    for statistic in ("loss", "learning_rate", "expected_loss_change"):
        np.testing.assert_array_equal(unknown.step_statistics[statistic], known.step_statistics[statistic])
    for kind in ("gradient", "update"):
        for variable in ("out/kernel", "out/bias"):
            np.testing.assert_array_equal(unknown.series(kind, variable, "norm"), known.series(kind, variable, "norm"))


@pytest.mark.parametrize("way", ["eager", "function"])
def test_an_apply_that_was_looked_up_before_the_step_is_said(way, batches, tmp_path):
    model, optimizer = build(), keras.optimizers.SGD(0.1)
    apply = optimizer.apply

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    with gradscope.Recorder(tmp_path / "run", every=1, summary=False) as recorder:
        run_step = recorder.wrap(WAYS[way](step), model=model, optimizer=optimizer)
        for batch in batches:
            run_step(*batch)
    run = gradscope.read_run(tmp_path / "run")
    assert len(run.steps) == 4
    assert run.names("gradient") == ()
    (said,) = run.trouble
    assert said.startswith("gradients and updates are not recorded")
    assert "write optimizer.apply(...) inside the step" in said


def with_two_optimizers(batches, tmp_path, given):
    """A loop whose layers are trained by an optimizer each."""
    model, first, second = build(), keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.01)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        first.apply(gradients[:2], model.trainable_variables[:2])
        second.apply(gradients[2:], model.trainable_variables[2:])
        return loss

    with gradscope.Recorder(tmp_path / "run", every=1, summary=False) as recorder:
        run_step = recorder.wrap(tf.function(step), model=model, optimizer=given(first, second))
        for batch in batches:
            run_step(*batch)
    return gradscope.read_run(tmp_path / "run")


@pytest.mark.parametrize("given", [lambda *both: list(both), lambda *both: both])
def test_a_loop_may_be_given_several_optimizers(given, batches, tmp_path):
    run = with_two_optimizers(batches, tmp_path, given)
    assert (len(run.steps), run.trouble) == (4, ())
    assert len(run.names("update")) == 4
    assert [entry["name"] for entry in run.settings["optimizers"]] == ["SGD", "Adam"]


def test_what_is_no_optimizer_of_keras_is_said_and_the_rest_is_recorded(batches, tmp_path):
    run = with_two_optimizers(batches, tmp_path, lambda *_: "adam")
    assert len(run.names("update")) == 4
    (said,) = run.trouble
    assert said.startswith("optimizer='adam': only a Keras optimizer, or a list of them")


def test_a_step_that_applies_nothing_is_no_trouble(batches, tmp_path):
    model, optimizer = build(), keras.optimizers.SGD(0.1)
    kept = []

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        kept.append(tape.gradient(loss, model.trainable_variables))
        if len(kept) % 2 == 0:
            sums = [tf.add_n(gradients) for gradients in zip(*kept[-2:], strict=True)]
            optimizer.apply(sums, model.trainable_variables)
        return loss

    with gradscope.Recorder(tmp_path / "run", every=1, summary=False) as recorder:
        run_step = recorder.wrap(step, model=model, optimizer=optimizer)
        for batch in batches:
            run_step(*batch)
    run = gradscope.read_run(tmp_path / "run")
    assert run.trouble == ()
    assert len(run.names("gradient")) == 4
