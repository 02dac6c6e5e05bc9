"""What courses set as homework: small nets on the sets that every course uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack, normal
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("exercises", half="think")


def _textbook(seed: int, *, rate: float = 3.0) -> Fit:
    """One hidden layer of sigmoids, weights from a unit normal, the quadratic cost and plain descent in tens."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(30, "sigmoid", kernel_initializer=normal(1.0), name="hidden")(inputs)
    output = keras.layers.Dense(10, "sigmoid", kernel_initializer=normal(1.0), name="output")(hidden)
    model = keras.Model(inputs, output)
    one_hot = np.eye(10, dtype="f4")[y]

    def cost(truth: Any, predicted: Any) -> Any:
        return 0.5 * tf.reduce_sum(tf.square(truth - predicted), -1)

    return Fit(model, x, one_hot, keras.optimizers.SGD(rate), cost, skill.classes, steps=1200, batch_size=10)


def _powers(seed: int, *, scaled: bool = True) -> Fit:
    """A curve from the powers of one number."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    number = draw.uniform(-3, 3, (500, 1))
    powers = (number ** np.arange(1, 8)).astype("f4")
    y = np.sin(1.5 * number) + 0.3 * number + draw.normal(0, 0.1, (500, 1))
    inputs = keras.Input((7,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(inputs))
    x = data.standardised(powers) if scaled else powers
    return Fit(model, x, y.astype("f4"), keras.optimizers.SGD(0.05), "mse", skill.fit_of, steps=600)


def _rings(seed: int, *, slope: float = 0.1) -> Fit:
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, 800)
    angle = draw.uniform(0, 2 * np.pi, 800)
    x = np.stack([np.cos(angle), np.sin(angle)], 1) * (1 + y[:, None]) + draw.normal(0, 0.15, (800, 2))
    inputs = keras.Input((2,))
    hidden = dense_stack(inputs, 16, 3, between=lambda _: [keras.layers.LeakyReLU(slope)])
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, x.astype("f4"), y, optimizer, "binary_crossentropy", skill.binary, steps=250)


def _cultivars(seed: int, *, kinds: int = 3, loss: str = "sparse_categorical_crossentropy") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.wine()
    inputs = keras.Input((13,))
    hidden = dense_stack(inputs, 16, 2, activation="relu")
    ending = "softmax" if kinds > 1 else "sigmoid"
    model = keras.Model(inputs, keras.layers.Dense(kinds, ending, name="output")(hidden))
    optimizer = keras.optimizers.RMSprop(2e-3)
    return Fit(model, data.standardised(x), y, optimizer, loss, skill.classes, steps=240, batch_size=16)


def _thirty(seed: int, *, share: float = 1.0) -> Fit:
    """Thirty layers that normalise themselves."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    start = keras.initializers.VarianceScaling(share, "fan_in", "truncated_normal")
    hidden = dense_stack(inputs, 40, 30, activation="selu", kernel_initializer=start)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    optimizer = keras.optimizers.Adam(5e-4)
    return Fit(model, data.standardised(x), y, optimizer, cross_entropy(), skill.classes, steps=300, batch_size=64)


def _progress(seed: int, *, rate: float = 2e-3) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()
    inputs = keras.Input((10,))
    hidden = dense_stack(inputs, 24, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    optimizer = keras.optimizers.RMSprop(rate)
    return Fit(model, x, data.standardised(y), optimizer, "mse", skill.fit_of, steps=300)


def _numerals(seed: int, *, activation: str = "relu") -> Fit:
    """Six layers, smoothed labels, much dropout, Nesterov's momentum and a rate that decays."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 64, 5, activation=activation)
    hidden = keras.layers.Dropout(0.5)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="output")(hidden))
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, 100, 0.8)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return Fit(model, x, np.eye(10, dtype="f4")[y], optimizer, loss, skill.classes, steps=450)


def _directions(seed: int, *, floor: float = 1e-6) -> Loop:
    """Descent by the direction of each gradient alone; the last layer starts at zero."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, features=12)
    inputs = keras.Input((12,))
    hidden = dense_stack(inputs, 32, 2, activation="swish")
    model = keras.Model(inputs, keras.layers.Dense(5, kernel_initializer="zeros", name="output")(hidden))
    loss = cross_entropy()

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 32)
        return x[rows], y[rows]

    return Loop(
        model, keras.optimizers.SGD(0.03), batches, lambda x, y: loss(y, model(x, training=True)),
        lambda: skill.classes(y, model(x)), steps=300, seed=seed,
        change=lambda gradients: [g / (tf.norm(g) + floor) for g in gradients],
    )  # fmt: skip


family.pair(
    "textbook",
    _textbook,
    sickness="rate-of-100",
    sick={"rate": 100.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
    every=25,
)
family.pair(
    "powers",
    _powers,
    sickness="powers-to-2000-as-they-are",
    sick={"scaled": False},
    causes=["badly-scaled-input", "learning-rate-too-high"],
    level=0.4,
)
family.pair(
    "rings", _rings, sickness="leaks-with-a-slope-of-1", sick={"slope": 1.0}, causes=["linear-units"], level=0.8
)
family.pair(
    "cultivars",
    _cultivars,
    sickness="entropy-of-two-for-three",
    sick={"kinds": 1, "loss": "binary_crossentropy"},
    causes=["mismatched-loss"],
    level=0.8,
)
family.pair(
    "thirty",
    _thirty,
    sickness="variance-of-4",
    sick={"share": 4.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    level=0.6,
)
family.pair(
    "progress",
    _progress,
    sickness="rate-of-three-tenths",
    sick={"rate": 0.3},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.4,
)
family.pair(
    "numerals",
    _numerals,
    sickness="sigmoids-for-relus",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation"],
    level=0.7,
)
family.pair(
    "directions",
    _directions,
    sickness="length-of-no-gradient",
    sick={"floor": 0.0},
    causes=["nonfinite-values"],
    level=0.7,
)
