"""Networks that stand for a function: solutions of equations, operators, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("equations", half="think")


def _rod(seed: int, *, zero: float = 0.0, unit: float = 1.0) -> Loop:
    """Temperature along a heated rod: -u'' = pi² sin(pi x), and its two ends are held; a physics-informed network."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((1,))])
    for number in (1, 2, 3):
        model.add(keras.layers.Dense(24, "tanh", name=f"hidden_{number}"))
    model.add(keras.layers.Dense(1, name="temperature"))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (draw.uniform(0, 1, (64, 1)).astype("f4"),)

    def forward(x: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = model(x, training=True)
            slope = inner.gradient(u, x)
        bend = outer.gradient(slope, x)
        residual = bend + unit * np.pi**2 * tf.sin(np.pi * x)
        ends = model(tf.constant([[0.0], [1.0]]), training=True) - zero
        return tf.reduce_mean(residual**2) + 10 * tf.reduce_mean(ends**2)

    def score() -> float:
        x = np.linspace(0, 1, 200, dtype="f4")[:, None]
        return skill.fit_of(zero + unit * np.sin(np.pi * x), model(x).numpy())

    return Loop(model, keras.optimizers.Adam(3e-3), batches, forward, score, steps=600, seed=seed)


def _operator(seed: int, *, kernel: str = "glorot_uniform") -> Fit:
    """The integral of a function that is known at 20 points: branch and trunk, multiplied (DeepONet)."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    grid = np.linspace(0, 1, 20)
    a, b, k = draw.normal(size=(3, 1500, 1))
    functions = a * np.sin(3 * grid) + b * np.cos(5 * grid) + k
    at = draw.uniform(0, 1, (1500, 1))
    y = a * (1 - np.cos(3 * at)) / 3 + b * np.sin(5 * at) / 5 + k * at
    sensors, place = keras.Input((20,), name="sensors"), keras.Input((1,), name="place")
    branch = keras.layers.Dense(40, "gelu", name="branch_1")(sensors)
    branch = keras.layers.Dense(24, use_bias=False, kernel_initializer=kernel, name="branch_2")(branch)
    trunk = keras.layers.Dense(40, "gelu", name="trunk_1")(place)
    trunk = keras.layers.Dense(24, use_bias=False, kernel_initializer=kernel, name="trunk_2")(trunk)
    model = keras.Model([sensors, place], keras.layers.Dot(-1, name="product")([branch, trunk]))
    x = [functions.astype("f4"), at.astype("f4")]
    y = (y / y.std()).astype("f4")
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), "mse", skill.fit_of, steps=400, batch_size=64)


def _outline(seed: int, *, unit: float = 1.0) -> Fit:
    """Signed distance to two circles as a function of the place."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.uniform(-1, 1, (2000, 2))
    far = [np.hypot(x[:, 0] - c, x[:, 1] + c / 2) - r for c, r in ((-0.4, 0.35), (0.45, 0.3))]
    y = np.minimum(*far)[:, None]
    model = keras.Sequential([keras.Input((2,))])
    for number in (1, 2, 3, 4):
        model.add(keras.layers.Dense(40, "tanh", name=f"hidden_{number}"))
    model.add(keras.layers.Dense(1, name="distance"))
    optimizer = keras.optimizers.Nadam(2e-3)
    return Fit(model, (unit * x).astype("f4"), y.astype("f4"), optimizer, "mae", skill.fit_of, steps=500, batch_size=64)


family.pair(
    "rod",
    _rod,
    sickness="in-kelvins",
    sick={"zero": 293.0, "unit": 50.0},
    causes=["badly-scaled-target"],
    level=0.9,
)
family.pair(
    "operator",
    _operator,
    sickness="branch-and-trunk-end-in-zeros",
    sick={"kernel": "zeros"},
    causes=["symmetric-weights", "vanishing-gradient", "unchanged-weights", "gain-mismatch:too-small"],
    layers=("branch_1", "branch_2", "trunk_1", "trunk_2", "product"),
    level=0.8,
)
family.pair(
    "outline",
    _outline,
    sickness="places-in-millimetres",
    sick={"unit": 250.0},
    causes=["badly-scaled-input", "saturated-activation"],
    level=0.8,
)
