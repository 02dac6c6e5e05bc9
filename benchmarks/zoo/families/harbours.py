"""Ships and their cargo: tables, digits on containers and echoes, most of them ill in part or late."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("harbours", half="think")


def _voyages(seed: int, count: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Eight standardised facts of a voyage, and its fuel: skewed, and with some chance in it."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, 8)).astype("f4")
    fuel = np.exp(0.5 * x[:, 0]) * (1 + np.tanh(2 * x[:, 1] * x[:, 2])) + np.abs(x[:, 3]) + 0.3 * x[:, 4]
    return x, data.standardised((fuel + draw.normal(0, 0.2, count))[:, None])


def _fuel(seed: int, *, rate: float = 0.02) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _voyages(seed)
    inputs = keras.Input((8,))
    hidden = dense_stack(inputs, 64, 3, activation="relu", kernel_initializer="he_uniform")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    schedule = keras.optimizers.schedules.PolynomialDecay(rate, 700, 0.0)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    return Fit(model, x, y, optimizer, "log_cosh", skill.fit_of, steps=700)


def _draught(seed: int, *, share: float = 1.0) -> Fit:
    """Twelve layers of tanh without a norm."""
    keras.utils.set_random_seed(seed)
    x, y = _voyages(seed)
    inputs = keras.Input((8,))
    start = keras.initializers.VarianceScaling(share, "fan_avg", "uniform")
    hidden = dense_stack(inputs, 40, 12, activation="tanh", kernel_initializer=start)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.SGD(0.02, momentum=0.9), "mse", skill.fit_of, steps=500)


def _cargo(seed: int, *, growth: float = 0.8) -> Fit:
    """A cosine that restarts every hundred steps."""
    keras.utils.set_random_seed(seed)
    x, y = _voyages(seed)
    inputs = keras.Input((8,))
    hidden = dense_stack(inputs, 48, 3, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    rate = keras.optimizers.schedules.CosineDecayRestarts(3e-3, 100, t_mul=1.0, m_mul=growth)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3)
    return Fit(model, x, y, optimizer, "mse", skill.fit_of, steps=500)


def _berths(seed: int, *, dropout: float = 0.1) -> Fit:
    """How long a ship stays, through a narrow layer."""
    keras.utils.set_random_seed(seed)
    x, y = _voyages(seed)
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(64, "swish", name="hidden_1")(inputs)
    hidden = keras.layers.Dense(16, "swish", name="hidden_2")(hidden)
    hidden = keras.layers.Dropout(dropout, name="drop")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=400)


def _echoes(seed: int, *, batch_size: int = 32) -> Fit:
    """What the radar saw, from the shape of its echo."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, 800)
    time = np.arange(24) - draw.uniform(9, 15, (800, 1))
    x = np.exp(-((time / (1.5 + 0.8 * (kind[:, None] % 2))) ** 2)) * np.cos(time * (0.4 + 0.5 * (kind[:, None] > 1)))
    inputs = keras.Input((24,))
    hidden = inputs
    for number in range(1, 5):
        hidden = keras.layers.Dense(32, use_bias=False, name=f"hidden_{number}")(hidden)
        hidden = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(hidden)
        hidden = keras.layers.Activation("relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    x = (x + draw.normal(0, 0.1, x.shape)).astype("f4")
    optimizer = keras.optimizers.Adam(2e-3)
    return Fit(
        model, x, kind.astype("i4"), optimizer, cross_entropy(), skill.classes, steps=400, batch_size=batch_size
    )  # fmt: skip


def _containers(seed: int, *, fused: bool = True) -> Fit:
    """Digits of 0 to 255 as they come, which here does no harm."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 64, 2, activation="relu", kernel_initializer="he_normal")
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))

    def entropy(truth: Any, logits: Any) -> Any:
        logarithms = (
            tf.nn.log_softmax(logits)
            if fused
            else tf.math.log(tf.exp(logits) / tf.reduce_sum(tf.exp(logits), -1, True))
        )
        return -tf.reduce_sum(truth * logarithms, -1)

    one_hot = np.eye(10, dtype="f4")[y]
    return Fit(model, 255 * x, one_hot, keras.optimizers.Adamax(2e-3), entropy, skill.classes, steps=300, batch_size=16)


family.pair(
    "fuel",
    _fuel,
    sickness="rate-of-a-hundredth",
    sick={"rate": 2e-4},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "draught",
    _draught,
    sickness="variance-of-a-third",
    sick={"share": 0.33},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.5,
)
family.pair(
    "cargo",
    _cargo,
    sickness="each-cycle-four-times-the-last",
    sick={"growth": 4.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "berths",
    _berths,
    sickness="nine-of-ten-dropped",
    sick={"dropout": 0.9},
    causes=["excessive-dropout"],
    layers=("drop", "hidden_2", "output"),
    level=0.7,
)
family.pair(
    "echoes",
    _echoes,
    sickness="batches-of-two",
    sick={"batch_size": 2},
    causes=["collapsed-batch-statistics"],
    layers=[f"norm_{number}" for number in range(1, 5)],
    level=0.7,
)
family.pair(
    "containers",
    _containers,
    sickness="softmax-written-out",
    sick={"fused": False},
    causes=["nonfinite-values"],
    level=0.7,
    every=25,
)
