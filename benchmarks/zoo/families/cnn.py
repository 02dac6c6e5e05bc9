"""Convolutional networks on small pictures."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("cnn", half="think")

_LAYERS = ("conv_1", "conv_2", "hidden", "output")


def _pictures(
    seed: int,
    *,
    source: str = "bars",
    optimizer: str = "adam",
    rate: float = 1e-3,
    activation: str = "relu",
    weights: Any = "he_normal",
    biases: float = 0.0,
    last: str | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    convolutions: int = 2,
    logits: bool = True,
    steps: int = 240,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.bars(seed) if source == "bars" else data.digits()
    x = x.reshape(len(x), 8, 8, 1) if source == "digits" else x
    weights = normal(weights) if isinstance(weights, float) else weights
    options = {
        "activation": activation, "kernel_initializer": weights,
        "bias_initializer": keras.initializers.Constant(biases),
    }  # fmt: skip
    model = keras.Sequential([keras.Input(x.shape[1:])])
    for number in range(1, convolutions + 1):
        model.add(layers.Conv2D(8 * min(number, 2), 3, padding="same", name=f"conv_{number}", **options))
        if number <= 2:
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(48, name="hidden", **options))
    model.add(layers.Dense(int(y.max()) + 1, last, kernel_initializer=weights, name="output"))
    made = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimizer](rate)
    return Fit(model, x * scale + offset, y, made, cross_entropy(from_logits=logits), skill.classes, steps=steps)


family.pair(
    "bars-pixels",
    _pictures,
    sickness="pixels-0-to-255",
    healthy={"optimizer": "sgd", "rate": 0.05, "weights": "glorot_uniform"},
    sick={"scale": 255.0},
    causes=["badly-scaled-input"],
    layers=("conv_1", "input"),
    level=0.6,
)
family.pair(
    "digits-tiny",
    _pictures,
    sickness="tiny-weights",
    healthy={"source": "digits", "optimizer": "sgd", "rate": 0.1},
    sick={"weights": 1e-3},
    causes=["gain-mismatch:too-small"],
    layers=_LAYERS,
    level=0.6,
)
family.pair(
    "bars-rate",
    _pictures,
    sickness="rate-too-high",
    healthy={"rate": 2e-3},
    sick={"rate": 0.3},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "digits-dead",
    _pictures,
    sickness="negative-biases",
    healthy={"source": "digits", "rate": 1e-3},
    sick={"biases": -4.0},
    causes=["dead-units"],
    layers=("conv_1", "conv_2", "hidden"),
    level=0.8,
)
family.pair(
    "bars-logits",
    _pictures,
    sickness="logits-taken-for-probabilities",
    healthy={"rate": 3e-3},
    sick={"logits": False},
    causes=["mismatched-loss"],
    layers=("output",),
    level=0.8,
)
family.pair(
    "digits-deep",
    _pictures,
    sickness="sigmoid-convolutions",
    healthy={"source": "digits", "rate": 2e-3, "convolutions": 6, "weights": "glorot_uniform"},
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "saturated-activation"],
    layers=tuple(f"conv_{number}" for number in range(1, 7)),
    level=0.8,
)
family.pair(
    "bars-tanh",
    _pictures,
    sickness="zero-weights",
    healthy={"optimizer": "sgd", "rate": 0.05, "activation": "tanh", "weights": "glorot_uniform"},
    sick={"weights": "zeros"},
    causes=["symmetric-weights", "gain-mismatch:too-small"],
    layers=_LAYERS,
    level=0.8,
)
family.pair(
    "bars-relu-output",
    _pictures,
    sickness="relu-on-logits",
    healthy={"rate": 2e-3},
    sick={"last": "relu", "biases": -0.5},
    causes=["mismatched-loss", "dead-units"],
    layers=("output", "hidden", "conv_1", "conv_2"),
    level=0.8,
)
family.pair(
    "digits-slow",
    _pictures,
    sickness="rate-too-low",
    healthy={"source": "digits", "optimizer": "sgd", "rate": 0.1},
    sick={"rate": 1e-5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "bars-huge",
    _pictures,
    sickness="unit-variance-weights",
    healthy={"optimizer": "sgd", "rate": 0.02},
    sick={"weights": 1.0},
    causes=["gain-mismatch:too-large"],
    layers=_LAYERS,
    level=0.6,
)
