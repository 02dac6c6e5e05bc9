"""First networks for pictures, as courses set them: convolutions, stages, skips and deep stacks."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("first-nets", half="think")


def _digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = data.digits()
    return x.reshape(-1, 8, 8, 1), y


def _lenet(seed: int, *, rate: float = 0.1) -> Fit:
    """The oldest of them: hyperbolic tangents and averages."""
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            keras.layers.Conv2D(6, 3, padding="same", activation="tanh", name="conv_1"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Conv2D(16, 3, activation="tanh", name="conv_2"),
            keras.layers.Flatten(),
            keras.layers.Dense(60, "tanh", name="dense_1"),
            keras.layers.Dense(10, "softmax", name="output"),
        ]
    )
    optimizer = keras.optimizers.SGD(rate)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=400, batch_size=32)


def _capped(seed: int, *, divisor: float = 255.0) -> Fit:
    """Units that go up to 6 and no further."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed)
    x = (np.round(255 * x) / divisor).astype("f4")
    inputs = keras.Input(x.shape[1:])
    maps = inputs
    for number, filters in ((1, 8), (2, 16)):
        maps = keras.layers.Conv2D(filters, 3, strides=2, padding="same", name=f"conv_{number}")(maps)
        maps = keras.layers.ReLU(6.0)(maps)
    hidden = keras.layers.Dense(32, name="dense_1")(keras.layers.Flatten()(maps))
    hidden = keras.layers.ReLU(6.0)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=240)


def _skips(seed: int, *, rate: float = 1e-3) -> Fit:
    """Residual blocks whose branches start at zero, and whose labels are smoothed."""
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Conv2D(12, 3, strides=2, padding="same", name="stem")(inputs)
    for number in range(1, 6):
        name = f"block_{number}_conv"
        branch = keras.layers.Conv2D(12, 3, padding="same", activation="relu", name=f"{name}_1")(maps)
        branch = keras.layers.Conv2D(12, 3, padding="same", kernel_initializer="zeros", name=f"{name}_2")(branch)
        maps = keras.layers.ReLU()(keras.layers.Add()([maps, branch]))
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="output")(keras.layers.Flatten()(maps)))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    wanted = keras.utils.to_categorical(y, 10)
    return Fit(model, x, wanted, keras.optimizers.Lion(rate), loss, skill.classes, steps=250)


def _penalised(seed: int, *, penalty: float = 1e-4) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    l2 = keras.regularizers.L2(penalty)
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            keras.layers.Conv2D(16, 3, activation="relu", kernel_regularizer=l2, name="conv_1"),
            keras.layers.Conv2D(16, 3, activation="relu", kernel_regularizer=l2, name="conv_2"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu", kernel_regularizer=l2, name="dense_1"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, "softmax", kernel_regularizer=l2, name="output"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, "adam", loss, skill.classes, steps=400)


def _self_normalising(seed: int, *, weights: str = "lecun_normal") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x = data.standardised(x)
    inputs = keras.Input((64,))
    hidden = dense_stack(
        inputs, 48, 12, activation="selu", kernel_initializer=weights,
        between=lambda _number: [keras.layers.AlphaDropout(0.02)],
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="output")(hidden))
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 100, 0.8)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=340)


def _stages(seed: int, *, repeats: int = 1) -> Fit:
    """Three stages of plain convolutions."""
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    inputs = keras.Input(x.shape[1:])
    maps = inputs
    for stage, filters in ((1, 8), (2, 8), (3, 8)):
        for number in range(1, repeats + 1):
            layer = keras.layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=f"stage_{stage}_conv_{number}"
            )
            maps = layer(maps)
        maps = keras.layers.MaxPooling2D()(maps)
    hidden = keras.layers.Dense(32, "relu", name="dense_1")(keras.layers.Flatten()(maps))
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=250)


family.pair(
    "lenet",
    _lenet,
    sickness="rate-of-a-thousandth",
    sick={"rate": 1e-4},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "capped",
    _capped,
    sickness="pixels-as-they-come",
    sick={"divisor": 1.0},
    causes=["badly-scaled-input", "saturated-activation"],
    level=0.7,
)
family.pair(
    "skips",
    _skips,
    sickness="lion-a-hundred-times-too-fast",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "penalised",
    _penalised,
    sickness="l2-of-a-tenth",
    sick={"penalty": 0.1},
    causes=["shrunken-weights"],
    level=0.8,
)
family.pair(
    "self-normalising",
    _self_normalising,
    sickness="random-normal",
    sick={"weights": "random_normal"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.7,
)
family.pair(
    "stages",
    _stages,
    sickness="twelve-convolutions-in-a-row",
    sick={"repeats": 4},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    level=0.7,
)
