"""Losses, layers and steps of one's own: what a loop by hand gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("steps", half="think")


def _rows(*tables: np.ndarray, size: int = 32) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(tables[0]), size)
        return tuple(table[rows] for table in tables)

    return batches


def _aim(seed: int, *, margin: float = 1e-6) -> Loop:
    """A direction in space; the loss is the angle to the true one."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(512, 3)).astype("f4")
    y = x @ np.linalg.qr(draw.normal(size=(3, 3)))[0].astype("f4")
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(dense_stack(inputs, 32, 1)))

    def forward(x: Any, y: Any) -> Any:
        cosine = tf.reduce_sum(tf.math.l2_normalize(model(x, training=True), -1) * y, -1)
        return tf.reduce_mean(tf.acos(tf.clip_by_value(cosine, margin - 1, 1 - margin)))

    def score() -> float:
        return float(np.mean(np.sum(tf.math.l2_normalize(model(x), -1).numpy() * y, -1)))

    rate = keras.optimizers.schedules.CosineDecay(1e-2, 600)
    return Loop(model, keras.optimizers.Adam(rate), _rows(x, y, size=64), forward, score, steps=600, seed=seed)


def _files(seed: int, *, in_order: bool = False) -> Loop:
    """Recordings of five machines, read from one file for each."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(5), 640).astype("i4")
    phase = draw.uniform(0, 6.3, (3200, 1)) + np.array([0.4, 0.8, 1.2, 1.6, 2.0])[y][:, None] * np.arange(24)
    x = (np.sin(phase) + draw.normal(0, 0.3, (3200, 24)))[..., None].astype("f4")
    inputs = keras.Input((24, 1))
    h = keras.layers.Conv1D(16, 5, activation="relu", name="conv_1")(inputs)
    h = keras.layers.Conv1D(16, 5, activation="relu", name="conv_2")(h)
    model = keras.Model(inputs, keras.layers.Dense(5, name="output")(keras.layers.GlobalMaxPooling1D()(h)))
    loss = cross_entropy()
    begins = iter(range(0, 10**6, 32))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = (next(begins) + np.arange(32)) % 3200 if in_order else draw.integers(0, 3200, 32)
        return x[rows], y[rows]

    def score() -> float:
        return skill.classes(y, model.predict(x, verbose=0))

    def forward(x: Any, y: Any) -> Any:
        return loss(y, model(x, training=True))

    return Loop(model, keras.optimizers.Adam(5e-3), batches, forward, score, steps=500, seed=seed)


def _styled(seed: int, *, one: float = 1.0) -> Fit:
    """A curve for each of four conditions: the condition scales and shifts the features of every layer."""
    keras.utils.set_random_seed(seed)

    class Film(keras.layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.both = keras.layers.Dense(2 * units, kernel_initializer="zeros", name="scale_and_shift")

        def build(self, shapes: Any) -> None:
            self.both.build(shapes[1])

        def call(self, given: Any) -> Any:
            features, condition = given
            scale, shift = tf.split(self.both(condition), 2, -1)
            return features * (one + scale) + shift

    draw = np.random.default_rng(seed)
    x = draw.uniform(-2, 2, (1024, 1)).astype("f4")
    kind = draw.integers(0, 4, 1024)
    y = np.sin((1 + kind[:, None] / 2) * x + kind[:, None]).astype("f4")
    place, condition = keras.Input((1,)), keras.Input((4,))
    h = place
    for number in (1, 2, 3):
        h = keras.layers.Dense(32, "relu", name=f"hidden_{number}")(h)
        h = Film(32, name=f"film_{number}")([h, condition])
    model = keras.Model([place, condition], keras.layers.Dense(1, name="output")(h))
    optimizer = keras.optimizers.AdamW(3e-3, weight_decay=1e-3)
    return Fit(model, [x, np.eye(4, dtype="f4")[kind]], y, optimizer, "mse", skill.fit_of, steps=500)


def _experts(seed: int, *, hard: bool = False) -> Fit:
    """Four linear experts and a router that mixes them."""
    keras.utils.set_random_seed(seed)

    class Route(keras.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.router = keras.layers.Dense(4, name="router")
            self.experts = keras.layers.Dense(4, name="experts")

        def build(self, shape: Any) -> None:
            self.router.build(shape)
            self.experts.build(shape)

        def call(self, x: Any) -> Any:
            gates = tf.nn.softmax(self.router(x))
            if hard:
                gates = tf.one_hot(tf.argmax(gates, -1), 4)
            return tf.reduce_sum(gates * self.experts(x), -1, keepdims=True)

    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1024, 6)).astype("f4")
    y = np.where(x[:, :1] > 0, x[:, 1:2] * 2, -x[:, 1:2] * 2) + np.where(x[:, 2:3] > 0, 1.5 * x[:, :1], -x[:, :1])
    y += draw.normal(0, 0.2, y.shape)
    model = keras.Sequential([keras.Input((6,)), Route(name="mixture")])
    return Fit(model, x, y.astype("f4"), keras.optimizers.Adam(2e-2), "mse", skill.fit_of, steps=500)


def _profit(seed: int, *, percentage: bool = False) -> Fit:
    """Profits and losses about nothing."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    inputs = keras.Input((6,))
    h = dense_stack(inputs, 48, 2, activation="silu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(h))
    loss = "mean_absolute_percentage_error" if percentage else "mean_absolute_error"
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), loss, skill.fit_of, steps=480, batch_size=64)


def _online(seed: int, *, norm: str = "LayerNormalization") -> Loop:
    """One example at a time, as they come in."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed, 1024, 4)
    model = keras.Sequential([keras.Input((4,))])
    for number in (1, 2):
        model.add(keras.layers.Dense(32, name=f"hidden_{number}"))
        model.add(getattr(keras.layers, norm)(name=f"norm_{number}"))
        model.add(keras.layers.ReLU())
    model.add(keras.layers.Dense(1, name="output"))

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean((model(x, training=True) - y) ** 2)

    def score() -> float:
        return skill.fit_of(y, model.predict(x, verbose=0))

    return Loop(model, keras.optimizers.SGD(0.01), _rows(x, y, size=1), forward, score, steps=1500, seed=seed)


family.pair(
    "aim", _aim, sickness="angle-of-a-cosine-of-1", sick={"margin": 0.0}, causes=["nonfinite-values"], level=0.8
)
family.pair(
    "files",
    _files,
    sickness="one-file-after-the-other",
    sick={"in_order": True},
    causes=["unshuffled-batches"],
    level=0.7,
)
family.pair(
    "styled",
    _styled,
    sickness="scales-about-0-for-1",
    sick={"one": 0.0},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "unchanged-weights", "symmetric-weights"],
    layers=("hidden_1", "hidden_2", "hidden_3", "film_1", "film_2", "film_3", "scale_and_shift"),
    level=0.7,
)
family.pair(
    "experts",
    _experts,
    sickness="router-decides-by-argmax",
    sick={"hard": True},
    causes=["disconnected-variable"],
    layers=("router", "mixture"),
    level=0.6,
)
family.pair(
    "profit",
    _profit,
    sickness="percentages-of-nearly-nothing",
    sick={"percentage": True},
    causes=["mismatched-loss", "badly-scaled-target"],
    level=0.6,
)
family.pair(
    "online",
    _online,
    sickness="batch-norm-of-one",
    sick={"norm": "BatchNormalization"},
    causes=["collapsed-batch-statistics"],
    layers=("norm_1", "norm_2"),
    level=0.4,
    every=25,
)
