"""A layer that looks at its own activation finds in a sampled step what it would find without a recorder."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
relu = keras.activations.relu


class Looking(layers.Layer):
    """Computes something else where its activation is not what it seems to be."""

    def __init__(self, activation, **options):
        super().__init__(**options)
        self.activation = keras.activations.get(activation)

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def seems(self):
        raise NotImplementedError

    def call(self, x):
        z = tf.matmul(x, self.kernel)
        return self.activation(z) if self.seems() else self.activation(z) * 0.1 + 0.5 * z


class Equal(Looking):
    def seems(self):
        return self.activation == keras.activations.get("relu") and self.activation != keras.activations.tanh


class Listed(Looking):
    def seems(self):
        return self.activation in (keras.activations.tanh, relu)


class Hashed(Looking):
    def seems(self):
        return {relu: True}.get(self.activation, False)


class Named(Looking):
    def seems(self):
        return self.activation.__name__ == "relu" and self.activation is not None


class Identical(Looking):
    def seems(self):
        return self.activation is relu


class Typed(Looking):
    def seems(self):
        return isinstance(self.activation, type(relu))


class InAFunction(Looking):
    @tf.autograph.experimental.do_not_convert
    def seems(self):
        one = [self.activation]
        return any(each is relu for each in one)


class Elsewhere(Looking):
    """Looks closely at other things."""

    def seems(self):
        kinds = isinstance(self.name, (str, tuple)) and type(self.kernel) is not None
        return kinds and self.built is not False and self.activation is not None


EQUAL, CLOSER = (Equal, Listed, Hashed, Named, Elsewhere), (Identical, Typed, InAFunction)


def fit(layer, regression, callbacks, **options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((5,)), layer(), layers.Dense(1, name="out")])
    model.compile("sgd", "mse", **options)
    model.fit(*regression, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
    return model.get_weights()


def recorded_as_before(layer, regression, tmp_path, **options):
    """The run; asserts that it trained as without a recorder."""
    recorded = fit(layer, regression, [gradscope.Recorder(tmp_path, every=1, summary=False)], **options)
    plain = fit(layer, regression, [], **options)
    assert all(np.array_equal(a, b) for a, b in zip(recorded, plain, strict=True))
    return gradscope.read_run(tmp_path)


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize("kind", EQUAL, ids=lambda kind: kind.__name__)
def test_what_stands_in_is_equal(kind, eager, regression, tmp_path, exact_graphs):
    run = recorded_as_before(lambda: kind("relu", name="look"), regression, tmp_path, run_eagerly=eager)
    assert run.trouble == ()
    assert run.names("preactivation") == ("look",)


@pytest.mark.parametrize("kind", CLOSER, ids=lambda kind: kind.__name__)
def test_an_activation_that_is_looked_at_more_closely_is_left_alone(kind, regression, tmp_path, exact_graphs):
    run = recorded_as_before(lambda: kind("relu", name="look"), regression, tmp_path)
    assert run.trouble == (f"the activation of layer look is not recorded: {kind.__name__} looks at what kind it is",)
    assert set(run.names("activation")) == {"look", "out"}
    assert run.names("preactivation") == ()


def sequential():
    return keras.Sequential([layers.Dense(4, "tanh", name="inner"), layers.Activation("relu")], name="serving")


def functional():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.ReLU(name="rectify")(inputs), name="serving")


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize("serving", [sequential, functional])
def test_a_model_that_serves_as_activation_is_no_trouble(serving, eager, regression, tmp_path, exact_graphs):
    def layer():
        inner = [layers.Dense(4, serving(), name="inside"), layers.Activation(serving(), name="hidden")]
        return keras.Sequential(inner, name="both")

    run = recorded_as_before(layer, regression, tmp_path, run_eagerly=eager)
    assert run.trouble == ()
    assert {"both/inside", "both/hidden"} <= set(run.names("activation"))
    assert "out/kernel" in run.names("gradient")
