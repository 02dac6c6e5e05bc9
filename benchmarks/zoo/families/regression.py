"""Regression: targets and outputs that must fit, steps that must be of a size."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import dense_stack, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("regression", half="think")


def _regress(
    seed: int,
    *,
    source: str = "waves",
    optimizer: str = "adam",
    rate: float = 3e-3,
    depth: int = 2,
    width: int = 32,
    activation: str = "relu",
    last: str | None = None,
    weights: Any = "glorot_uniform",
    loss: str = "mse",
    factor: float = 1.0,
    offset: float = 0.0,
    scale: float = 1.0,
    shift: float = 0.0,
    optimizer_options: dict[str, Any] | None = None,
    steps: int = 320,
    batch_size: int = 32,
) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed) if source == "waves" else data.diabetes()
    if source == "diabetes":
        y = data.standardised(y)
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(
        inputs, width, depth, activation=activation,
        kernel_initializer=normal(weights) if isinstance(weights, float) else weights,
    )  # fmt: skip
    output = keras.layers.Dense(1, last, name="output")(hidden)
    made = getattr(
        keras.optimizers, {"adam": "Adam", "sgd": "SGD", "adagrad": "Adagrad", "rmsprop": "RMSprop"}[optimizer]
    )
    return Fit(
        keras.Model(inputs, output), x * scale + shift, y * factor + offset,
        made(rate, **(optimizer_options or {})), loss, skill.fit_of, steps=steps, batch_size=batch_size,
    )  # fmt: skip


family.pair(
    "diabetes-relu",
    _regress,
    sickness="relu-output-for-negative-targets",
    healthy={"source": "diabetes", "rate": 1e-2},
    sick={"last": "relu", "offset": -1.0},
    causes=["mismatched-loss", "dead-units"],
    layers=("output",),
    level=0.3,
)
family.pair(
    "diabetes-sigmoid",
    _regress,
    sickness="sigmoid-output-for-targets-to-346",
    healthy={"source": "diabetes", "factor": 77.0, "offset": 152.0, "rate": 3e-2},
    sick={"last": "sigmoid"},
    causes=["mismatched-loss", "saturated-activation"],
    layers=("output",),
    level=0.3,
)
family.pair(
    "waves-adagrad",
    _regress,
    sickness="stale-adagrad",
    healthy={"optimizer": "adagrad", "rate": 0.1},
    sick={"optimizer_options": {"initial_accumulator_value": 1e7}},
    causes=["stale-optimizer", "learning-rate-too-low", "update-ratio-out-of-range:too-small"],
)
family.pair(
    "waves-clip",
    _regress,
    sickness="clipnorm-1e-6",
    healthy={"optimizer": "sgd", "rate": 0.05, "optimizer_options": {"clipnorm": 1.0}},
    sick={"optimizer_options": {"clipnorm": 1e-6}},
    causes=["permanent-clipping"],
    level=0.3,
)
family.pair(
    "waves-targets",
    _regress,
    sickness="sgd-on-targets-of-1000s",
    healthy={"optimizer": "sgd", "rate": 0.02, "activation": "tanh"},
    sick={"factor": 1e4},
    causes=[
        "badly-scaled-target",
        "mismatched-loss",
        "badly-scaled-input",
        "learning-rate-too-high",
        "exploding-gradient",
        "nonfinite-values",
        "update-ratio-out-of-range:too-large",
    ],
    level=0.3,
)
family.pair(
    "waves-years",
    _regress,
    sickness="unscaled-calendar-year",
    healthy={"optimizer": "adam", "rate": 1e-2, "activation": "tanh"},
    sick={"shift": 2020.0},
    causes=["badly-scaled-input"],
    layers=("hidden_1", "input"),
    level=0.3,
)
family.pair(
    "waves-rate",
    _regress,
    sickness="sgd-rate-too-high",
    healthy={"optimizer": "sgd", "rate": 0.03},
    sick={"rate": 3.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.3,
)
family.pair(
    "diabetes-tanh",
    _regress,
    sickness="tanh-output-for-targets-to-20",
    healthy={"source": "diabetes", "factor": 5.0, "offset": 10.0, "rate": 1e-2},
    sick={"last": "tanh"},
    causes=["mismatched-loss", "saturated-activation"],
    layers=("output",),
    level=0.3,
)
family.pair(
    "waves-drained",
    _regress,
    sickness="clipvalue-1e-7",
    healthy={"optimizer": "sgd", "rate": 0.03, "optimizer_options": {"clipvalue": 0.5}},
    sick={"optimizer_options": {"clipvalue": 1e-7}},
    causes=["permanent-clipping"],
    level=0.3,
    every=10,
)
family.pair(
    "waves-momentum",
    _regress,
    sickness="momentum-0.999-at-full-rate",
    healthy={"optimizer": "sgd", "rate": 0.02, "optimizer_options": {"momentum": 0.9}},
    sick={"rate": 0.5, "optimizer_options": {"momentum": 0.99}},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.3,
)
