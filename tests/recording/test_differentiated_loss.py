"""The loss of a loop of one's own is what its tape differentiates, whatever the step returns."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
STEPS = 6


def squares(model, x, y):
    return tf.square(model(x) - y)


def mean(model, x, y):
    return tf.reduce_mean(squares(model, x, y))


def halves(x):
    return x[:8], x[8:]


def returns_an_accuracy(model, x, y, seen):
    with tf.GradientTape() as tape:
        seen.append(loss := mean(model, x, y))
    return tape.gradient(loss, model.trainable_variables), tf.constant(0.5)


def returns_nothing(model, x, y, seen):
    with tf.GradientTape() as tape:
        seen.append(loss := mean(model, x, y))
    return tape.gradient(target=loss, sources=model.trainable_variables), None


def one_per_example(model, x, y, seen):
    with tf.GradientTape() as tape:
        each = squares(model, x, y)
    seen.append(tf.reduce_sum(each))  # which is what a tape makes of it
    return tape.gradient(each, model.trainable_variables), None


def accumulated(model, x, y, seen):
    gradients, losses = [], []
    for some, theirs in zip(halves(x), halves(y), strict=True):
        with tf.GradientTape() as tape:
            losses.append(mean(model, some, theirs))
        gradients.append(tape.gradient(losses[-1], model.trainable_variables))
    seen.append(tf.add_n(losses) / 2)
    return [tf.add_n(pair) / 2 for pair in zip(*gradients, strict=True)], None


def with_a_penalty_on_a_gradient(model, x, y, seen):
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(model(x))
        seen.append(loss := mean(model, x, y) + tf.reduce_mean(tf.square(inner.gradient(total, x))))
    return tape.gradient(loss, model.trainable_variables), None


def with_an_inner_loss(model, x, y, seen):
    """The inner loss is differentiated by the same variables, as a step of meta-learning does it."""
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            first = mean(model, *(half[0] for half in map(halves, (x, y))))
        lengths = [tf.reduce_sum(tf.square(part)) for part in inner.gradient(first, model.trainable_variables)]
        seen.append(loss := mean(model, x, y) + 0.1 * tf.add_n(lengths))
    return tape.gradient(loss, model.trainable_variables), loss


def train(gradients_of, tmp_path, *, compiled=True, optimizer=None):
    """The run, and the loss of each step as the step itself had it."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    optimizer = optimizer or keras.optimizers.SGD(0.01)
    losses = tf.Variable(tf.zeros([STEPS]), trainable=False)

    def step(x, y, number):
        seen = []
        gradients, given_back = gradients_of(model, x, y, seen)
        optimizer.apply(gradients, model.trainable_variables)
        losses.scatter_nd_update([[number]], [seen[0]])
        return given_back

    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        run_step = recorder.wrap(tf.function(step) if compiled else step, model=model, optimizer=optimizer)
        for number in range(STEPS):
            x, y = (tf.constant(rng.normal(size=(16, size)), tf.float32) for size in (5, 1))
            run_step(x, y, tf.constant(number))
    return gradscope.read_run(tmp_path), losses.numpy()


@pytest.mark.parametrize("compiled", [True, False], ids=["function", "eager"])
@pytest.mark.parametrize(
    "step",
    [returns_an_accuracy, returns_nothing, one_per_example, accumulated, with_a_penalty_on_a_gradient],
    ids=lambda f: f.__name__,
)
def test_it_is_recorded(step, compiled, tmp_path):
    run, losses = train(step, tmp_path, compiled=compiled)
    assert run.trouble == ()
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-5)


@pytest.mark.parametrize("tell", [float, tf.identity, lambda _: None], ids=["float", "copy", "nothing"])
def test_beside_an_inner_loss_it_is_the_one_whose_gradients_are_applied(tell, tmp_path):
    def step(*given):
        gradients, loss = with_an_inner_loss(*given)
        return gradients, tell(loss)

    run, losses = train(step, tmp_path, compiled=False)
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-5)


