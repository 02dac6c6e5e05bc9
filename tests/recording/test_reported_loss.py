"""The loss of a train_step of one's own that never calls compute_loss, and the targets of a loop's."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers


class Autoencoder(keras.Model):
    """Reports a running mean of its loss, as Keras' guides do; ``losses`` are those of the single steps."""

    def __init__(self, report, **options):
        super().__init__(**options)
        self.decoder = layers.Dense(5)
        self.total = keras.metrics.Mean(name="total")
        self.part = keras.metrics.Mean(name="reconstruction_loss")
        self.report = report
        self.of_steps = tf.Variable(tf.zeros([12]), trainable=False)

    def call(self, x):
        return self.decoder(x)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            each = tf.reduce_sum(tf.square(self(data) - data), axis=-1)
            loss = tf.reduce_mean(each) + 1.0
        step = tf.identity(self.optimizer.iterations.value)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        self.of_steps.scatter_nd_update([[step]], [loss])
        return self.report(self, loss, each)


def running_mean(model, loss, each):
    model.total.update_state(loss)
    model.part.update_state(loss - 1.0)
    return {"reconstruction_loss": model.part.result(), "loss": model.total.result()}


def all_metrics(model, loss, each):
    """Among them Keras' own running mean of the loss, which nobody updated."""
    model.part.update_state(each + 1.0)
    return {metric.name: metric.result() for metric in model.metrics}


def as_it_is(model, loss, each):
    return {"accuracy": tf.constant(0.5), "total_loss": loss}


def weighted(model, loss, each):
    model.total.update_state(each + 1.0, sample_weight=tf.ones_like(each))
    return {"loss": model.total.result()}


def two_players(model, loss, each):
    return {"d_loss": loss, "g_loss": 2.0 * loss}


