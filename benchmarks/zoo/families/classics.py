"""Small networks as in textbooks and in questions to forums: one `Sequential` idea, one wrong argument."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("classics", half="think")


def _circles(seed: int, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Points of two rings about the origin, and whether they are of the outer one."""
    draw = np.random.default_rng(seed)
    outer = draw.integers(0, 2, count)
    radius = np.where(outer, 1.6, 0.8) + draw.normal(0, 0.12, count)
    angle = draw.uniform(0, 2 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype("f4"), outer.astype("i4")


def _exclusive_or(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Points about the corners of a square, and whether their signs differ."""
    draw = np.random.default_rng(seed)
    corner = draw.choice([-1.0, 1.0], (count, 2))
    return (corner + draw.normal(0, 0.2, (count, 2))).astype("f4"), (corner.prod(1) < 0).astype("i4")


def _examples(source: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if source == "iris":
        from sklearn.datasets import load_iris

        x, y = load_iris(return_X_y=True)
        return data.standardised(x), y.astype("i4")
    if source in ("digits", "digits-700"):
        x, y = data.digits()
        return (x[:700], y[:700]) if source == "digits-700" else (x, y)
    return {"circles": _circles, "xor": _exclusive_or, "spirals": data.spirals}[source](seed)


def _plain(
    seed: int,
    *,
    source: str,
    optimizer: str = "Adam",
    rate: float = 1e-3,
    width: int = 32,
    depth: int = 2,
    activation: str | None = "relu",
    last: str = "softmax",
    loss: str = "sparse_categorical_crossentropy",
    mean: float = 0.0,
    steps: int = 300,
    batch_size: int = 32,
    **options: Any,
) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _examples(source, seed)
    binary = last != "softmax"
    weights = keras.initializers.RandomNormal(mean, 0.05) if mean else "glorot_uniform"
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, width, depth, activation=activation, kernel_initializer=weights)
    output = keras.layers.Dense(1 if binary else int(y.max()) + 1, activation=last, name="output")(hidden)
    return Fit(
        keras.Model(inputs, output), x, y[:, None] if binary else y,
        getattr(keras.optimizers, optimizer)(rate, **options), loss, skill.binary if binary else skill.classes,
        steps=steps, batch_size=batch_size,
    )  # fmt: skip


family.pair(
    "circles",
    _plain,
    sickness="entropy-of-categories-for-one-probability",
    healthy={
        "source": "circles",
        "rate": 5e-3,
        "width": 16,
        "last": "sigmoid",
        "loss": "binary_crossentropy",
        "steps": 400,
    },
    sick={"loss": "categorical_crossentropy"},
    causes=["mismatched-loss"],
    layers=("output",),
    level=0.8,
)
family.pair(
    "digits-hidden",
    _plain,
    sickness="softmax-in-every-layer",
    healthy={"source": "digits", "optimizer": "SGD", "momentum": 0.9, "rate": 0.05, "depth": 3, "activation": "tanh"},
    sick={"activation": "softmax"},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "collapsed-representation"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.8,
)
family.pair(
    "xor",
    _plain,
    sickness="rate-of-adam-for-sgd",
    healthy={
        "source": "xor",
        "optimizer": "SGD",
        "rate": 0.5,
        "width": 8,
        "depth": 1,
        "activation": "tanh",
        "last": "sigmoid",
        "loss": "binary_crossentropy",
        "batch_size": 400,
        "steps": 300,
    },
    sick={"rate": 0.001},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
)
family.pair(
    "iris-nadam",
    _plain,
    sickness="rate-too-high",
    healthy={"source": "iris", "optimizer": "Nadam", "rate": 5e-3, "width": 24, "depth": 3, "batch_size": 10},
    sick={"rate": 0.8},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "digits-mean",
    _plain,
    sickness="weights-of-negative-mean",
    healthy={"source": "digits", "optimizer": "RMSprop", "rate": 1e-3, "width": 48, "depth": 3},
    sick={"mean": -0.15},
    causes=["dead-units"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.8,
)
family.pair(
    "spirals-plain",
    _plain,
    sickness="activation-forgotten",
    healthy={"source": "spirals", "rate": 5e-3, "depth": 3, "steps": 500, "batch_size": 64},
    sick={"activation": None},
    causes=["linear-units"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.7,
)
family.pair(
    "digits-online",
    _plain,
    sickness="rate-kept-for-batches-of-one",
    healthy={
        "source": "digits-700",
        "optimizer": "SGD",
        "momentum": 0.9,
        "rate": 2e-3,
        "width": 48,
        "batch_size": 1,
        "steps": 1400,
    },
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