def test_beside_an_inner_loss_it_is_told_by_its_value_where_gradients_are_changed_before(tmp_path):
    def clipped(*given):
        gradients, loss = with_an_inner_loss(*given)
        return [tf.clip_by_value(gradient, -0.1, 0.1) for gradient in gradients], float(loss)

    run, losses = train(clipped, tmp_path, compiled=False)
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-5)


def test_of_different_losses_for_different_variables_none_is_the_one(tmp_path):
    def rivals(model, x, y, seen):
        with tf.GradientTape(persistent=True) as tape:
            seen.append(loss := mean(model, x, y))
            other = -loss
        first, last = model.layers
        return [*tape.gradient(loss, first.variables), *tape.gradient(other, last.variables)], None

    run, _ = train(rivals, tmp_path)
    assert "loss" not in run.step_statistics
    assert run.trouble == ()


def test_one_loss_differentiated_by_parts_is_the_one(tmp_path):
    def by_parts(model, x, y, seen):
        with tf.GradientTape(persistent=True) as tape:
            seen.append(loss := mean(model, x, y))
        return [gradient for layer in model.layers for gradient in tape.gradient(loss, layer.variables)], None

    run, losses = train(by_parts, tmp_path)
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-5)


def test_a_scaled_loss_is_unscaled(tmp_path):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=1024.0)

    def scaled(model, x, y, seen):
        with tf.GradientTape() as tape:
            seen.append(loss := mean(model, x, y))
            larger = optimizer.scale_loss(loss)
        return tape.gradient(larger, model.trainable_variables), None

    run, losses = train(scaled, tmp_path, optimizer=optimizer)
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-4)


@pytest.mark.parametrize("tell", [tf.identity, lambda _: None], ids=["told", "nothing"])
def test_a_loss_that_the_step_scales_by_itself_is_unscaled(tell, tmp_path):
    def scaled(model, x, y, seen):
        with tf.GradientTape() as tape:
            seen.append(loss := mean(model, x, y))
            larger = 128.0 * loss
        return tape.gradient(larger, model.trainable_variables), tell(loss)

    run, losses = train(scaled, tmp_path, optimizer=keras.optimizers.SGD(0.01, loss_scale_factor=128.0))
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-4)


def test_what_another_model_is_trained_for_counts_for_nothing(tmp_path):
    other = keras.Sequential([keras.Input((5,)), layers.Dense(1)])

    def beside(model, x, y, seen):
        with tf.GradientTape() as tape:
            tape_loss = mean(other, x, y)
        tape.gradient(tape_loss, other.trainable_variables)
        return returns_nothing(model, x, y, seen)

    run, losses = train(beside, tmp_path)
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-5)


def test_tapes_are_as_they_were(tmp_path):
    before = vars(tf.GradientTape)["gradient"]
    train(returns_nothing, tmp_path)
    assert vars(tf.GradientTape)["gradient"] is before


def test_what_others_put_in_front_of_a_tape_meanwhile_stays(tmp_path, monkeypatch):
    before = vars(tf.GradientTape)["gradient"]
    calls = []

    def meddling(model, x, y, seen):
        if not calls:
            within = tf.GradientTape.gradient

            def theirs(tape, *args, **kwargs):
                calls.append(1)
                return within(tape, *args, **kwargs)

            monkeypatch.setattr(tf.GradientTape, "gradient", theirs)
        return returns_nothing(model, x, y, seen)

    train(meddling, tmp_path)
    with tf.GradientTape() as tape:
        y = tf.Variable(3.0) ** 2
    tape.gradient(y, tape.watched_variables())
    assert len(calls) >= 2
    monkeypatch.undo()
    tf.GradientTape.gradient = before


def test_the_optimizer_of_a_loop_is_on_the_card(tmp_path):
    run, _ = train(returns_nothing, tmp_path, optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
    assert (run.settings["optimizer"]["name"], run.settings["optimizer"]["momentum"]) == ("SGD", 0.9)
