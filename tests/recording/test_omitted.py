"""Trainable variables that a loop never hands to its optimizer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import gradscope


def test_a_forgotten_encoder_is_named(tmp_path):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(6, "relu", name="encoder"), keras.layers.Dense(1)])
    head = model.layers[-1]
    optimizer = keras.optimizers.SGD(1e-3)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
        variables = head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    recorder = gradscope.Recorder(tmp_path, every=1)
    recorded = recorder.wrap(step, model=model, optimizer=optimizer)
    rng = np.random.default_rng(0)
    for _ in range(12):
        recorded(tf.constant(rng.normal(size=(16, 8)), tf.float32), tf.constant(rng.normal(size=(16, 1)), tf.float32))
    recorder.close()
    run = gradscope.read_run(tmp_path)
    assert np.isfinite(run.series("weight", "encoder/kernel", "rms")).all()
    found = {finding.rule: finding for finding in gradscope.diagnose(run).findings()}
    assert found["omitted-variable"].layers == ("encoder",)


class Projection(keras.layers.Layer):
    """A matrix of TensorFlow's, as a layer written for Keras 2 may have it; what is not to be trained says so."""

    def build(self, shape):
        self.matrix = tf.Variable(tf.random.normal((shape[-1], 4)))
        self.seen = tf.Variable(tf.zeros(4), trainable=False)
        self.strength = tf.Variable(1.0)
        self.offset = self.add_weight(shape=(4,), name="offset")

    def call(self, x):
        return self.strength * tf.matmul(x, self.matrix) + self.offset


def test_variables_that_keras_does_not_know_are_told(tmp_path):
    model = keras.Sequential([keras.Input((8,)), Projection(name="projection"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    model.fit(rng.normal(size=(32, 8)), rng.normal(size=(32, 1)), epochs=2, verbose=0, callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert run.settings["untracked_variables"] == ["projection/matrix"]
    assert not run.trouble


@pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 4),
    reason="optimizers of this version of Keras take no variables of TensorFlow's",
)
def test_a_variable_that_a_loop_trains_itself_is_known(tmp_path):
    model = keras.Sequential([keras.Input((8,)), Projection(name="projection"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(1e-3)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
        variables = [*model.trainable_variables, model.layers[0].matrix]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    recorded = recorder.wrap(step, model=model, optimizer=optimizer)
    rng = np.random.default_rng(0)
    for _ in range(3):
        recorded(tf.constant(rng.normal(size=(16, 8)), tf.float32), tf.constant(rng.normal(size=(16, 1)), tf.float32))
    recorder.close()
    assert "untracked_variables" not in gradscope.read_run(tmp_path).settings


def test_noise_layers_are_told_with_what_they_are_added_to(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.GaussianNoise(0.5, name="outer"),
            keras.layers.Dense(6, "relu", name="hidden"),
            keras.layers.GaussianNoise(0.1, name="inner"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    model.fit(rng.normal(size=(32, 8)), rng.normal(size=(32, 1)), verbose=0, callbacks=[recorder])
    assert gradscope.read_run(tmp_path).settings["noises"] == [
        {"layer": "outer", "stddev": 0.5, "inbound": "input"},
        {"layer": "inner", "stddev": 0.1, "inbound": "hidden"},
    ]
