"""Learning rates that a function of the user's gives are recorded, and the function is asked no more often for it."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
RATES = [0.1, 0.05, 0.025, 0.0125]


class Falling:
    """Gives a lower rate each time it is called; counts in Python, or in the graph."""

    def __init__(self, *, in_graph):
        self.count = tf.Variable(0, trainable=False) if in_graph else itertools.count()

    def __call__(self):
        if isinstance(self.count, tf.Variable):
            return 0.1 * 0.5 ** (tf.cast(self.count.assign_add(1), tf.float32) - 1.0)
        return 0.1 * 0.5 ** next(self.count)


class FallingSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that keeps its own count."""

    def __init__(self):
        self.give = Falling(in_graph=True)

    def __call__(self, step):
        return self.give()


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as it should be."""

    def __call__(self, step):
        return 0.1 * 0.5 ** tf.cast(step, tf.float32)


def fit(regression, callbacks, rate, wrap=lambda optimizer: optimizer, **options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    model.compile(wrap(keras.optimizers.SGD(rate, **options.pop("sgd", {}))), "mse", **options)
    model.fit(*regression, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
    return model.get_weights()


def fitted_twice(regression, tmp_path, make_rate, **options):
    """The run; asserts that it trained as without a recorder."""
    recorded = fit(regression, [gradscope.Recorder(tmp_path, every=1, summary=False)], make_rate(), **options)
    plain = fit(regression, [], make_rate(), **options)
    assert all(np.array_equal(a, b) for a, b in zip(recorded, plain, strict=True))
    return gradscope.read_run(tmp_path)


@pytest.mark.parametrize(
    ("make_rate", "options"),
    [
        (lambda: Falling(in_graph=True), {}),
        (lambda: Falling(in_graph=True), {"run_eagerly": True}),
        (lambda: Falling(in_graph=False), {"run_eagerly": True}),
        (FallingSchedule, {}),
        (Halving, {}),
        (Halving, {"wrap": keras.optimizers.LossScaleOptimizer}),
    ],
)
def test_the_rate_of_each_step_is_the_one_that_was_used(make_rate, options, regression, tmp_path, exact_graphs):
    run = fitted_twice(regression, tmp_path, make_rate, **options)
    assert run.trouble == ()
    assert run.step_statistics["learning_rate"] == pytest.approx(RATES)


def test_a_rate_that_decay_asks_for_too_is_the_one_of_the_update(regression, tmp_path, exact_graphs):
    options = {"sgd": {"weight_decay": 0.01}, "run_eagerly": True}
    run = fitted_twice(regression, tmp_path, lambda: Falling(in_graph=False), **options)
    # Keras asks for it once for each of the four variables that decay, then for the update.
    assert run.step_statistics["learning_rate"] == pytest.approx([0.1 * 0.5 ** (4 + 5 * step) for step in range(4)])


def test_a_rate_that_is_asked_for_in_a_branch_is_said_to_be_missing(regression, tmp_path, exact_graphs):
    wrap = keras.optimizers.LossScaleOptimizer
    run = fitted_twice(regression, tmp_path, lambda: Falling(in_graph=True), wrap=wrap)
    assert run.trouble == ("the learning rate is not recorded: a function gives it, in a branch of the graph",)
    assert "learning_rate" not in run.step_statistics


def test_lambdas_are_no_cause_for_warnings(regression, record):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, lambda z: 2.0 * tf.nn.relu(z)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(lambda: 0.1), "mse")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run = record(model, *regression)
    assert [warning for warning in seen if "lambda" in str(warning.message)] == []
    assert run.trouble == ()
    assert run.step_statistics["learning_rate"] == pytest.approx([0.1] * 4)


def test_a_look_at_the_rate_after_the_update_is_not_taken_for_it(regression, tmp_path):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    optimizer = keras.optimizers.SGD(Falling(in_graph=True))

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, optimizer.learning_rate

    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        recorder.wrap(step, model=model, optimizer=optimizer)(*map(tf.constant, regression))
    assert gradscope.read_run(tmp_path).step_statistics["learning_rate"] == pytest.approx([0.1])
