"""Activations are known by what they do, not by their name."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.activations import activation_name, derivative, describe
from gradscope.recording.frameworks import keras, tf

SHAPES = {
    "rectifier": ["relu", "relu6"],
    "leaky": ["leaky_relu"],
    "half_saturating": ["elu", "selu", "gelu", "silu", "softplus", "mish"],
    "bounded": ["sigmoid", "tanh", "softsign", "hard_sigmoid"],
    "linear": ["linear"],
    "joint": ["softmax", "log_softmax"],
}


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for shape, names in SHAPES.items() for name in names])
def test_the_shapes_of_keras_activations(name, shape):
    assert describe(keras.activations.get(name), name).shape == shape


def test_a_custom_activation_is_known_by_its_derivative():
    card = describe(lambda z: 3 * tf.math.atan(z), "three_atan")
    assert card.shape == "bounded"
    assert card.max_derivative == pytest.approx(3)


def test_a_function_that_cannot_be_evaluated_is_not_judged():
    def picky(z):
        raise ValueError("only rank 4")

    assert describe(picky, "picky").shape == "joint"


def test_derivative_is_entry_by_entry():
    z = np.linspace(-3, 3, 7, dtype=np.float32)
    assert derivative(tf.tanh, tf.constant(z)).numpy() == pytest.approx(1 - np.tanh(z) ** 2, rel=1e-4)


def test_names():
    assert activation_name(keras.activations.relu) == "relu"
    assert activation_name(keras.layers.LeakyReLU()) == "LeakyReLU"
    assert activation_name(lambda z: z) == "lambda"


@pytest.mark.parametrize("serving", [keras.layers.LeakyReLU, keras.layers.ReLU, keras.layers.PReLU])
def test_a_layer_that_serves_as_activation_is_no_layer_of_its_own(serving, regression, tmp_path):
    hidden = [
        keras.layers.Dense(6, activation=serving(), name="hidden"),
        keras.layers.Activation(serving(), name="again"),
    ]
    model = keras.Sequential([keras.Input((5,)), *hidden, keras.layers.Dense(3, name="output")])
    model.compile("sgd", "mse")
    x, _ = regression
    model.fit(x, x[:, :3], verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert run.names("activation") == ("hidden", "again", "output")
    assert all(not run.series("activation", name, "nan_count").any() for name in run.names("activation"))
    assert run.model.layer("hidden").activation.name == serving.__name__
