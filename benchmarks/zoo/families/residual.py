"""Deep networks with skip connections, and what becomes of them without."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("residual", half="think")


def _blocks(count: int, *others: str) -> tuple[str, ...]:
    return (*(f"block_{number}_{part}" for number in range(1, count + 1) for part in ("in", "out")), *others)


def _residual(
    seed: int,
    *,
    source: str = "digits",
    blocks: int = 8,
    width: int = 48,
    skips: bool = True,
    last_of_block: Any = 0.02,
    inner: Any = "he_normal",
    activation: str = "relu",
    optimizer: str = "sgd",
    rate: float = 0.05,
    scale: float = 1.0,
    output_weights: Any = "glorot_uniform",
    norm: bool = False,
    steps: int = 300,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.digits() if source == "digits" else data.blobs(seed, features=24, kinds=6)
    inputs = keras.Input((x.shape[1],))
    h = layers.Dense(width, name="stem")(inputs)
    for number in range(1, blocks + 1):
        start = layers.LayerNormalization(name=f"block_{number}_norm")(h) if norm else h
        branch = layers.Dense(width, activation, kernel_initializer=inner, name=f"block_{number}_in")(start)
        weights = normal(last_of_block) if isinstance(last_of_block, float) else last_of_block
        branch = layers.Dense(width, kernel_initializer=weights, name=f"block_{number}_out")(branch)
        h = layers.Add(name=f"block_{number}_add")([h, branch]) if skips else branch
    output = layers.Dense(int(y.max()) + 1, kernel_initializer=output_weights, name="output")(h)
    made = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer](rate)
    return Fit(keras.Model(inputs, output), x * scale, y, made, cross_entropy(), skill.classes, steps=steps)


family.pair(
    "digits-skips",
    _residual,
    sickness="skips-forgotten",
    healthy={"blocks": 10},
    sick={"skips": False},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=_blocks(10, "stem", "output"),
)
family.pair(
    "blobs-growing",
    _residual,
    sickness="branches-8-times-too-large",
    healthy={"source": "blobs", "blocks": 12, "last_of_block": 0.02, "rate": 0.02},
    sick={"last_of_block": 1.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=_blocks(12),
)
family.pair(
    "digits-rate",
    _residual,
    sickness="rate-too-high",
    healthy={"blocks": 6, "optimizer": "adam", "rate": 1e-3},
    sick={"rate": 0.5},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "blobs-scale",
    _residual,
    sickness="inputs-times-1000",
    healthy={"source": "blobs", "blocks": 4, "rate": 0.02},
    sick={"scale": 1000.0},
    causes=["badly-scaled-input"],
    layers=("stem", "input"),
    level=0.8,
)
family.pair(
    "digits-prenorm",
    _residual,
    sickness="rate-too-low",
    healthy={"blocks": 8, "norm": True, "rate": 0.05, "last_of_block": "zeros"},
    sick={"rate": 1e-6},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "blobs-plain",
    _residual,
    sickness="tiny-weights",
    healthy={"source": "blobs", "blocks": 3, "skips": False, "last_of_block": "he_normal", "rate": 0.03},
    sick={"last_of_block": 1e-3},
    causes=["gain-mismatch:too-small"],
    layers=_blocks(3),
    level=0.8,
)
