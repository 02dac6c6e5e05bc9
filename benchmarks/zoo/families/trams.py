"""A tram network: when trams come, who gets on, how they sound."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("trams", half="test")


def _rides(seed: int, count: int = 1400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight measures of a ride, its delay in seconds, and how full the tram is, in three classes."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, 8))
    delay = 90 + 70 * x[:, 0] - 40 * x[:, 1] * x[:, 2] + 12 * draw.normal(size=count)
    riders = np.sin(1.6 * x[:, 3]) + x[:, 4] * x[:, 5] + 0.15 * draw.normal(size=count)
    return x.astype("f4"), delay.astype("f4")[:, None], np.digitize(riders, [-0.6, 0.6]).astype("i4")


def _arrivals(seed: int, *, seconds: bool = False) -> Fit:
    """A tram's delay and how full it is, at once."""
    keras.utils.set_random_seed(seed)
    x, delay, full = _rides(seed)
    inputs = keras.Input((8,))
    hidden = dense_stack(inputs, 24, 2, activation="swish", kernel_initializer="he_uniform")
    late = keras.layers.Dense(1, name="delay")(hidden)
    crowd = keras.layers.Dense(3, "softmax", name="crowd")(hidden)
    model = keras.Model(inputs, {"delay": late, "crowd": crowd})
    y = {"delay": delay if seconds else data.standardised(delay), "crowd": full}

    def score(y: Any, predicted: Any) -> float:
        return (skill.fit_of(y["delay"], predicted["delay"]) + skill.classes(y["crowd"], predicted["crowd"])) / 2

    losses = {"delay": "mse", "crowd": "sparse_categorical_crossentropy"}
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, x, y, optimizer, losses, score, steps=500)


