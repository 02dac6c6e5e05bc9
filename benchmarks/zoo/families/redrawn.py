"""Pictures made of pictures: autoencoders, a variational one, masks of pixels, and where something is."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.program import Family
from zoo.task import Fit

family = Family("redrawn", half="think")


def _digits() -> np.ndarray:
    return data.digits()[0].reshape(-1, 8, 8, 1)


def _pixels(truth: Any, made: Any) -> float:
    return skill.fit_of(np.reshape(truth, (len(truth), -1)), np.reshape(made, (len(made), -1)))


def _mask(truth: Any, made: Any) -> float:
    return skill.binary(np.ravel(truth), np.ravel(made))


def _blog(seed: int, *, rate: float = 1.0) -> Fit:
    """The autoencoder of a well-known blog, whose Adadelta had a rate of 1 by default; today's has a thousandth."""
    keras.utils.set_random_seed(seed)
    x = _digits()
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="encoder_1")(inputs)
    maps = keras.layers.MaxPooling2D(2)(maps)
    maps = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="encoder_2")(maps)
    maps = keras.layers.MaxPooling2D(2)(maps)
    maps = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="decoder_1")(maps)
    maps = keras.layers.UpSampling2D(2)(maps)
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="decoder_2")(maps)
    maps = keras.layers.UpSampling2D(2)(maps)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="output")(maps))
    return Fit(model, x, x, keras.optimizers.Adadelta(rate), "binary_crossentropy", _pixels, steps=450)


def _variational(seed: int, *, sign: float = 1.0) -> Fit:
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()

    class Draw(keras.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.seed = keras.random.SeedGenerator(seed)

        def call(self, parameters: Any) -> Any:
            mean, log_variance = parameters
            divergence = 0.5 * keras.ops.sum(
                keras.ops.exp(log_variance) + keras.ops.square(mean) - 1 - log_variance, axis=-1
            )
            self.add_loss(sign * keras.ops.mean(divergence))
            noise = keras.random.normal(keras.ops.shape(mean), seed=self.seed)
            return mean + keras.ops.exp(0.5 * log_variance) * noise

    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "relu", name="encoder")(inputs)
    mean = keras.layers.Dense(4, name="mean")(hidden)
    log_variance = keras.layers.Dense(4, name="log_variance")(hidden)
    code = Draw(name="draw")([mean, log_variance])
    hidden = keras.layers.Dense(64, "relu", name="decoder")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, "sigmoid", name="output")(hidden))

    def error(truth: Any, made: Any) -> Any:
        return 64 * keras.losses.binary_crossentropy(truth, made)

    return Fit(model, x, x, keras.optimizers.Adam(2e-3), error, _pixels, steps=600, batch_size=64)


def _spots(seed: int, count: int = 512, side: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noisy pictures with one bright spot, the mask of the spot, and its centre in shares of the picture."""
    draw = np.random.default_rng(seed)
    centre = draw.uniform(0.2, 0.8, (count, 2))
    rows, columns = np.mgrid[:side, :side] / (side - 1)
    square = (rows - centre[:, :1, None]) ** 2 + (columns - centre[:, 1:, None]) ** 2
    mask = (square < 0.012).astype("f4")
    x = np.exp(-square / 0.012) + draw.normal(0, 0.15, square.shape)
    return x[..., None].astype("f4"), mask[..., None], centre.astype("f4")


def _masks(seed: int, *, activation: str = "sigmoid") -> Fit:
    """A small U; one pixel in thirty belongs to the mask."""
    keras.utils.set_random_seed(seed)
    x, mask, _ = _spots(seed)
    inputs = keras.Input(x.shape[1:])
    fine = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="down_1")(inputs)
    coarse = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="down_2")(
        keras.layers.MaxPooling2D()(fine)
    )
    maps = keras.layers.Conv2DTranspose(8, 2, strides=2, activation="relu", name="up_1")(coarse)
    maps = keras.layers.Concatenate()([maps, fine])
    maps = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="up_2")(maps)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, activation=activation, name="output")(maps))
    return Fit(model, x, mask, keras.optimizers.Adam(3e-3), "binary_crossentropy", _mask, steps=200)


def _where(seed: int, *, width: float = 1.0) -> Fit:
    """Where the spot is, in shares of a picture of that many pixels."""
    keras.utils.set_random_seed(seed)
    x, _, centre = _spots(seed)
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv_1"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="conv_2"),
            keras.layers.Flatten(),
            keras.layers.Dense(32, "relu", name="dense_1"),
            keras.layers.Dense(2, name="output"),
        ]
    )
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, width * centre, optimizer, "mse", skill.fit_of, steps=320, batch_size=16)


def _noisy(seed: int, *, dropped: float = 0.1) -> Fit:
    """Cleans pictures of their noise; a share of the code is dropped."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    noisy = np.clip(x + np.random.default_rng(seed).normal(0, 0.2, x.shape), 0, 1).astype("f4")
    model = keras.Sequential([keras.Input((64,))])
    for name, units in (("encoder_1", 96), ("encoder_2", 48), ("decoder_1", 48), ("decoder_2", 96)):
        model.add(keras.layers.Dense(units, "elu", name=name))
        model.add(keras.layers.Dropout(dropped))
    model.add(keras.layers.Dense(64, name="output"))
    return Fit(model, noisy, x, keras.optimizers.RMSprop(1e-3), "mse", _pixels, steps=500, batch_size=64)


family.pair(
    "blog",
    _blog,
    sickness="adadelta-as-it-is-today",
    sick={"rate": 1e-3},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.25,
    every=25,
)
family.pair(
    "variational",
    _variational,
    sickness="sign-of-the-divergence",
    sick={"sign": -1.0},
    causes=["diverging-loss", "exploding-gradient", "nonfinite-values"],
    layers=("mean", "log_variance", "draw", "decoder"),
    level=0.25,
)
family.pair(
    "masks",
    _masks,
    sickness="softmax-over-one-channel",
    sick={"activation": "softmax"},
    causes=["misplaced-softmax", "mismatched-loss", "constant-output"],
    layers=("output",),
    level=0.7,
)
family.pair(
    "where",
    _where,
    sickness="centre-in-pixels",
    sick={"width": 224.0},
    causes=["badly-scaled-target", "learning-rate-too-high", "exploding-gradient"],
    level=0.7,
)
family.pair(
    "noisy",
    _noisy,
    sickness="three-fifths-dropped",
    sick={"dropped": 0.6},
    causes=["excessive-dropout"],
    level=0.5,
)
