"""Faster optimizers against plain descent with a small step; a schedule against a rate that is too high."""

from __future__ import annotations

from functools import partial

import keras
from catalogue.bench import Bench, Trial, Trick
from catalogue.networks import compiled, dense_network

RATE = 5e-3


def _network(_: Bench, *, make: partial[keras.optimizers.Optimizer]) -> keras.Model:
    return compiled(dense_network(2, "relu", "he_normal"), make())


def _falling(rate: float, steps: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(rate, steps, 0.01), momentum=0.9)


def _scheduled(bench: Bench) -> keras.Model:
    return compiled(dense_network(2, "relu", "he_normal"), _falling(0.3, bench.steps))


def tricks() -> list[Trick]:
    sgd = keras.optimizers.SGD
    plain = Trial("sgd", partial(_network, make=partial(sgd, RATE)))
    faster = {
        "momentum": partial(sgd, RATE, momentum=0.9),
        "Nesterov": partial(sgd, RATE, momentum=0.9, nesterov=True),
        "AdaGrad": partial(keras.optimizers.Adagrad, 0.05, initial_accumulator_value=0.0),
        "RMSProp": partial(keras.optimizers.RMSprop, RATE),
        "Adam": partial(keras.optimizers.Adam, RATE),
    }
    restless = Trial("constant_rate", partial(_network, make=partial(sgd, 0.3, momentum=0.9)))
    return [
        *(
            Trick("optimizer", name, plain, Trial(name.lower(), partial(_network, make=make)))
            for name, make in faster.items()
        ),
        Trick("schedule", "exponential decay", restless, Trial("exponential_decay", _scheduled)),
    ]
