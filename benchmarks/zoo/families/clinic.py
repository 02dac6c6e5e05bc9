"""A clinic: several inputs and several answers, in half precision or not, and what normalises them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("clinic", half="think")


def _patients(seed: int, count: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves ``[count, 32, 1]``, eight measures, and how bad it is (mean 0, standard deviation 1)."""
    draw = np.random.default_rng(seed)
    measures = draw.normal(size=(count, 8))
    beat = draw.uniform(0.5, 1.5, (count, 1))
    curves = np.sin(beat * np.arange(32) + draw.uniform(0, 6, (count, 1))) + draw.normal(0, 0.1, (count, 32))
    bad = np.sin(4 * beat[:, 0]) + 0.5 * measures[:, 0] * np.tanh(measures[:, 1]) + 0.4 * measures[:, 2]
    return curves[..., None].astype("f4"), measures.astype("f4"), ((bad - bad.mean()) / bad.std()).astype("f4")[:, None]


def _costs(seed: int, *, unit: float = 20000.0) -> Fit:
    """What the treatment costs, in float16 where it is safe."""
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).normal(size=(900, 8)).astype("f4")
    costs = 60000 + 20000 * (x[:, :1] * np.tanh(x[:, 1:2]) + x[:, 2:3])
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((8,))
        hidden = keras.layers.Dense(32, "relu", name="hidden_1")(inputs)
        hidden = keras.layers.Dense(32, "relu", name="hidden_2")(hidden)
        model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32", name="output")(hidden))
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    return Fit(model, x, costs / unit, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=500)


def _ward(seed: int, *, activation: str = "softplus") -> Fit:
    """Two answers from one trunk: is it grave, and how many days will it last."""
    keras.utils.set_random_seed(seed)
    curves, measures, bad = _patients(seed)
    grave, days = (bad > 0).astype("f4"), np.exp(1.0 + 0.5 * bad)
    inputs = [keras.Input((32, 1), name="curve"), keras.Input((8,), name="measures")]
    maps = keras.layers.Conv1D(16, 5, 2, activation="relu", name="conv_1")(inputs[0])
    maps = keras.layers.Conv1D(16, 5, 2, activation="relu", name="conv_2")(maps)
    both = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling1D()(maps), inputs[1]])
    shared = keras.layers.Dense(48, "relu", name="shared")(both)
    heads = [
        keras.layers.Dense(1, "sigmoid", name="grave")(keras.layers.Dense(16, "relu", name="grave_hidden")(shared)),
        keras.layers.Dense(1, activation, name="days")(keras.layers.Dense(16, "relu", name="days_hidden")(shared)),
    ]

    def score(truth: Any, made: Any) -> float:
        return (skill.binary(truth[0], made[0]) + max(0.0, skill.fit_of(truth[1], made[1]))) / 2

    model = keras.Model(inputs, heads)
    optimizer, losses = keras.optimizers.Adam(3e-3), ["binary_crossentropy", "mae"]
    return Fit(model, [curves, measures], [grave, days], optimizer, losses, score, steps=600)


def _laboratory(seed: int, *, adapted_to: str = "as they come") -> Fit:
    """A layer that normalises has seen the measures, which come in their own units."""
    keras.utils.set_random_seed(seed)
    x, y = data.cancer()
    scale = keras.layers.Normalization(name="scale")
    scale.adapt(x if adapted_to == "as they come" else data.standardised(x))
    inputs = keras.Input((30,))
    hidden = keras.layers.Dense(32, "tanh", name="hidden_1")(scale(inputs))
    hidden = keras.layers.Dense(16, "tanh", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, x, y[:, None].astype("f4"), optimizer, "binary_crossentropy", skill.binary, steps=200)


def _large_weights(seed: int, *, normalised: bool = True) -> Fit:
    """Ten layers of tanh with weights far too large, which a norm before each tanh makes good."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    hidden = inputs = keras.Input((2,))
    for number in range(1, 11):
        hidden = keras.layers.Dense(48, kernel_initializer=normal(1.0), name=f"hidden_{number}")(hidden)
        if normalised:
            hidden = keras.layers.LayerNormalization(name=f"norm_{number}")(hidden)
        hidden = keras.layers.Activation("tanh", name=f"tanh_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.SGD(0.03, momentum=0.9), cross_entropy(), skill.classes, steps=500)


def _consultants(seed: int, *, penalty: float = 0.0) -> Fit:
    """Three branches, each for measures of its own; each tells a third."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = [draw.normal(size=(1024, 4)).astype("f4") for _ in range(3)]
    y = sum(np.sin(2 * part[:, :1]) * part[:, 1:2] + part[:, 2:3] for part in x)
    inputs = [keras.Input((4,), name=name) for name in ("blood", "heart", "lung")]
    branches = []
    for entry in inputs:
        held = keras.regularizers.L2(penalty) if entry is inputs[2] else None
        hidden = keras.layers.Dense(32, "relu", kernel_regularizer=held, name=f"{entry.name}_1")(entry)
        hidden = keras.layers.Dense(32, "relu", kernel_regularizer=held, name=f"{entry.name}_2")(hidden)
        branches.append(keras.layers.Dense(8, "relu", kernel_regularizer=held, name=f"{entry.name}_3")(hidden))
    both = keras.layers.Concatenate()(branches)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(both))
    return Fit(model, x, (y / y.std()).astype("f4"), keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=600)


family.pair(
    "costs",
    _costs,
    sickness="in-single-crowns",
    sick={"unit": 1.0},
    causes=["badly-scaled-target"],
    level=0.6,
)
family.pair(
    "ward",
    _ward,
    sickness="sigmoid-for-days",
    sick={"activation": "sigmoid"},
    causes=["saturated-activation", "mismatched-loss"],
    layers=("days",),
    level=0.6,
)
family.pair(
    "laboratory",
    _laboratory,
    sickness="adapted-to-what-was-scaled-already",
    sick={"adapted_to": "scaled"},
    causes=["badly-scaled-input"],
    level=0.8,
)
family.pair(
    "large-weights",
    _large_weights,
    sickness="norms-left-out-under-tanh",
    sick={"normalised": False},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    level=0.7,
)
family.pair(
    "consultants",
    _consultants,
    sickness="l2-of-1-in-the-third-branch",
    sick={"penalty": 1.0},
    causes=["shrunken-weights"],
    layers=("lung_1", "lung_2", "lung_3"),
    level=0.6,
)
