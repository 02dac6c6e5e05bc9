"""Initial weights that suit the activation, uniform and normal, against ones that are far too small."""

from __future__ import annotations

from functools import partial
from math import sqrt

import keras
from catalogue.bench import Bench, Trial, Trick
from catalogue.networks import compiled, dense_network, momentum

SIGMOID_RATE = 0.3
_FACTOR = {"logistic": 1.0, "tanh": 4.0, "relu": sqrt(2)}
"""What the article multiplies Glorot's r and sigma by."""


def _scaled(factor: float, form: str) -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(
        scale=factor**2, mode="fan_avg", distribution="uniform" if form == "uniform" else "untruncated_normal"
    )


def _network(_: Bench, *, activation: str, initializer: keras.initializers.Initializer) -> keras.Model:
    function, rate = ("sigmoid", SIGMOID_RATE) if activation == "logistic" else (activation, 0.02)
    hidden = 2 if activation == "logistic" else 4
    return compiled(dense_network(hidden, function, initializer), momentum(rate))


def tricks() -> list[Trick]:
    found = []
    for activation, factor in _FACTOR.items():
        small = keras.initializers.RandomNormal(0.0, 1e-3)
        sick = Trial(f"{activation}_small_weights", partial(_network, activation=activation, initializer=small))
        for form in ("uniform", "normal"):
            build = partial(_network, activation=activation, initializer=_scaled(factor, form))
            name = f"{activation}: {form}" + ("" if factor == 1 else f", x {factor:.3g}")
            found.append(Trick("initialisation", name, sick, Trial(f"{activation}_{form}", build)))
    plain = partial(_network, activation="tanh", initializer=_scaled(1.0, "normal"))
    found.append(Trick("initialisation", "tanh: normal, x 1 instead of 4", found[3].after, Trial("tanh_x1", plain)))
    return found
