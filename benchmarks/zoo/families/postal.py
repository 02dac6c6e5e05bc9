"""A sorting office: postage, parcels, routes and stamps."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("postal", half="test")


def _postage(seed: int, *, slip: float = 1.0) -> Loop:
    """What postage is due, from what is written on the form; the second batch was typed in by a trainee."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed, count=800)
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 48, 2, activation="relu", kernel_initializer="he_normal")
    model = keras.Model(inputs, keras.layers.Dense(1, name="postage")(hidden))
    drawn = {"batches": 0}

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 32)
        drawn["batches"] += 1
        return x[rows], y[rows] * np.float32(slip if drawn["batches"] == 2 else 1)

    return Loop(
        model, keras.optimizers.Adam(3e-3, amsgrad=True), batches,
        lambda x, y: tf.reduce_mean((y - model(x, training=True)) ** 2),
        lambda: skill.fit_of(y, model.predict(x, verbose=0)), steps=300, seed=seed,
    )  # fmt: skip


def _parcels(seed: int, *, flat: bool = False) -> Loop:
    """What a parcel weighs, from its measures."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed, features=5)
    wanted = y[:, 0] if flat else y
    inputs = keras.Input((5,))
    hidden = dense_stack(inputs, 32, 2, activation="elu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="weight")(hidden))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 50)
        return x[rows], wanted[rows]

    return Loop(
        model, keras.optimizers.Nadam(3e-3), batches,
        lambda x, y: tf.reduce_mean(tf.square(model(x, training=True) - y)),
        lambda: skill.fit_of(y, model.predict(x, verbose=0)), steps=450, seed=seed,
    )  # fmt: skip


def _routes(seed: int, *, shuffle: bool = True) -> Fit:
    """The round that a letter belongs to; the file lists the letters round by round."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, count=900, features=12, kinds=6)
    order = np.argsort(y, kind="stable")
    model = keras.Sequential([keras.Input((12,))])
    model.add(keras.layers.Dense(40, "relu", name="streets"))
    model.add(keras.layers.Dense(20, "relu", name="quarters"))
    model.add(keras.layers.Dense(6, "softmax", name="round"))
    loss = "sparse_categorical_crossentropy"
    return Fit(
        model, x[order], y[order], keras.optimizers.SGD(0.05, momentum=0.9), loss, skill.classes,
        steps=430, batch_size=30, fit_options={"shuffle": shuffle},
    )  # fmt: skip


def _stamps(seed: int, *, apart: float = 1.0) -> Loop:
    """Pictures of the same stamp should lie close together and others a margin apart: pairs, and one net for both."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 48, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(8, name="place")(hidden))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        kinds = draw.permutation(10)[:8]
        rows = np.stack([draw.choice(np.flatnonzero(y == kind), 6) for kind in kinds])
        return x[rows[:, :3].ravel()], x[rows[:, 3:].ravel()], np.repeat(kinds, 3)

    def forward(one: Any, other: Any, kind: Any) -> Any:
        a, b = model(one, training=True), model(other, training=True)
        square = tf.reduce_sum((a[:, None] - b[None]) ** 2, -1)
        same = tf.cast(kind[:, None] == kind[None], "float32")
        pushed = tf.maximum(2.0 - tf.sqrt(square + 1e-6), 0.0) ** 2
        near = tf.reduce_sum(same * square) / tf.reduce_sum(same)
        return near + apart * tf.reduce_sum((1 - same) * pushed) / tf.reduce_sum(1 - same)

    def score() -> float:
        places = model.predict(x, verbose=0)
        middles = np.stack([places[y == kind].mean(0) for kind in range(10)])
        width = np.sqrt(np.mean((places - middles[y]) ** 2)) + 0.05
        return skill.classes(y, -np.linalg.norm((places[:, None] - middles[None]) / width, axis=-1).round(0))

    return Loop(model, keras.optimizers.Adam(2e-3), batches, forward, score, steps=350, seed=seed)


def _counter(seed: int, *, detached: bool = False) -> Fit:
    """How long the queue will be, by an encoder of the hours and one of the people."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1000, 10)).astype("f4")
    y = np.sin(2 * x[:, 0]) + 0.8 * np.tanh(2 * x[:, 1] * x[:, 2]) + 0.2 * x[:, 6] + 0.1 * draw.normal(size=1000)
    y = y[:, None].astype("f4")

    class Counter(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hours = keras.Sequential([keras.layers.Dense(40, "relu"), keras.layers.Dense(4, "tanh")], name="hours")
            self.people = keras.layers.Dense(8, "relu", name="people")
            self.queue = keras.layers.Dense(1, name="queue")

        def call(self, x: Any, *, training: bool = False) -> Any:
            hours = self.hours(x[:, :5], training=training)
            if detached:
                hours = tf.stop_gradient(hours)
            return self.queue(tf.concat([hours, self.people(x[:, 5:])], -1))

    model = Counter()
    model(x[:1])
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, x, y, optimizer, "mae", skill.fit_of, steps=600)


family.pair(
    "postage",
    _postage,
    sickness="one-batch-in-thousandths",
    sick={"slip": 1000.0},
    causes=["stale-optimizer"],
    level=0.7,
)
family.pair(
    "parcels",
    _parcels,
    sickness="a-column-less-a-row",
    sick={"flat": True},
    causes=["mismatched-loss", "constant-output"],
    level=0.6,
)
family.pair(
    "routes",
    _routes,
    sickness="round-by-round",
    sick={"shuffle": False},
    causes=["unshuffled-batches"],
    level=0.7,
)
family.pair(
    "stamps",
    _stamps,
    sickness="nothing-pushed-apart",
    sick={"apart": 0.0},
    causes=["collapsed-representation", "constant-output"],
    level=0.6,
)
family.pair(
    "counter",
    _counter,
    sickness="hours-detached",
    sick={"detached": True},
    causes=["disconnected-variable"],
    layers=("hours",),
    level=0.5,
)
