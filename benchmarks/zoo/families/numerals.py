"""Handwritten digits and small convolutions: the network that everybody builds first."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("numerals", half="think")


def _digits(count: int = 1797) -> tuple[np.ndarray, np.ndarray]:
    x, y = data.digits()
    return x[:count].reshape(-1, 8, 8, 1), y[:count]


def _conv(filters: int, name: str, **options: Any) -> Any:
    return keras.layers.Conv2D(filters, 3, padding="same", name=name, **options)


def _pools(seed: int, *, rate: float = 2e-3) -> Fit:
    """Pixels 0 to 16, which harm nothing here; labels smoothed."""
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        _conv(8, "conv_1", activation="relu"), keras.layers.MaxPooling2D(),
        _conv(16, "conv_2", activation="relu"), keras.layers.MaxPooling2D(),
        keras.layers.Flatten(), keras.layers.Dense(32, "relu", name="hidden"),
        keras.layers.Dense(10, "softmax", name="output"),
    ])  # fmt: skip
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return Fit(
        model, 16 * x, np.eye(10, dtype="f4")[y], keras.optimizers.AdamW(rate), loss, skill.classes,
        steps=260, batch_size=32,
    )  # fmt: skip


def _book(seed: int, *, loss: str = "categorical_crossentropy") -> Fit:
    """One hidden layer of sigmoids and plain descent, as in the textbook."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential([
        keras.Input((64,)), keras.layers.Dense(30, "sigmoid", name="hidden"),
        keras.layers.Dense(10, "softmax", name="output"),
    ])  # fmt: skip
    y = np.eye(10, dtype="f4")[y]
    return Fit(model, x, y, keras.optimizers.SGD(0.3), loss, skill.classes, steps=900, batch_size=16)


def _penultimate(seed: int, *, activation: str = "relu") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        _conv(12, "conv_1", activation="relu"), _conv(12, "conv_2", activation="relu", strides=2),
        keras.layers.Flatten(), keras.layers.Dense(64, activation, name="hidden"),
        keras.layers.Dense(10, "softmax", name="output"),
    ])  # fmt: skip
    rate = keras.optimizers.schedules.CosineDecay(0.02, 290)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=290, batch_size=32)


def _boundaries(seed: int, *, per_epoch: int = 28) -> Fit:
    """The rate falls to a tenth after the fourth epoch and again after the eighth."""
    keras.utils.set_random_seed(seed)
    x, y = _digits()
    maps = inputs = keras.Input((8, 8, 1))
    for number, filters in enumerate((12, 24), 1):
        maps = _conv(filters, f"conv_{number}", use_bias=False, strides=2)(maps)
        maps = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(maps)
        maps = keras.layers.ReLU(name=f"relu_{number}")(maps)
    maps = keras.layers.Dropout(0.5, name="dropout")(keras.layers.Flatten()(maps))
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="output")(maps))
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([4 * per_epoch, 8 * per_epoch], [1e-3, 1e-4, 1e-5])
    optimizer = keras.optimizers.Adam(rate)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=310, batch_size=64)


def _pairs(seed: int, *, floor: float = 1e-6) -> Loop:
    """Same digit or not: one network for both pictures, the distance of their codes."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential([
        keras.Input((64,)), keras.layers.Dense(64, "relu", name="hidden"), keras.layers.Dense(16, name="code"),
    ])  # fmt: skip

    def draw_pairs(draw: np.random.Generator, count: int) -> tuple[Any, ...]:
        left = draw.integers(0, len(x), count)
        right = np.array([
            draw.choice(np.flatnonzero(y == y[one])) if n % 2 else draw.integers(0, len(x))
            for n, one in enumerate(left)
        ])  # fmt: skip
        right[0] = left[0]
        return x[left], x[right], (y[left] == y[right]).astype("f4")

    def distance(left: Any, right: Any) -> Any:
        return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(model(left) - model(right)), 1), floor))

    def forward(left: Any, right: Any, same: Any) -> Any:
        apart = distance(left, right)
        return tf.reduce_mean(same * apart + (1 - same) * tf.maximum(1 - apart, 0) ** 2)

    def score() -> float:
        left, right, same = draw_pairs(np.random.default_rng(1), 1000)
        return skill.binary(same, -distance(left, right).numpy(), threshold=-0.5)

    return Loop(
        model, keras.optimizers.RMSprop(1e-3), lambda draw: draw_pairs(draw, 32), forward, score, steps=300, seed=seed
    )


family.pair(
    "pools",
    _pools,
    sickness="rate-of-a-tenth",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "book",
    _book,
    sickness="squared-error-of-probabilities",
    sick={"loss": "mse"},
    causes=["mismatched-loss", "learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "penultimate",
    _penultimate,
    sickness="softmax-before-the-last-layer",
    sick={"activation": "softmax"},
    causes=["misplaced-softmax", "vanishing-gradient"],
    layers=("hidden",),
    level=0.8,
)
family.pair(
    "boundaries",
    _boundaries,
    sickness="boundaries-in-epochs",
    sick={"per_epoch": 1},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
)
family.pair(
    "pairs",
    _pairs,
    sickness="root-of-no-distance",
    sick={"floor": 0.0},
    causes=["nonfinite-values"],
    level=0.6,
)
