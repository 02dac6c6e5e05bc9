"""Training steps by `GradientTape`, as written by hand from the guide."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Loop

family = Family("tapes", half="think")


def _rows(*tables: np.ndarray, size: int = 32) -> Any:
    """Draws a batch of rows, the same of every table."""

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(tables[0]), size)
        return tuple(table[rows] for table in tables)

    return batches


def _mlp(entries: int, outputs: int, width: int = 48, activation: str = "relu") -> Any:
    inputs = keras.Input((entries,))
    hidden = keras.layers.Dense(width, activation, name="hidden_1")(inputs)
    hidden = keras.layers.Dense(width, activation, name="hidden_2")(hidden)
    return keras.Model(inputs, keras.layers.Dense(outputs, name="output")(hidden))


def _column(seed: int, *, flat: bool = False) -> Loop:
    """Targets of shape ``[batch, 1]``; of ``[batch]`` the difference is a square of all pairs."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    model = _mlp(6, 1)
    target = y[:, 0] if flat else y

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean(tf.square(y - model(x, training=True)))

    return Loop(
        model, keras.optimizers.Adam(3e-3), _rows(x, target), forward,
        lambda: skill.fit_of(y, model(x)), steps=500, seed=seed,
    )  # fmt: skip


def _copied(seed: int, *, bypassed: bool = False) -> Loop:
    """A subclassed model; a line copied with the wrong name in it passes the hidden layer by."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)

    class Classifier(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden_1 = keras.layers.Dense(48, "relu", name="hidden_1")
            self.hidden_2 = keras.layers.Dense(48, "relu", name="hidden_2")
            self.kind = keras.layers.Dense(3, name="kind")

        def call(self, x: Any) -> Any:
            first = self.hidden_1(x)
            second = self.hidden_2(first)
            return self.kind(x if bypassed else second)

    model = Classifier()
    model(x[:2])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def forward(x: Any, y: Any) -> Any:
        return loss(y, model(x, training=True))

    return Loop(
        model, keras.optimizers.RMSprop(3e-3), _rows(x, y, size=64), forward,
        lambda: skill.classes(y, model(x)), steps=600, seed=seed,
    )  # fmt: skip


def _clipped(seed: int, *, lowest: float = -1.0) -> Loop:
    """Every entry of a gradient held within bounds."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, spread=2.0)
    model = _mlp(20, 5, activation="elu")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def forward(x: Any, y: Any) -> Any:
        return loss(y, model(x, training=True))

    return Loop(
        model, keras.optimizers.SGD(0.1), _rows(x, y, size=16), forward,
        lambda: skill.classes(y, model(x)), steps=400, seed=seed,
        change=lambda gradients: [tf.clip_by_value(gradient, lowest, 1.0) for gradient in gradients],
    )  # fmt: skip


def _by_hand(seed: int, *, epsilon: float = 1e-3) -> Loop:
    """Columns brought to unit variance batch by batch; two of them are flags that are seldom set."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(3, 2, (1200, 8)).astype("f4")
    x[:, 6:] = draw.random((1200, 2)) < 0.1
    y = (np.sin(x[:, 0]) + 0.5 * x[:, 1] + 2 * x[:, 6] - 2 * x[:, 7] > 1.5).astype("f4")[:, None]
    model = _mlp(8, 1)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def scaled(x: Any) -> Any:
        return (x - tf.reduce_mean(x, 0)) / (tf.math.reduce_std(x, 0) + epsilon)

    def forward(x: Any, y: Any) -> Any:
        return loss(y, model(scaled(x), training=True))

    return Loop(
        model, keras.optimizers.Adam(2e-3), _rows(x, y), forward,
        lambda: skill.binary(y, model(scaled(x)), 0.0), steps=500, seed=seed,
    )  # fmt: skip


def _bits(seed: int, *, straight_through: bool = True) -> Loop:
    """Digits told from a code of eight bits; rounding passes the gradient on as if it were not there."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()

    class Bits(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            rounded = tf.round(x)
            return x + tf.stop_gradient(rounded - x) if straight_through else rounded

    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "relu", name="encoder_1")(inputs)
    code = Bits(name="bits")(keras.layers.Dense(8, "sigmoid", name="encoder_2")(hidden))
    hidden = keras.layers.Dense(64, "relu", name="decoder_1")(code)
    model = keras.Model(inputs, keras.layers.Dense(10, name="decoder_2")(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def forward(x: Any, y: Any) -> Any:
        return loss(y, model(x, training=True))

    return Loop(
        model, keras.optimizers.Adam(2e-3), _rows(x, y, size=64), forward,
        lambda: skill.classes(y, model(x)), steps=500, seed=seed,
    )  # fmt: skip


family.pair(
    "column",
    _column,
    sickness="targets-without-their-last-axis",
    sick={"flat": True},
    causes=["mismatched-loss", "constant-output"],
    level=0.7,
)
family.pair(
    "copied-line",
    _copied,
    sickness="hidden-layers-passed-by",
    sick={"bypassed": True},
    causes=["disconnected-variable"],
    layers=("hidden_1", "hidden_2"),
    level=0.7,
)
family.pair(
    "bounds",
    _clipped,
    sickness="clipped-to-0-and-above",
    sick={"lowest": 0.0},
    causes=["permanent-clipping"],
    level=0.6,
    every=10,
)
family.pair(
    "seldom-set",
    _by_hand,
    sickness="divided-by-no-deviation",
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
    level=0.6,
    every=1,
)
family.pair(
    "bits",
    _bits,
    sickness="rounded-without-straight-through",
    sick={"straight_through": False},
    causes=["disconnected-variable", "vanishing-gradient"],
    layers=("encoder_1", "encoder_2"),
    level=0.7,
)
