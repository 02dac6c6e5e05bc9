"""Convolutions on small pictures: a stack with dropout, separable ones, LeNet, and a residual one."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("convnets", half="think")


def _signs(seed: int, count: int = 640, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Coloured discs, squares, rings and crosses ``[count, side, side, 3]``, 0 to 1, and which it is."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, count)
    centre, size = draw.uniform(6, side - 7, (2, count, 1, 1)), draw.uniform(3, 5, (count, 1, 1))
    ys, xs = np.mgrid[:side, :side][:, None] - centre
    radius, square = np.hypot(xs, ys), np.maximum(abs(xs), abs(ys))
    thin = np.minimum(abs(xs), abs(ys))
    masks = np.stack([radius < size, square < size, abs(radius - size) < 1, (square < size) & (thin < 1)])
    colour = draw.uniform(0.4, 1, (count, 1, 1, 3))
    x = masks[kind, np.arange(count)][..., None] * colour + draw.normal(0.1, 0.08, (count, side, side, 3))
    return np.clip(x, 0, 1).astype("f4"), kind.astype("i4")


def _dropped(seed: int, *, rate: float = 0.4) -> Fit:
    """Dropout after every stage, as the notebooks against overfitting have it."""
    keras.utils.set_random_seed(seed)
    x, y = _signs(seed)
    inputs = keras.Input(x.shape[1:])
    maps = inputs
    for stage, filters in enumerate((16, 32), 1):
        maps = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{stage}")(maps)
        maps = keras.layers.MaxPooling2D(name=f"pool_{stage}")(maps)
        maps = keras.layers.Dropout(rate, name=f"dropout_{stage}")(maps)
    hidden = keras.layers.Dense(64, "relu", name="hidden")(keras.layers.Flatten()(maps))
    hidden = keras.layers.Dropout(rate, name="dropout_3")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(4, "softmax", name="sign")(hidden))
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, keras.optimizers.Adam(1e-3), loss, skill.classes, steps=300)


def _separable(seed: int, *, rate: float = 3e-3) -> Fit:
    """Separable convolutions, labels smoothed, the rate down to 0 by a cosine."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed, count=640)
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Conv2D(16, 3, strides=2, padding="same", name="stem")(inputs)
    for number in (1, 2, 3):
        maps = keras.layers.SeparableConv2D(24, 3, padding="same", use_bias=False, name=f"separable_{number}")(maps)
        maps = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(maps)
        maps = keras.layers.Activation("swish", name=f"swish_{number}")(maps)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(maps)
    model = keras.Model(inputs, keras.layers.Dense(4, name="direction")(pooled))
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(rate, 300), weight_decay=0.01)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return Fit(model, x, np.eye(4, dtype="f4")[y], optimizer, loss, skill.classes, steps=300)


def _lenet(seed: int, *, rate: float = 0.03) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", name="conv_1"),
            keras.layers.Conv2D(32, 3, activation="relu", name="conv_2"),
            keras.layers.MaxPooling2D(2, name="pool"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu", name="dense_1"),
            keras.layers.Dense(32, "relu", name="dense_2"),
            keras.layers.Dense(10, "softmax", name="digit"),
        ]
    )
    sgd = keras.optimizers.SGD(rate, momentum=0.9)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x.reshape(-1, 8, 8, 1), y, sgd, loss, skill.classes, steps=400)


def _block(maps: Any, number: int, *, frozen: bool) -> Any:
    inner = maps
    for part in ("a", "b"):
        inner = keras.layers.Conv2D(
            8, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"conv_{number}{part}"
        )(inner)
        norm = keras.layers.BatchNormalization(momentum=0.9, trainable=not frozen, name=f"norm_{number}{part}")
        inner = norm(inner)
        if part == "a":
            inner = keras.layers.ReLU(name=f"relu_{number}{part}")(inner)
    return keras.layers.ReLU(name=f"relu_{number}")(keras.layers.Add(name=f"add_{number}")([maps, inner]))


def _resnet(seed: int, *, frozen: bool = False) -> Fit:
    """Fourteen residual blocks on pixels of 0 to 16; batch norms are frozen as for fine-tuning."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x, y = 16 * x[:960].reshape(-1, 8, 8, 1), y[:960]
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(inputs)
    for number in range(1, 15):
        maps = _block(maps, number, frozen=frozen)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(maps)
    model = keras.Model(inputs, keras.layers.Dense(10, name="digit")(pooled))
    sgd = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.05, 240), momentum=0.9, nesterov=True)
    return Fit(model, x, y, sgd, cross_entropy(), skill.classes, steps=240)


family.pair(
    "signs",
    _dropped,
    sickness="dropout-of-nine-tenths-after-each-stage",
    sick={"rate": 0.9},
    causes=["excessive-dropout"],
    layers=("dropout_1", "dropout_2", "dropout_3"),
    level=0.6,
)
family.pair(
    "separable",
    _separable,
    sickness="rate-too-low",
    sick={"rate": 2e-5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "lenet",
    _lenet,
    sickness="rate-ten-times-too-high",
    sick={"rate": 0.3},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "dead-units"],
    level=0.8,
)
family.pair(
    "resnet",
    _resnet,
    sickness="norms-frozen-before-they-have-learned",
    sick={"frozen": True},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    level=0.7,
)
