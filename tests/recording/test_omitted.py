"""Trainable variables that a loop never hands to its optimizer."""

from __future__ import annotations

import keras
import numpy as np
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
