"""Depth: thirty plain layers, and a residual tower with layer norms that warms up."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("plain-towers", half="think")


def _plain(seed: int, *, initializer: str = "he_normal") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(
        keras.layers.Rescaling(2.0, -0.6, name="rescale")(inputs), 48, 30,
        activation="relu", kernel_initializer=initializer,
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    sgd = keras.optimizers.SGD(0.005, momentum=0.9)
    return Fit(model, x, y, sgd, cross_entropy(), skill.classes, steps=600, batch_size=64)


def _warmed(seed: int, *, peak: float = 2e-3) -> Fit:
    """Five residual blocks behind layer norms; the rate rises for 60 steps, then falls to 0."""
    keras.utils.set_random_seed(seed)
    x, y = data.parity(seed, bits=10)
    inputs = keras.Input((10,))
    stream: Any = keras.layers.Dense(32, name="embed")(inputs)
    for number in range(1, 6):
        inner = keras.layers.LayerNormalization(name=f"norm_{number}")(stream)
        inner = keras.layers.Dense(32, "gelu", name=f"wide_{number}")(inner)
        inner = keras.layers.Dense(32, name=f"narrow_{number}")(inner)
        stream = keras.layers.Add(name=f"add_{number}")([stream, inner])
    stream = keras.layers.LayerNormalization(name="norm")(stream)
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(stream))
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 300, warmup_target=peak, warmup_steps=60)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.02)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=360)


family.pair(
    "thirty",
    _plain,
    sickness="weights-of-glorot-under-relu",
    sick={"initializer": "glorot_uniform"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.6,
)
family.pair(
    "warmed-up",
    _warmed,
    sickness="peak-in-per-mille",
    sick={"peak": 2.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
