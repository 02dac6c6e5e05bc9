"""Loops of one's own: a detour through NumPy, losses scaled by hand, rewards."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Loop

family = Family("by_hand", half="think")


def _entropy(truth: Any, logits: Any) -> Any:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits))


def _rows(x: np.ndarray, y: np.ndarray, size: int) -> Any:
    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), size)
        return x[rows], y[rows]

    return batches


def _whitened(seed: int, *, numpy: bool = False) -> Loop:
    """Codes are standardised between the encoder and what reads them."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    inputs = keras.Input((2,))
    encoder = keras.Model(inputs, keras.layers.Dense(4, name="code")(dense_stack(inputs, 24, 2, activation="relu")))
    codes = keras.Input((4,))
    reader = keras.Model(codes, keras.layers.Dense(3, name="output")(codes))
    model = keras.Model(inputs, reader(encoder(inputs)))

    def standardised(code: Any) -> Any:
        return (code - code.mean(0)) / (code.std(0) + 1e-3)

    def logits(points: Any) -> Any:
        code = encoder(points)
        if numpy:
            return reader(tf.ensure_shape(tf.numpy_function(standardised, [code], tf.float32), (None, 4)))
        return reader((code - tf.reduce_mean(code, 0)) / (tf.math.reduce_std(code, 0) + 1e-3))

    return Loop(
        model, keras.optimizers.Adam(1e-2), _rows(x, y, 64), lambda points, truth: _entropy(truth, logits(points)),
        lambda: skill.classes(y, logits(x).numpy()), steps=450, seed=seed,
    )  # fmt: skip


def _scaled(seed: int, *, factor: float = 1024.0, divided: bool = True) -> Loop:
    """Half precision with a loss scaled by hand."""
    keras.config.set_dtype_policy("mixed_float16")
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 48, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(10, dtype="float32", name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)

    def step(pictures: Any, truth: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _entropy(truth, model(pictures, training=True))
            scaled = factor * loss
        gradients = tape.gradient(scaled, model.trainable_variables)
        if divided:
            gradients = [gradient / factor for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return Loop(
        model, optimizer, _rows(x, y, 32), lambda pictures, truth: _entropy(truth, model(pictures, training=True)),
        lambda: skill.classes(y, model(x).numpy()), steps=250, seed=seed, step=step,
    )  # fmt: skip


def _bandit(seed: int, *, axis: int = 0) -> Loop:
    """A policy that learns from noisy rewards of what it did; they are standardised over the batch."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(2000, 6)).astype("f4")
    best = (x @ np.random.default_rng(7).normal(size=(6, 4))).argmax(1).astype("i4")
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 32, 2, activation="tanh")
    policy = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))

    def forward(seen: Any, wanted: Any) -> Any:
        logits = policy(seen, training=True)
        done = tf.random.categorical(logits, 1, dtype="int32")
        reward = tf.cast(done == wanted[:, None], "float32") + tf.random.normal(tf.shape(done), stddev=0.5)
        spread = tf.math.reduce_std(reward, axis, keepdims=True)
        advantage = (reward - tf.reduce_mean(reward, axis, keepdims=True)) / (spread + 1e-6)
        chosen = tf.nn.sparse_softmax_cross_entropy_with_logits(done[:, 0], logits)
        return tf.reduce_mean(advantage[:, 0] * chosen)

    return Loop(
        policy, keras.optimizers.Adam(5e-3), _rows(x, best, 64), forward,
        lambda: skill.classes(best, policy(x).numpy()), steps=500, seed=seed,
    )  # fmt: skip


family.pair(
    "whitened",
    _whitened,
    sickness="codes-pass-through-numpy",
    sick={"numpy": True},
    causes=["disconnected-variable"],
    layers=("hidden_1", "hidden_2", "code"),
    level=0.7,
)
family.pair(
    "scaled",
    _scaled,
    sickness="scale-never-divided-out",
    sick={"divided": False},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient"],
    level=0.7,
)
family.pair(
    "bandit",
    _bandit,
    sickness="standardised-over-the-wrong-axis",
    sick={"axis": 1},
    causes=["unchanged-weights", "vanishing-gradient"],
    level=0.5,
)
