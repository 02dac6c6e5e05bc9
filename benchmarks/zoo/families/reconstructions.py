"""Convolutional autoencoders of small pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.program import Family
from zoo.task import Fit

family = Family("reconstructions", half="think")


def _explained(truth: Any, made: Any) -> float:
    return skill.fit_of(truth.reshape(len(truth), -1), np.asarray(made).reshape(len(truth), -1))


def _digits(seed: int, *, from_logits: bool = False) -> Fit:
    """Digits through sixteen numbers and back; the decoder ends in a sigmoid and a reshape."""
    keras.utils.set_random_seed(seed)
    x = data.digits()[0].reshape(-1, 8, 8)
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Reshape((8, 8, 1), name="channel"),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="encoder_1"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(16, name="code"),
            keras.layers.Dense(4 * 4 * 16, "relu", name="decoder_1"),
            keras.layers.Reshape((4, 4, 16), name="maps"),
            keras.layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu", name="decoder_2"),
            keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="decoder_3"),
            keras.layers.Reshape((8, 8), name="picture"),
        ]
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    return Fit(model, x, x, keras.optimizers.Adam(3e-3), loss, _explained, steps=350)


def _scans(seed: int, *, divisor: float = 1.0) -> Fit:
    """Scans cleaned of noise: they come as 0 to 1 already, and may be divided by 255 all the same."""
    keras.utils.set_random_seed(seed)
    clean, _ = data.bars(seed, count=512)
    clean = (clean > 0.5).astype("f4") / divisor
    noise = np.random.default_rng(seed).normal(0, 0.2, clean.shape) / divisor
    inputs = keras.Input(clean.shape[1:])
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="down_1")(inputs)
    maps = keras.layers.MaxPooling2D(name="pool")(maps)
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="down_2")(maps)
    maps = keras.layers.UpSampling2D(name="upsample")(maps)
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="up_1")(maps)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", name="up_2")(maps))
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    return Fit(model, (clean + noise).astype("f4"), clean, sgd, "mse", _explained, steps=350)


family.pair(
    "digits",
    _digits,
    sickness="probabilities-taken-for-logits",
    sick={"from_logits": True},
    causes=["mismatched-loss", "misplaced-softmax"],
    level=0.6,
)
family.pair(
    "scans",
    _scans,
    sickness="divided-twice-by-255",
    sick={"divisor": 255.0},
    causes=["badly-scaled-input", "badly-scaled-target"],
    level=0.5,
)
