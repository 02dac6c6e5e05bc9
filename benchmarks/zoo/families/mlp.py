"""Multi-layer perceptrons that classify: initial weights, depth, input scale, learning rates."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("mlp", half="think")


def _hidden(depth: int, *others: str) -> tuple[str, ...]:
    return (*(f"hidden_{number}" for number in range(1, depth + 1)), *others)


def _classify(
    seed: int,
    *,
    source: str,
    optimizer: str = "adam",
    rate: float = 1e-3,
    width: int = 64,
    depth: int = 3,
    activation: str = "relu",
    weights: Any = "glorot_uniform",
    output_weights: Any = None,
    biases: Any = "zeros",
    scale: float = 1.0,
    standardise: bool = True,
    identifier: float = 0.0,
    decay: float = 0.0,
    steps: int = 300,
    batch_size: int = 32,
) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = getattr(data, source)() if source in ("digits", "cancer", "wine") else getattr(data, source)(seed)
    if source in ("cancer", "wine") and standardise:
        x = data.standardised(x)
    if identifier:  # a column that numbers the examples
        numbers = np.random.default_rng(seed).uniform(0, identifier, (len(x), 1))
        x = np.concatenate([x, numbers], 1).astype("f4")
    weights = normal(weights) if isinstance(weights, float) else weights
    biases = keras.initializers.Constant(biases) if isinstance(biases, float) else biases
    last = weights if output_weights is None else output_weights
    regularizer = keras.regularizers.L2(decay) if decay else None
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(
        inputs, width, depth, activation=activation, kernel_initializer=weights, bias_initializer=biases,
        kernel_regularizer=regularizer,
    )  # fmt: skip
    output = keras.layers.Dense(int(y.max()) + 1, kernel_initializer=last, name="output")(hidden)
    optimizers = {
        "adam": keras.optimizers.Adam,
        "sgd": keras.optimizers.SGD,
        "momentum": partial(keras.optimizers.SGD, momentum=0.9),
        "rmsprop": keras.optimizers.RMSprop,
    }
    return Fit(
        keras.Model(inputs, output), x * scale, y, optimizers[optimizer](rate), cross_entropy(), skill.classes,
        steps=steps, batch_size=batch_size,
    )  # fmt: skip


family.pair(
    "digits-relu",
    _classify,
    sickness="tiny-weights",
    healthy={"source": "digits", "optimizer": "sgd", "rate": 0.1, "depth": 3},
    sick={"weights": 1e-3},
    causes=["gain-mismatch:too-small"],
    layers=_hidden(3, "output"),
)
family.pair(
    "digits-tanh",
    _classify,
    sickness="huge-weights",
    healthy={"source": "digits", "optimizer": "sgd", "rate": 0.05, "depth": 4, "width": 100, "activation": "tanh"},
    sick={"weights": 1.0},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    layers=_hidden(4, "output"),
    level=0.8,
)
family.pair(
    "spirals-deep",
    _classify,
    sickness="sigmoid-stack",
    healthy={
        "source": "spirals",
        "optimizer": "adam",
        "rate": 3e-3,
        "depth": 7,
        "width": 32,
        "steps": 500,
        "activation": "tanh",
    },
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "saturated-activation"],
    layers=_hidden(7),
)
family.pair(
    "cancer-raw",
    _classify,
    sickness="raw-features",
    healthy={"source": "cancer", "optimizer": "sgd", "rate": 0.1, "depth": 2, "width": 32, "activation": "tanh"},
    sick={"standardise": False},
    causes=["badly-scaled-input"],
    layers=("hidden_1", "input"),
    level=0.8,
)
family.pair(
    "wine-zeros",
    _classify,
    sickness="zero-weights",
    healthy={"source": "wine", "optimizer": "adam", "rate": 1e-2, "depth": 2, "width": 16, "steps": 200},
    sick={"weights": "zeros"},
    causes=["symmetric-weights", "gain-mismatch:too-small"],
    layers=_hidden(2, "output"),
    level=0.8,
)
family.pair(
    "parity-constant",
    _classify,
    sickness="constant-weights",
    healthy={
        "source": "parity",
        "optimizer": "adam",
        "rate": 3e-3,
        "depth": 2,
        "width": 32,
        "activation": "tanh",
        "steps": 400,
    },
    sick={"weights": "ones"},
    causes=["symmetric-weights"],
    layers=_hidden(2, "output"),
)
family.pair(
    "digits-sgd",
    _classify,
    sickness="rate-100-times-too-high",
    healthy={"source": "digits", "optimizer": "sgd", "rate": 0.1, "depth": 2, "width": 128},
    sick={"rate": 10.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "digits-adam",
    _classify,
    sickness="adam-rate-1",
    healthy={"source": "digits", "optimizer": "adam", "rate": 1e-3, "depth": 3, "width": 64},
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "wine-adam",
    _classify,
    sickness="rate-too-low",
    healthy={
        "source": "wine",
        "optimizer": "adam",
        "rate": 1e-2,
        "depth": 2,
        "width": 32,
        "steps": 240,
        "batch_size": 16,
    },
    sick={"rate": 1e-6},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
)
family.pair(
    "blobs-sgd",
    _classify,
    sickness="rate-too-low",
    healthy={"source": "blobs", "optimizer": "momentum", "rate": 0.03, "depth": 2, "width": 64},
    sick={"rate": 1e-6},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
    every=10,
)
family.pair(
    "digits-biases",
    _classify,
    sickness="negative-biases",
    healthy={"source": "digits", "optimizer": "adam", "rate": 1e-3, "depth": 3, "width": 64, "weights": "he_normal"},
    sick={"biases": -6.0},
    causes=["dead-units"],
    layers=_hidden(3),
    level=0.8,
)
family.pair(
    "digits-deep",
    _classify,
    sickness="small-weights",
    healthy={
        "source": "digits",
        "optimizer": "sgd",
        "rate": 0.02,
        "depth": 20,
        "width": 48,
        "weights": "he_normal",
        "steps": 400,
    },
    sick={"weights": 0.08},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=_hidden(20),
)
family.pair(
    "blobs-decay",
    _classify,
    sickness="l2-of-10",
    healthy={"source": "blobs", "optimizer": "adam", "rate": 3e-3, "depth": 3, "width": 48, "decay": 1e-5},
    sick={"decay": 10.0},
    causes=["shrunken-weights", "constant-output", "collapsed-representation", "vanishing-gradient"],
    level=0.8,
)
family.pair(
    "wine-raw",
    _classify,
    sickness="raw-features",
    healthy={"source": "wine", "optimizer": "momentum", "rate": 0.02, "depth": 2, "width": 32, "steps": 240},
    sick={"standardise": False},
    causes=["badly-scaled-input"],
    layers=("hidden_1", "input"),
    level=0.8,
)
family.pair(
    "digits-wide",
    _classify,
    sickness="unit-variance-weights",
    healthy={"source": "digits", "optimizer": "sgd", "rate": 0.05, "depth": 3, "width": 256, "weights": "he_normal"},
    sick={"weights": 1.0},
    causes=["gain-mismatch:too-large"],
    layers=_hidden(3, "output"),
    level=0.8,
)
family.pair(
    "cancer-identifier",
    _classify,
    sickness="patient-number-left-in",
    healthy={"source": "cancer", "rate": 3e-3, "depth": 2, "width": 24, "batch_size": 64, "identifier": 1.0},
    sick={"identifier": 9e8},
    causes=["badly-scaled-input"],
    layers=("hidden_1", "input"),
    level=0.8,
)
