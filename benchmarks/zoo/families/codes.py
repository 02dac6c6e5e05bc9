"""Autoencoders of digits and of rows of a table, as in first tutorials."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("codes", half="think")


def _scans(seed: int, *, optimizer: str = "adam") -> Fit:
    """64-32-16-32-64, optimizers by name."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs = keras.Input((64,))
    code = keras.layers.Dense(32, "relu", name="encoder_1")(inputs)
    code = keras.layers.Dense(16, "relu", name="encoder_2")(code)
    made = keras.layers.Dense(32, "relu", name="decoder_1")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, "sigmoid", name="decoder_2")(made))
    return Fit(model, x, x, optimizer, "binary_crossentropy", skill.fit_of, steps=560, batch_size=32)


def _noisy(seed: int, *, activation: str = "relu", rate: float = 3e-3) -> Fit:
    """Takes the noise off digits: down by strides, up by repetition."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    x = x.reshape(-1, 8, 8, 1)
    noisy = x + np.random.default_rng(seed).normal(0, 0.3, x.shape).astype("f4")
    options = {"padding": "same", "activation": activation}
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(12, 3, strides=2, name="down_1", **options)(inputs)
    maps = keras.layers.Conv2D(16, 3, strides=2, name="down_2", **options)(maps)
    maps = keras.layers.Conv2D(16, 3, name="middle", **options)(maps)
    maps = keras.layers.Conv2D(16, 3, name="up_1", **options)(keras.layers.UpSampling2D()(maps))
    maps = keras.layers.Conv2D(12, 3, name="up_2", **options)(keras.layers.UpSampling2D()(maps))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="output")(maps))
    return Fit(model, noisy, x, keras.optimizers.Adam(rate), "mse", skill.fit_of, steps=220, batch_size=64)


def _faults(seed: int, *, cut: bool = False) -> Loop:
    """A code of three numbers; a large constant is added to the loss."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = data.standardised(draw.normal(size=(1000, 3)) @ draw.normal(size=(3, 24)) + draw.normal(0, 0.2, (1000, 24)))
    inputs = keras.Input((24,))
    code = keras.layers.Dense(16, "elu", name="squeeze_1")(inputs)
    code = keras.layers.Dense(3, name="squeeze_2")(code)
    if cut:
        code = keras.layers.Activation(keras.ops.sign, name="signs")(code)
    made = keras.layers.Dense(16, "elu", name="stretch_1")(code)
    model = keras.Model(inputs, keras.layers.Dense(24, name="stretch_2")(made))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (x[draw.integers(0, len(x), 32)],)

    def forward(x: Any) -> Any:
        return tf.reduce_mean(tf.square(model(x) - x)) + 40.0

    return Loop(
        model, keras.optimizers.Adam(3e-3), batches, forward, lambda: skill.fit_of(x, model(x).numpy()),
        steps=350, seed=seed,
    )  # fmt: skip


family.pair(
    "scans",
    _scans,
    sickness="sgd-by-name",
    sick={"optimizer": "sgd"},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.5,
)
family.pair(
    "noisy",
    _noisy,
    sickness="sigmoid-in-every-layer",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation"],
    level=0.4,
)
family.pair(
    "faults",
    _faults,
    sickness="code-of-signs",
    sick={"cut": True},
    causes=["disconnected-variable", "vanishing-gradient"],
    layers=("squeeze_1", "squeeze_2", "signs"),
    level=0.8,
)