def _bearings(seed: int, *, head_only: bool = False) -> Loop:
    """Which bearing is worn, from vibrations: a narrow encoder and a head, by a tape."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 6, 1000).astype("i4")
    times = np.arange(64)[None]
    pitch = 0.4 + 0.35 * kind[:, None]
    x = np.cos(pitch * times + draw.uniform(0, 6.3, (1000, 1))) + draw.normal(0, 0.4, (1000, 64))
    x = x[..., None].astype("f4")

    inputs = keras.Input((64, 1))
    hidden = keras.layers.Conv1D(6, 9, strides=2, activation="relu", name="sense_1")(inputs)
    hidden = keras.layers.Conv1D(4, 5, strides=2, activation="relu", name="sense_2")(hidden)
    hidden = keras.layers.GlobalMaxPooling1D()(hidden)
    head = keras.layers.Dense(6, name="bearing")
    model = keras.Model(inputs, head(hidden))
    loss = cross_entropy()
    optimizer = keras.optimizers.RMSprop(4e-3)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 48)
        return x[rows], kind[rows]

    def forward(x: Any, kind: Any) -> Any:
        return loss(kind, model(x, training=True))

    def step(x: Any, kind: Any) -> Any:
        variables = head.trainable_variables if head_only else model.trainable_variables
        with tf.GradientTape() as tape:
            value = forward(x, kind)
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return Loop(
        model, optimizer, batches, forward, lambda: skill.classes(kind, model(x)), steps=350, seed=seed, step=step
    )


def _boardings(seed: int, *, emptied: bool = True) -> Fit:
    """How many get on: gradients are added up over four batches before a step."""
    keras.utils.set_random_seed(seed)
    x, _, _ = _rides(seed)
    draw = np.random.default_rng(seed + 1)
    riders = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.5 * np.abs(x[:, 3:4]) + draw.normal(0, 0.1, (len(x), 1))

    class FourAtOnce(keras.Model):
        def build_sums(self) -> None:
            self.seen = tf.Variable(0, trainable=False, dtype=tf.int32)
            self.sums = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self.trainable_variables]

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            for total, gradient in zip(self.sums, tape.gradient(loss, self.trainable_variables), strict=True):
                total.assign_add(gradient / 4.0)
            self.seen.assign_add(1)
            tf.cond(self.seen % 4 == 0, self.step, lambda: None)
            return {"loss": loss}

        def step(self) -> None:
            self.optimizer.apply([tf.convert_to_tensor(total) for total in self.sums], self.trainable_variables)
            if emptied:
                for total in self.sums:
                    total.assign(tf.zeros_like(total))

    inputs = keras.Input((8,))
    hidden = dense_stack(inputs, 32, 2, activation="relu", kernel_initializer="he_normal")
    model = FourAtOnce(inputs, keras.layers.Dense(1, name="riders")(hidden))
    model.build_sums()
    y = data.standardised(riders)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.8)
    optimizer.build(model.trainable_variables)
    return Fit(model, x, y, optimizer, "mse", skill.fit_of, steps=800, batch_size=16)


def _stops(seed: int, *, rate: float = 1.5e-3) -> Fit:
    """At which of five stops a route turns round: two blocks of attention over twelve stops."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    route = draw.integers(5, 40, (1000, 12))
    turn = draw.integers(0, 5, 1000)
    place = draw.integers(0, 11, 1000)
    route[np.arange(1000), place] = 40
    route[np.arange(1000), place + 1] = turn
    stops = keras.Input((12,), dtype="int32")

    class Places(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.places = self.add_weight(shape=shape[1:], initializer="random_normal", name="places")

        def call(self, inputs: Any) -> Any:
            return inputs + self.places

    hidden = Places(name="places")(keras.layers.Embedding(41, 24, name="stops")(stops))
    for number in (1, 2):
        other = keras.layers.MultiHeadAttention(2, 12, name=f"attention_{number}")(hidden, hidden)
        hidden = keras.layers.LayerNormalization(name=f"normal_{number}a")(hidden + other)
        other = keras.layers.Dense(48, "gelu", name=f"wide_{number}")(hidden)
        other = keras.layers.Dense(24, name=f"narrow_{number}")(other)
        hidden = keras.layers.LayerNormalization(name=f"normal_{number}b")(hidden + other)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(stops, keras.layers.Dense(5, name="turn")(hidden))
    optimizer = keras.optimizers.Adam(rate, beta_2=0.98)
    return Fit(model, route.astype("i4"), turn.astype("i4"), optimizer, cross_entropy(), skill.classes, steps=300)


def _energy(seed: int, *, rate: float = 1.0) -> Fit:
    """What a ride takes in energy: blocks with shortcuts and normalised layers, Adadelta."""
    keras.utils.set_random_seed(seed)
    x, _, _ = _rides(seed)
    draw = np.random.default_rng(seed + 2)
    energy = x[:, 0] + x[:, 1] ** 2 - 0.7 * x[:, 2] * x[:, 3] + draw.normal(0, 0.2, len(x))
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(32, name="start")(inputs)
    for number in (1, 2, 3):
        other = keras.layers.LayerNormalization(name=f"normal_{number}")(hidden)
        other = keras.layers.Dense(32, "relu", name=f"block_{number}a")(other)
        hidden = hidden + keras.layers.Dense(32, name=f"block_{number}b")(other)
    model = keras.Model(inputs, keras.layers.Dense(1, name="energy")(hidden))
    optimizer = keras.optimizers.Adadelta(rate)
    return Fit(model, x, data.standardised(energy)[:, None], optimizer, "mse", skill.fit_of, steps=500, batch_size=56)


family.pair(
    "arrivals",
    _arrivals,
    sickness="delay-in-seconds",
    sick={"seconds": True},
    causes=["outweighed-loss", "badly-scaled-target"],
    level=0.6,
)
family.pair(
    "bearings",
    _bearings,
    sickness="only-the-head-is-stepped",
    sick={"head_only": True},
    causes=["omitted-variable"],
    layers=("sense_1", "sense_2"),
    level=0.6,
)
family.pair(
    "boardings",
    _boardings,
    sickness="sums-never-emptied",
    sick={"emptied": False},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient", "diverging-loss"],
    level=0.6,
)
family.pair(
    "stops",
    _stops,
    sickness="rate-of-a-seventh",
    sick={"rate": 0.15},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "energy",
    _energy,
    sickness="rate-of-the-default",
    sick={"rate": 0.001},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