def fit(report, x, tmp_path, every=1, **options):
    model = Autoencoder(report)
    model.compile(keras.optimizers.SGD(0.01), **options)
    recorder = gradscope.Recorder(tmp_path, every=every, summary=False)
    model.fit(x, batch_size=16, epochs=3, verbose=0, shuffle=False, callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    return run, model.of_steps.numpy()


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=str)
@pytest.mark.parametrize("report", [running_mean, all_metrics, as_it_is], ids=lambda f: f.__name__)
def test_the_loss_of_each_step_is_recorded_however_it_is_reported(report, options, regression, tmp_path):
    run, expected = fit(report, regression[0], tmp_path, **options)
    np.testing.assert_allclose(run.step_statistics["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("report", [running_mean, weighted], ids=lambda f: f.__name__)
def test_the_mean_since_the_last_sample_comes_from_the_models_own_metric(report, regression, tmp_path):
    run, losses = fit(report, regression[0], tmp_path, every=3)
    expected = [losses[start:end].mean() for start, end in ((0, 1), (1, 4), (4, 7), (7, 10))]
    np.testing.assert_allclose(run.step_statistics["interval_loss"], expected, rtol=1e-5)


def test_of_a_metric_that_takes_more_than_values_the_loss_of_the_step_is_not_known(regression, tmp_path):
    run, _ = fit(weighted, regression[0], tmp_path)
    assert "loss" not in run.step_statistics


def test_of_two_losses_the_one_that_is_differentiated_is_taken(regression, tmp_path):
    run, expected = fit(two_players, regression[0], tmp_path)
    np.testing.assert_allclose(run.step_statistics["loss"], expected, rtol=1e-5)


def test_metrics_are_as_they_were(regression, tmp_path):
    model = Autoencoder(running_mean)
    model.compile("sgd")
    before = set(vars(model.total))
    model.fit(regression[0], verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    assert set(vars(model.total)) == before


# -- loops -------------------------------------------------------------------------------------------------------------


def loop(model, **more):
    def train_step(x, y):
        return tf.reduce_mean((model(x) - y) ** 2), tf.zeros([3])

    def batch_step(batch):
        return train_step(*batch)

    def other_step(x, noise):
        return train_step(x, noise)

    return {"train_step": train_step, "batch_step": batch_step, "other_step": other_step}


def recorded(name, tmp_path, *args, wrapper=tf.function, **kwargs):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        train_step = recorder.wrap(wrapper(loop(model)[name]), model=model)
        loss, _ = train_step(*args, **kwargs)
    run = gradscope.read_run(tmp_path)
    assert run.step_statistics["loss"].tolist() == pytest.approx([float(loss)], rel=1e-5)
    assert run.trouble == ()
    return run


@pytest.mark.parametrize("wrapper", [tf.function, lambda step: step], ids=["function", "eager"])
@pytest.mark.parametrize("by_name", [False, True])
def test_the_targets_of_a_loop_are_recorded(wrapper, by_name, regression, tmp_path):
    x, y = regression
    args, named = ((x,), {"y": y}) if by_name else ((x, y), {})
    run = recorded("train_step", tmp_path, *args, wrapper=wrapper, **named)
    assert run.names("target") == ("target",)
    assert float(run.series("target", "target", "mean")[0]) == pytest.approx(y.mean(), rel=1e-5)
    assert run.settings["target_shapes"]["target"][-1] == y.shape[-1]


def test_what_may_be_no_target_is_not_recorded_as_one(regression, tmp_path):
    x, y = regression
    eager = {"wrapper": lambda step: step}  # without a graph to read the comparison off
    assert recorded("other_step", tmp_path / "name", x, y, **eager).names("target") == ()
    assert recorded("batch_step", tmp_path / "pair", (x, y), **eager).names("target") == ()
    assert recorded("train_step", tmp_path / "length", x, y[:1], **eager).names("target") == ()


def test_what_the_graph_compares_with_is_the_target_whatever_it_is_called(regression, tmp_path):
    assert recorded("other_step", tmp_path / "name", *regression).names("target") == ("target",)
    assert recorded("batch_step", tmp_path / "pair", regression).names("target") == ("target",)


class Composed(keras.Model):
    """Its ``compute_loss`` gives whatever ``compose`` makes of its inputs, of which its step differentiates one."""

    def __init__(self, compose, choose):
        super().__init__()
        self.decoder = layers.Dense(5)
        self.compose, self.choose = compose, choose
        self.of_steps = tf.Variable(tf.zeros([12]), trainable=False)

    def call(self, x):
        return self.decoder(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return self.compose(tf.reduce_mean(tf.square(y_pred - y), axis=-1))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.choose(self.compute_loss(x, y, self(x)))
            scaled = self.optimizer.scale_loss(loss)
        counting = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        step = tf.identity(counting.iterations.value)
        self.optimizer.apply(tape.gradient(scaled, self.trainable_variables), self.trainable_variables)
        self.of_steps.scatter_nd_update([[step]], [loss])
        return {"accuracy": loss / 7.0}


COMPOSED = {
    "dict": (lambda each: {"main": tf.reduce_mean(each), "other": tf.reduce_max(each)}, lambda parts: parts["main"]),
    "tuple": (lambda each: (tf.reduce_mean(each), tf.reduce_max(each)), lambda parts: parts[0]),
    "sum of a tuple": (lambda each: (tf.reduce_mean(each), tf.reduce_max(each)), lambda parts: parts[0] + parts[1]),
    "one for each example": (lambda each: each, tf.reduce_mean),
    "and a term of the step's": (tf.reduce_mean, lambda loss: loss + 1.0),
    "as it is": (tf.reduce_mean, lambda loss: loss),
}


@pytest.mark.parametrize("scale", [False, True], ids=["plain", "scaled"])
@pytest.mark.parametrize("way", COMPOSED)
def test_whatever_compute_loss_gives_the_loss_is_the_differentiated_one(way, scale, regression, record):
    optimizer = keras.optimizers.SGD(0.01)
    model = Composed(*COMPOSED[way])
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0) if scale else optimizer)
    run = record(model, regression[0], regression[0], epochs=2)
    assert run.trouble == ()
    np.testing.assert_allclose(run.step_statistics["loss"], model.of_steps.numpy()[:8], rtol=1e-5)
