"""A ground station: telemetry, orbits, ground cover and the antenna."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("satellites", half="test")


def _telemetry(seed: int, *, momentum: float = 0.95) -> Fit:
    """Which unit of the craft is failing, from raw housekeeping values that the net itself normalises."""
    keras.utils.set_random_seed(seed)
    z, y = data.blobs(seed, count=900, features=10)
    draw = np.random.default_rng(5)
    x = (z * draw.uniform(0.5, 3, 10) + draw.uniform(-40, 40, 10)).astype("f4")
    inputs = keras.Input((10,))
    hidden = keras.layers.BatchNormalization(momentum=momentum, name="norm_0")(inputs)
    for number in (1, 2):
        hidden = keras.layers.Dense(32, use_bias=False, name=f"hidden_{number}")(hidden)
        hidden = keras.layers.BatchNormalization(momentum=momentum, name=f"norm_{number}")(hidden)
        hidden = keras.layers.Activation("tanh")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(5, "softmax", name="unit")(hidden))
    optimizer = keras.optimizers.Adam(2e-3)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, optimizer, loss, skill.classes, steps=350)


def _orbits(seed: int, *, emptied: bool = True) -> Loop:
    """Drag from six orbital elements; the gradients of four small batches are gathered before each step."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 40, 3, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(1, name="drag")(hidden))
    optimizer = keras.optimizers.SGD(0.05)
    sums = [tf.Variable(tf.zeros_like(variable.value)) for variable in model.trainable_variables]

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean((y - model(x, training=True)) ** 2)

    def step(x: Any, y: Any) -> Any:
        loss = 0.0
        for part in range(4):
            rows = slice(16 * part, 16 * part + 16)
            with tf.GradientTape() as tape:
                loss_of_part = forward(x[rows], y[rows]) / 4
            loss += loss_of_part
            for total, gradient in zip(sums, tape.gradient(loss_of_part, model.trainable_variables), strict=True):
                total.assign_add(gradient)
        optimizer.apply([total.read_value() for total in sums], model.trainable_variables)
        if emptied:
            for total in sums:
                total.assign(tf.zeros_like(total))
        return loss

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 64)
        return x[rows], y[rows]

    return Loop(
        model, optimizer, batches, forward, lambda: skill.fit_of(y, model.predict(x, verbose=0)),
        steps=500, seed=seed, step=step,
    )  # fmt: skip


def _cover(seed: int, *, decay_steps: int = 480) -> Fit:
    """Ground cover from eight by eight readings, by convolutions; the rate falls by a cosine."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Reshape((8, 8, 1)),
            keras.layers.Conv2D(12, 3, activation="relu", name="bands"),
            keras.layers.Conv2D(16, 3, activation="relu", name="fields"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="cover"),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(3e-3, decay_steps, alpha=1e-3)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=460, batch_size=64)


def _antenna(seed: int, *, rate: float = 3e-4) -> Fit:
    """The sum of two marked delays in a train of pulses, by an LSTM with Lion."""
    keras.utils.set_random_seed(seed)
    x, y = data.linear_sum(seed, count=1200, length=10)
    inputs = keras.Input((10, 2))
    hidden = keras.layers.LSTM(32, name="pulses")(inputs)
    hidden = keras.layers.Dense(16, "relu", name="delays")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="sum")(hidden))
    return Fit(model, x, y, keras.optimizers.Lion(rate), "huber", skill.fit_of, steps=700)


family.pair(
    "telemetry",
    _telemetry,
    sickness="moving-averages-too-slow-for-350-steps",
    sick={"momentum": 0.995},
    causes=["collapsed-batch-statistics"],
    level=0.6,
)
family.pair(
    "orbits",
    _orbits,
    sickness="sums-never-emptied",
    sick={"emptied": False},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "diverging-loss", "exploding-gradient"],
    level=0.5,
)
family.pair(
    "cover",
    _cover,
    sickness="schedule-counted-in-epochs",
    sick={"decay_steps": 16},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "antenna",
    _antenna,
    sickness="rate-of-a-tenth-for-lion",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
