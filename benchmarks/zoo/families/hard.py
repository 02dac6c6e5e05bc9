"""Healthy programs that look ill: one example a step, smoothed labels, imbalance, dropout, schedules, noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("hard", half="think")


def _hard(
    seed: int,
    *,
    source: str = "digits",
    activation: str = "relu",
    depth: int = 2,
    width: int = 64,
    weights: Any = "he_normal",
    dropout: float = 0.0,
    smoothing: float | None = None,
    last: str | None = None,
    rare: float = 0.0,
    class_weight: float | None = None,
    noise: float = 0.0,
    schedule: str = "",
    scale: float = 1.0,
    optimizer: str = "Adam",
    rate: float = 1e-3,
    batch_size: int = 32,
    steps: int = 300,
    **options: Any,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers, draw = keras.layers, np.random.default_rng(seed)
    if source == "digits":
        x, y = data.digits()
    elif source == "cancer":
        x, y = data.cancer()
        x = data.standardised(x)
    else:
        x, y = data.blobs(seed)
    if rare:  # few of class 1, the rest of class 0
        y = (y == 1).astype("i4")
        keep = (y == 0) | (draw.random(len(y)) < rare)
        x, y = x[keep], y[keep]
    count = int(y.max()) + 1
    truth = y
    if noise:
        wrong = draw.random(len(y)) < noise
        y = np.where(wrong, draw.integers(0, count, len(y)), y).astype("i4")
    single = last is not None
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(
        inputs, width, depth, activation=activation,
        kernel_initializer=normal(weights) if isinstance(weights, float) else weights,
        between=lambda _number: [layers.Dropout(dropout)] if dropout else [],
    )  # fmt: skip
    model = keras.Model(inputs, layers.Dense(1 if single else count, last, name="output")(hidden))
    if single:
        loss: Any = "binary_crossentropy"
        y = y[:, None].astype("f4")
    elif smoothing is not None:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        y = np.eye(count, dtype="f4")[y]
    else:
        loss = cross_entropy()
    schedules = keras.optimizers.schedules
    rates = {
        "": lambda: rate,
        "warm-up": lambda: schedules.CosineDecay(0.0, steps, warmup_target=rate, warmup_steps=steps // 5),
        "decay": lambda: schedules.ExponentialDecay(rate, steps // 6, 0.5),
        "decay-every-step": lambda: schedules.ExponentialDecay(rate, 1, 0.5),
        "steps": lambda: schedules.PiecewiseConstantDecay([steps // 3, 2 * steps // 3], [rate, rate / 10, rate / 100]),
        "spike": lambda: schedules.PiecewiseConstantDecay([4], [1000 * rate, rate]),
    }
    made = getattr(keras.optimizers, optimizer)(rates[schedule](), **options)
    fit_options = {"class_weight": {0: 1.0, 1: class_weight}} if class_weight else {}

    def score(_y: Any, predicted: Any) -> float:
        return skill.binary(truth, predicted) if single else skill.classes(truth, predicted)

    return Fit(
        model, x * scale, y, made, loss, score, steps=steps, batch_size=batch_size, fit_options=fit_options
    )  # fmt: skip


family.pair(
    "one-example",
    _hard,
    sickness="rate-too-high",
    healthy={"batch_size": 1, "optimizer": "SGD", "rate": 0.01, "steps": 600, "source": "cancer"},
    sick={"rate": 3.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "smoothed",
    _hard,
    sickness="unit-variance-weights",
    healthy={"smoothing": 0.1, "optimizer": "SGD", "rate": 0.05, "width": 128, "depth": 6, "activation": "tanh"},
    sick={"weights": 1.0},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    layers=(*(f"hidden_{number}" for number in range(1, 7)), "output"),
    level=0.7,
)
family.pair(
    "imbalanced",
    _hard,
    sickness="class-weight-of-a-million",
    healthy={"rare": 0.3, "class_weight": 10.0, "optimizer": "SGD", "rate": 0.02},
    sick={"class_weight": 1e6},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient", "diverging-loss"],
    level=0.6,
)
family.pair(
    "warm-up",
    _hard,
    sickness="tiny-weights",
    healthy={"schedule": "warm-up", "optimizer": "SGD", "rate": 0.2, "depth": 3},
    sick={"weights": 1e-3},
    causes=["gain-mismatch:too-small"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.7,
)
family.pair(
    "decay",
    _hard,
    sickness="rate-halved-every-step",
    healthy={"schedule": "decay", "optimizer": "SGD", "rate": 0.1, "batch_size": 64},
    sick={"schedule": "decay-every-step"},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "stale-optimizer", "unchanged-weights"],
    level=0.7,
)
family.pair(
    "steps",
    _hard,
    sickness="first-steps-1000-times-too-large",
    healthy={"schedule": "steps", "optimizer": "SGD", "rate": 0.1, "source": "blobs"},
    sick={"schedule": "spike"},
    causes=["learning-rate-too-high", "dead-units", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
family.pair(
    "dropout",
    _hard,
    sickness="inputs-times-500",
    healthy={"dropout": 0.5, "width": 128, "optimizer": "SGD", "rate": 0.05, "source": "blobs"},
    sick={"scale": 500.0},
    causes=["badly-scaled-input"],
    layers=("input", "hidden_1"),
    level=0.7,
)
family.pair(
    "noisy",
    _hard,
    sickness="softmax-of-one-unit",
    healthy={"source": "cancer", "noise": 0.1, "last": "sigmoid", "rate": 3e-3},
    sick={"last": "softmax"},
    causes=["mismatched-loss", "constant-output", "disconnected-variable"],
    level=0.7,
)
family.pair(
    "sgd-momentum",
    _hard,
    sickness="rate-too-high",
    healthy={"noise": 0.3, "optimizer": "SGD", "rate": 0.02, "momentum": 0.9, "source": "blobs", "dropout": 0.2},
    sick={"rate": 5.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
    every=1,
)
family.pair(
    "wide",
    _hard,
    sickness="constant-weights",
    healthy={"width": 512, "depth": 1, "optimizer": "SGD", "rate": 0.05},
    sick={"weights": "ones"},
    causes=["symmetric-weights", "gain-mismatch:too-large"],
    layers=("hidden_1",),
    level=0.7,
)
