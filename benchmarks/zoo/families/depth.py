"""Depth and norms: forty residual branches that start at zero, a highway, a norm over one feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("depth", half="think")


def _rezero(seed: int, *, gate: float = 0.0, depth: int = 40) -> Fit:
    """Residual branches behind a gate of their own (Bachlechner et al. 2021)."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()

    class Gate(keras.layers.Layer):
        def build(self, _shape: Any) -> None:
            self.alpha = self.add_weight((), keras.initializers.Constant(gate), name="alpha")

        def call(self, branch: Any) -> Any:
            return self.alpha * branch

    stream = inputs = keras.Input((64,))
    for number in range(1, depth + 1):
        branch = keras.layers.Dense(64, "relu", kernel_initializer="he_normal", name=f"branch_{number}")(stream)
        stream = stream + Gate(name=f"gate_{number}")(branch)
    model = keras.Model(inputs, keras.layers.Dense(10, name="digit")(stream))
    return Fit(model, x, y, keras.optimizers.SGD(0.02, momentum=0.9), cross_entropy(), skill.classes, steps=300)


family.pair(
    "rezero",
    _rezero,
    sickness="gates-that-start-at-1",
    sick={"gate": 1.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=[f"{part}_{number}" for part in ("branch", "gate") for number in range(1, 41)],
    level=0.8,
)


def _highway(seed: int, *, carry: float = -2.0, depth: int = 8) -> Fit:
    """Highway layers (Srivastava et al. 2015): gates that begin by carrying, and that are meant to saturate."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    layers = keras.layers
    inputs = keras.Input((2,))
    stream = layers.Dense(24, name="lift")(inputs)
    for number in range(1, depth + 1):
        bias = keras.initializers.Constant(carry)
        gate = layers.Dense(24, "sigmoid", bias_initializer=bias, name=f"gate_{number}")(stream)
        stream = gate * layers.Dense(24, "tanh", name=f"change_{number}")(stream) + (1 - gate) * stream
    model = keras.Model(inputs, layers.Dense(3, name="arm")(stream))
    return Fit(model, x, y, keras.optimizers.Adam(4e-3), cross_entropy(), skill.classes, steps=500)


family.pair(
    "spirals-highway",
    _highway,
    sickness="gates-closed-for-good",
    sick={"carry": -30.0},
    causes=["saturated-activation", "vanishing-gradient"],
    layers=[f"{part}_{number}" for part in ("gate", "change") for number in range(1, 9)],
    level=0.8,
)


def _one_feature(seed: int, *, axis: int = 1) -> Fit:
    """Which of three frequencies a series of one measure has; every series is brought to one scale first."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 3, 700)
    times = np.arange(48) / 48
    phase, size = draw.uniform(0, 6.28, (700, 1)), draw.lognormal(0, 1, (700, 1))
    x = size * (np.sin(2 * np.pi * (y[:, None] * 2 + 2) * times + phase) + draw.normal(0, 0.4, (700, 48)))
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((48, 1)),
            layers.LayerNormalization(axis=axis, name="scale"),
            layers.Conv1D(16, 7, activation="relu", name="filters"),
            layers.AveragePooling1D(2),
            layers.Conv1D(16, 5, activation="relu", name="patterns"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3, name="frequency"),
        ]
    )
    return Fit(
        model, x[..., None].astype("f4"), y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, steps=250
    )


family.pair(
    "series-scale",
    _one_feature,
    sickness="norm-over-the-one-feature",
    sick={"axis": -1},
    causes=["collapsed-representation", "constant-output", "collapsed-batch-statistics"],
    layers=("scale",),
    level=0.7,
)
