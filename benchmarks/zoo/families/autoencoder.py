"""Networks that reconstruct their input."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import normal
from zoo.program import Family
from zoo.task import Fit

family = Family("autoencoder", half="think")

_LAYERS = ("encoder", "code", "decoder", "output")


def _autoencode(
    seed: int,
    *,
    source: str = "digits",
    width: int = 48,
    code: int = 12,
    activation: str = "relu",
    code_activation: str = "relu",
    last: str | None = "sigmoid",
    weights: Any = "glorot_uniform",
    code_bias: float = 0.0,
    loss: str = "mse",
    optimizer: str = "Adam",
    rate: float = 3e-3,
    scale: float = 1.0,
    detach: bool = False,
    steps: int = 320,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    if source == "digits":
        x = data.digits()[0]
    elif source == "line":
        x = np.random.default_rng(seed).uniform(-1, 1, (1024, 1)).astype("f4")
    else:
        x = data.standardised(data.cancer()[0])
    made = normal(weights) if isinstance(weights, float) else weights
    options = {"kernel_initializer": made}
    inputs = keras.Input((x.shape[1],))
    h = layers.Dense(width, activation, name="encoder", **options)(inputs)
    bias = keras.initializers.Constant(code_bias)
    h = layers.Dense(code, code_activation, bias_initializer=bias, name="code", **options)(h)
    h = layers.Lambda(keras.ops.stop_gradient, name="cache")(h) if detach else h
    h = layers.Dense(width, activation, name="decoder", **options)(h)
    output = layers.Dense(x.shape[1], last, name="output", **options)(h)
    target = x * scale
    return Fit(
        keras.Model(inputs, output), target, target, getattr(keras.optimizers, optimizer)(rate), loss, skill.fit_of,
        steps=steps,
    )  # fmt: skip


family.pair(
    "cancer-bounded",
    _autoencode,
    sickness="sigmoid-output-for-standardised-targets",
    healthy={"source": "cancer", "last": None},
    sick={"last": "sigmoid"},
    causes=["mismatched-loss", "saturated-activation"],
    layers=("output",),
)
family.pair(
    "digits-pixels",
    _autoencode,
    sickness="pixels-0-to-255",
    healthy={"loss": "binary_crossentropy"},
    sick={"scale": 255.0},
    causes=["badly-scaled-input", "mismatched-loss"],
    layers=("input", "output", "encoder"),
    level=0.3,
)
family.pair(
    "line-tiny",
    _autoencode,
    sickness="tiny-weights",
    healthy={"source": "line", "width": 16, "code": 16, "last": None, "optimizer": "SGD", "rate": 0.05},
    sick={"weights": 1e-3},
    causes=["gain-mismatch:too-small"],
    layers=_LAYERS,
)
family.pair(
    "digits-dead-code",
    _autoencode,
    sickness="dead-code",
    healthy={"rate": 3e-3},
    sick={"code_bias": -8.0},
    causes=["dead-units"],
    layers=("code",),
    level=0.3,
)
family.pair(
    "cancer-rate",
    _autoencode,
    sickness="rate-too-high",
    healthy={"source": "cancer", "last": None, "activation": "tanh", "code_activation": "linear"},
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
)
family.pair(
    "cancer-detached",
    _autoencode,
    sickness="encoder-cut-off",
    healthy={"source": "cancer", "last": None, "code": 4, "activation": "tanh", "rate": 5e-3},
    sick={"detach": True},
    causes=["disconnected-variable"],
    layers=("encoder", "code"),
)
