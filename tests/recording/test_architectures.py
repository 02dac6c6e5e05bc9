"""One network of each kind: recorded at every step, it trains bit by bit as it does without, and nothing is missed."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
SEQUENCE, IMAGE, VOLUME, TOKENS = (12, 4), (8, 8, 3), (4, 4, 4, 2), (12,)


def stack(shape, *parts, dtype="float32"):
    def build():
        return keras.Sequential([keras.Input(shape, dtype=dtype), *(part() for part in parts), layers.Dense(3)])

    return build, shape, dtype


def two_inputs_two_outputs():
    left, right = keras.Input((5,)), keras.Input((5,))
    joined = layers.Concatenate()([layers.Dense(4, "relu")(left), layers.Dense(4, "gelu")(right)])
    return keras.Model([left, right], [layers.Dense(3)(joined), layers.Dense(3)(joined)])


class Scaled(layers.Layer):
    """A layer of one's own, with a variable and a part of its own, and an activation it applies itself."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.inner = layers.Dense(6)
        self.inner.build(shape)

    def call(self, x):
        return tf.nn.relu(self.inner(x * self.scale))


class OwnStep(keras.Model):
    """A train_step of one's own."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


def own_step():
    inputs = keras.Input((5,))
    return OwnStep(inputs, layers.Dense(3)(layers.Dense(6, "relu")(inputs)))


class Gan(keras.Model):
    """Two networks and two optimizers, in one step."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([keras.Input((5,)), layers.Dense(5, name="fake")], name="generator")
        self.critic = keras.Sequential([keras.Input((5,)), layers.Dense(1, name="score")], name="critic")
        self.first, self.second = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-3)
        self.first.build(self.generator.trainable_variables)
        self.second.build(self.critic.trainable_variables)

    def call(self, x):
        return self.critic(self.generator(x))

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean(self.critic(self.generator(x)))
            critic_loss = tf.reduce_mean(self.critic(x)) - loss
        for optimizer, network, value in (
            (self.first, self.generator, loss),
            (self.second, self.critic, critic_loss),
        ):
            optimizer.apply(tape.gradient(value, network.trainable_variables), network.trainable_variables)
        return {"loss": loss}


NETWORKS = {
    "lstm": stack(SEQUENCE, lambda: layers.LSTM(4)),
    "gru": stack(SEQUENCE, lambda: layers.GRU(4, return_sequences=True), lambda: layers.GRU(3)),
    "bidirectional": stack(SEQUENCE, lambda: layers.Bidirectional(layers.SimpleRNN(4))),
    "embedding": stack(TOKENS, lambda: layers.Embedding(20, 4), layers.GlobalAveragePooling1D, dtype="int32"),
    "conv1d": stack(SEQUENCE, lambda: layers.Conv1D(4, 3, activation="relu"), layers.GlobalMaxPooling1D),
    "conv2d": stack(IMAGE, lambda: layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D, layers.Flatten),
    "conv3d": stack(VOLUME, lambda: layers.Conv3D(4, 2, activation="selu"), layers.GlobalAveragePooling3D),
    "depthwise": stack(IMAGE, lambda: layers.DepthwiseConv2D(3), layers.ReLU, layers.GlobalAveragePooling2D),
    "separable": stack(IMAGE, lambda: layers.SeparableConv2D(4, 3), layers.GlobalAveragePooling2D),
    "normalised": stack((5,), lambda: layers.Dense(6), layers.BatchNormalization, layers.LayerNormalization),
    "prelu": stack((5,), lambda: layers.Dense(6), layers.PReLU, lambda: layers.Dropout(0.5)),
    "custom layer": stack((5,), Scaled),
    "two inputs": (two_inputs_two_outputs, None, "float32"),
    "own train_step": (own_step, (5,), "float32"),
    "gan": (Gan, (5,), "float32"),
}


def data_for(shape, dtype):
    random = np.random.default_rng(0)
    if shape is None:
        x = [random.normal(size=(48, 5)).astype("f4") for _ in range(2)]
        return x, [random.normal(size=(48, 3)).astype("f4") for _ in range(2)]
    x = random.integers(0, 20, (48, *shape)) if dtype == "int32" else random.normal(size=(48, *shape)).astype("f4")
    return x, random.normal(size=(48, 3)).astype("f4")


def train(name, callbacks):
    build, shape, dtype = NETWORKS[name]
    keras.utils.set_random_seed(5)
    model = build()
    losses = ["mse", "mse"] if shape is None else "mse"
    model.compile(None if name == "gan" else keras.optimizers.Adam(0.01), losses)
    model.fit(*data_for(shape, dtype), batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_it_trains_as_before_and_nothing_is_missed(name, tmp_path, exact_graphs):
    recorded = train(name, [gradscope.Recorder(tmp_path, every=1, summary=False)])
    plain = train(name, [])
    assert all(np.array_equal(a, b) for a, b in zip(recorded.get_weights(), plain.get_weights(), strict=True))
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert run.steps.tolist() == list(range(6))
    trainable = {card.name for card in run.model.variables if card.trainable}
    assert len(trainable) == len(recorded.trainable_variables)
    for kind in ("weight", "gradient", "update"):
        assert trainable <= set(run.names(kind))
        for variable in trainable:
            assert np.isfinite(run.series(kind, variable, "norm")).all()
    assert len(run.names("activation")) >= 2
    assert set(run.names("activation")) == set(run.names("activation_gradient"))


def test_both_optimizers_of_a_gan_are_seen(tmp_path):
    train("gan", [gradscope.Recorder(tmp_path, every=1, summary=False)])
    run = gradscope.read_run(tmp_path)
    assert {"generator/fake/kernel", "critic/score/kernel"} <= set(run.names("update"))
    assert {"critic/score", "critic/score@2"} <= set(run.names("activation"))
    trained_by = {variable.name: run.settings["optimizers"][variable.optimizer] for variable in run.model.variables}
    assert {name: trainer["name"] for name, trainer in trained_by.items() if name.endswith("kernel")} == {
        "generator/fake/kernel": "Adam",
        "critic/score/kernel": "SGD",
    }
    assert trained_by["critic/score/kernel"]["learning_rate"] == pytest.approx(1e-3)


def test_the_sparse_gradient_of_an_embedding_is_that_of_the_dense_one(tmp_path):
    train("embedding", [gradscope.Recorder(tmp_path, every=1, summary=False)])
    run = gradscope.read_run(tmp_path)
    assert run.series("gradient", "embedding/embeddings", "count").tolist() == [80] * 6
