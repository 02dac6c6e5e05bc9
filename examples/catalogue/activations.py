"""Activations that cannot die, batch normalisation, clipping and the default configuration, each against its need."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from catalogue.bench import Bench, Trial, Trick
from catalogue.networks import compiled, dense_network


def _negative(bench: Bench, *, activation: Any, initializer: str = "he_normal") -> keras.Model:
    # Biases of -1.5 switch nearly every ReLU off.
    del bench
    return compiled(dense_network(4, activation, initializer, bias=-1.5))


def _deep_logistic(bench: Bench, *, normalised: bool) -> keras.Model:
    del bench
    return compiled(dense_network(6, "sigmoid", "glorot_normal", normalised=normalised))


def _large(bench: Bench, *, limit: float | None) -> keras.Model:
    del bench
    start = keras.initializers.RandomNormal(0.0, 1.0)
    return compiled(dense_network(4, "relu", start), keras.optimizers.SGD(0.02, clipvalue=limit))


def _default(bench: Bench) -> keras.Model:
    del bench
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True)
    return compiled(dense_network(6, "elu", "he_normal", normalised=True, dropout=0.1), optimizer)


def _standard(bench: Bench) -> Any:
    return bench.images.standardised()


def tricks() -> list[Trick]:
    dying = Trial("dying_relu", partial(_negative, activation="relu"), _standard)
    deep = Trial("deep_logistic", partial(_deep_logistic, normalised=False))
    large = Trial("large_weights", partial(_large, limit=None))
    alive = {
        "leaky ReLU": Trial("leaky_relu", partial(_negative, activation="leaky_relu"), _standard),
        "ELU": Trial("elu", partial(_negative, activation="elu"), _standard),
        "SELU": Trial("selu", partial(_negative, activation="selu", initializer="lecun_normal"), _standard),
    }
    default = Trial("default", _default)
    return [
        *(Trick("activation", name, dying, trial) for name, trial in alive.items()),
        Trick(
            "batch norm", "before the activation", deep, Trial("batch_norm", partial(_deep_logistic, normalised=True))
        ),
        Trick("clipping", "by value, +-1", large, Trial("clipped", partial(_large, limit=1.0))),
        Trick("default", "He, ELU, batch norm, dropout, Nesterov", deep, default),
    ]
