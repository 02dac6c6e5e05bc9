"""Batch and layer normalisation, used well and not."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("normalised", half="think")


def _normalised(
    seed: int,
    *,
    kind: str = "batch",
    depth: int = 3,
    width: int = 48,
    activation: str = "relu",
    epsilon: float = 1e-3,
    gamma: Any = "ones",
    beta: float = 0.0,
    momentum: float = 0.9,
    batch_size: int = 32,
    optimizer: str = "SGD",
    rate: float = 0.05,
    source: str = "digits",
    scale: float = 1.0,
    steps: int = 280,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.digits() if source == "digits" else data.blobs(seed)

    def between(number: int) -> list[Any]:
        options = {
            "epsilon": epsilon, "gamma_initializer": gamma, "name": f"norm_{number}",
            "beta_initializer": keras.initializers.Constant(beta),
        }  # fmt: skip
        norm = (
            layers.BatchNormalization(momentum=momentum, **options)
            if kind == "batch"
            else layers.LayerNormalization(**options)
        )
        return [norm, layers.Activation(activation, name=f"active_{number}")]

    inputs = keras.Input((x.shape[1],))
    h = dense_stack(inputs, width, depth, between=between)
    model = keras.Model(inputs, layers.Dense(int(y.max()) + 1, name="output")(h))
    x, y = (x[:600], y[:600]) if batch_size == 1 else (x, y)
    made = getattr(keras.optimizers, optimizer)(rate)
    return Fit(model, x * scale, y, made, cross_entropy(), skill.classes, steps=steps, batch_size=batch_size)


family.pair(
    "digits-one",
    _normalised,
    sickness="batch-norm-of-one-example",
    healthy={"kind": "layer", "depth": 2, "batch_size": 1, "rate": 0.01, "steps": 600},
    sick={"kind": "batch"},
    causes=["collapsed-batch-statistics", "collapsed-representation", "constant-output"],
    layers=("norm_1", "norm_2", "active_1", "active_2", "hidden_1", "hidden_2", "output"),
    level=0.6,
)
family.pair(
    "digits-epsilon",
    _normalised,
    sickness="epsilon-1e9-for-1e-9",
    healthy={"kind": "layer", "depth": 3},
    sick={"epsilon": 1e9},
    causes=["vanishing-gradient", "collapsed-representation", "constant-output", "gain-mismatch:too-small"],
    level=0.7,
)
family.pair(
    "blobs-gamma",
    _normalised,
    sickness="gammas-that-start-at-zero",
    healthy={"source": "blobs", "depth": 3},
    sick={"gamma": "zeros"},
    causes=[
        "vanishing-gradient",
        "disconnected-variable",
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "collapsed-batch-statistics",
        "symmetric-weights",
    ],
    level=0.7,
)
family.pair(
    "digits-beta",
    _normalised,
    sickness="dead-behind-norm",
    healthy={"depth": 2, "optimizer": "Adam", "rate": 1e-3},
    sick={"beta": -8.0},
    causes=["dead-units"],
    layers=("active_1", "active_2", "norm_1", "norm_2"),
    level=0.7,
)
family.pair(
    "digits-deep",
    _normalised,
    sickness="rate-too-high",
    healthy={"depth": 10, "rate": 0.03, "width": 32},
    sick={"rate": 100.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "blobs-slow",
    _normalised,
    sickness="rate-too-low",
    healthy={"source": "blobs", "depth": 2, "optimizer": "Adam", "rate": 3e-3},
    sick={"rate": 1e-7},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
