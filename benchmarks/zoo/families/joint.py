"""Several tasks at once: heads on one trunk, branches that meet, steps of one's own for both."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("joint", half="think")


def _blood(seed: int, *, missing: float = 0.0) -> Fit:
    """Three standardised measures of blood from ten others; a tenth of the values was never taken and is filled up."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(900, 10)).astype("f4")
    full = np.tanh(x @ draw.normal(0, 0.5, (10, 3))) + draw.normal(0, 0.1, (900, 3))
    full = data.standardised(full)
    known = draw.random(full.shape) > [0, 0, 0.1]
    y = np.where(known, full, missing).astype("f4")
    inputs = keras.Input((10,))
    hidden = keras.layers.Dense(48, "relu", name="trunk_1")(inputs)
    hidden = keras.layers.Dense(48, "relu", name="trunk_2")(hidden)
    names = ("sugar", "iron", "sodium")
    model = keras.Model(inputs, {name: keras.layers.Dense(1, name=name)(hidden) for name in names})

    def score(_: Any, made: Any) -> float:
        return skill.fit_of(full, np.concatenate([made[name] for name in names], 1))

    targets = {name: y[:, [number]] for number, name in enumerate(names)}
    optimizer = keras.optimizers.Adam(3e-3)
    return Fit(model, x, targets, optimizer, dict.fromkeys(names, "mse"), score, steps=450)


def _meeting(seed: int, *, start: str = "he_normal") -> Fit:
    """A picture and a table, each with a branch; the kind depends on both."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    pictures, digit = data.digits()
    table = draw.normal(size=(len(pictures), 6)).astype("f4")
    y = digit % 2 + 2 * (table[:, 0] * table[:, 1] > 0)
    inputs = [keras.Input((64,)), keras.Input((6,))]
    seen = keras.layers.Dense(32, "relu", name="picture_1")(inputs[0])
    seen = keras.layers.Dense(16, "relu", name="picture_2")(seen)
    read = keras.layers.Dense(32, "relu", kernel_initializer=start, name="table_1")(inputs[1])
    read = keras.layers.Dense(16, "relu", kernel_initializer=start, name="table_2")(read)
    hidden = keras.layers.Dense(32, "relu", name="both")(keras.layers.Concatenate()([seen, read]))
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, [pictures, table], y, optimizer, cross_entropy(), skill.classes, steps=450, batch_size=64)


def _cells(seed: int, *, bound: float = 0.5) -> Fit:
    """Whether a tumour is benign, and its area; a step of one's own adds the two losses up and clips by value."""
    keras.utils.set_random_seed(seed)
    x, benign = data.cancer()
    x = data.standardised(x)

    class Both(keras.Model):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            variables = self.trainable_variables
            gradients = [tf.clip_by_value(g, -bound, bound) for g in tape.gradient(loss, variables)]
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return {"loss": loss}

    inputs = keras.Input((26,))
    hidden = inputs
    for number in (1, 2, 3):
        hidden = keras.layers.Dense(32, "gelu", name=f"trunk_{number}")(hidden)
    kind = keras.layers.Dense(1, "sigmoid", name="kind")(hidden)
    area = keras.layers.Dense(1, name="area")(hidden)
    model = Both(inputs, [kind, area])
    kept = [number for number in range(30) if number not in (0, 2, 3, 23)]

    def score(y: Any, made: Any) -> float:
        return 0.5 * (skill.binary(y[0], made[0]) + skill.fit_of(y[1], made[1]))

    targets = [benign[:, None].astype("f4"), x[:, [3]]]
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x[:, kept], targets, optimizer, ["binary_crossentropy", "mse"], score, steps=360)


def _helper(seed: int, *, spread: float | None = None) -> Fit:
    """A deep classifier of digits with a helping head half way up, as in the first Inception."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    start = "he_normal" if spread is None else keras.initializers.RandomNormal(stddev=spread)
    inputs = keras.Input((64,))
    hidden, helping = inputs, inputs
    for number in range(1, 13):
        late = {"kernel_initializer": start if number > 6 else "he_normal"}
        hidden = keras.layers.Dense(40, "relu", name=f"hidden_{number}", **late)(hidden)
        if number == 6:
            helping = keras.layers.Dense(10, name="helper")(hidden)
    model = keras.Model(inputs, [keras.layers.Dense(10, name="output")(hidden), helping])

    def score(y: Any, made: Any) -> float:
        return skill.classes(y[0], made[0])

    return Fit(
        model, x, [y, y], keras.optimizers.Adam(1e-3), [cross_entropy(), cross_entropy()], score,
        steps=500, compile_options={"loss_weights": [1.0, 0.3]},
    )  # fmt: skip


family.pair(
    "blood",
    _blood,
    sickness="missing-is-minus-999",
    sick={"missing": -999.0},
    causes=["badly-scaled-target"],
    level=0.7,
)
family.pair(
    "meeting",
    _meeting,
    sickness="one-branch-of-zeros",
    sick={"start": "zeros"},
    causes=["symmetric-weights", "dead-units", "gain-mismatch:too-small", "vanishing-gradient"],
    layers=("table_1", "table_2"),
    level=0.6,
)
family.pair(
    "cells",
    _cells,
    sickness="bound-of-a-hundred-thousandth",
    sick={"bound": 1e-5},
    causes=["permanent-clipping"],
    level=0.7,
    every=1,
)
family.pair(
    "helper",
    _helper,
    sickness="small-weights-behind-the-helper",
    sick={"spread": 0.01},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=tuple(f"hidden_{number}" for number in range(7, 13)),
    level=0.7,
)
