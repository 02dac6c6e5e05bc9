"""Settings that look right: schedules in the wrong unit, constants of optimizers, pictures lost on their way."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("settings", half="think")


def _scheduled(seed: int, *, decay_steps: int = 500) -> Fit:
    """Nesterov's momentum and a polynomial decay to zero."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    inputs = keras.Input((2,))
    hidden = dense_stack(inputs, 48, 3, activation="relu", kernel_initializer="he_uniform")
    model = keras.Model(inputs, keras.layers.Dense(3, name="arm")(hidden))
    rate = keras.optimizers.schedules.PolynomialDecay(0.05, decay_steps, end_learning_rate=0.0)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=500)


family.pair(
    "spirals-schedule",
    _scheduled,
    sickness="decay-over-epochs-taken-for-steps",
    sick={"decay_steps": 16},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
)


def _separable(seed: int, *, epsilon: float = 1e-7) -> Fit:
    """Depthwise separable convolutions on bars."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed, count=512)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(12, 3, activation="relu", name="stem"),
            layers.SeparableConv2D(16, 3, activation="relu", name="separable_1"),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(16, 3, activation="relu", name="separable_2"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, name="direction"),
        ]
    )
    optimizer = keras.optimizers.Adam(3e-3, epsilon=epsilon)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=200)


family.pair(
    "bars-separable",
    _separable,
    sickness="epsilon-of-100",
    sick={"epsilon": 100.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)


def _lion(seed: int, *, rate: float = 3e-4) -> Fit:
    """One example in five is labelled at random; tiny batches."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    draw = np.random.default_rng(seed)
    noisy = np.where(draw.random(len(y)) < 0.2, draw.integers(0, 10, len(y)), y)
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 64, 2, activation="leaky_relu")
    model = keras.Model(inputs, keras.layers.Dense(10, name="digit")(hidden))
    return Fit(
        model, x, noisy, keras.optimizers.Lion(rate, weight_decay=0.01), cross_entropy(),
        lambda _truth, logits: skill.classes(y, logits), steps=900, batch_size=8,
    )  # fmt: skip


family.pair(
    "digits-lion",
    _lion,
    sickness="rate-of-adam-times-100",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
    every=25,
)


def _streamed(seed: int, *, together: bool = True) -> Fit:
    """Pictures and labels by `tf.data`, shuffled; apart, they no longer belong together."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, count=4000, features=10, kinds=6)
    pictures, labels = tf.data.Dataset.from_tensor_slices(x), tf.data.Dataset.from_tensor_slices(y)
    if together:
        pairs = tf.data.Dataset.zip((pictures, labels)).shuffle(4000, seed=seed)
    else:
        pairs = tf.data.Dataset.zip((pictures.shuffle(4000, seed=seed), labels.shuffle(4000, seed=seed + 1)))
    inputs = keras.Input((10,))
    hidden = dense_stack(inputs, 24, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(6, name="kind")(hidden))

    class Streamed(Fit):
        def train(self, recorder: Any = None) -> None:
            callbacks = [recorder] if recorder else []
            self.model.fit(pairs.batch(32).repeat(), steps_per_epoch=100, epochs=4, verbose=0, callbacks=callbacks)

    return Streamed(model, x, y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes)


family.pair(
    "stream",
    _streamed,
    sickness="pictures-and-labels-shuffled-apart",
    sick={"together": False},
    causes=["loss-plateau"],
    level=0.7,
)


def _whole_numbers(seed: int, *, whole: bool = False) -> Fit:
    """Pictures of bytes, divided by 255 as numbers or as whole numbers."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    grey = (x * 250).astype("u1").reshape(-1, 8, 8, 1)
    pictures = (grey // 255 if whole else grey / 255).astype("f4")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu", name="edges"),
            layers.SpatialDropout2D(0.1),
            layers.Conv2D(24, 3, activation="relu", name="strokes"),
            layers.Flatten(),
            layers.Dense(10, name="digit"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(2e-3)
    return Fit(model, pictures, y, optimizer, cross_entropy(), skill.classes, steps=200)


family.pair(
    "digits-bytes",
    _whole_numbers,
    sickness="divided-as-whole-numbers",
    sick={"whole": True},
    causes=["badly-scaled-input", "constant-output", "collapsed-representation"],
    level=0.8,
)
