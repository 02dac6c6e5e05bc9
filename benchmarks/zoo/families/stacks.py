"""Deep stacks of plain layers, by the self-normalising recipe, by batch norm and by skips."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("stacks", half="think")


def _unsaid(seed: int, *, said: bool = True) -> Loop:
    """Nine layers with small weights, which batch norm makes good, in a loop by hand."""
    keras.utils.set_random_seed(seed)
    x, y = data.cancer()
    x = data.standardised(x)
    inputs = keras.Input((30,))
    hidden = inputs
    for number in range(1, 10):
        hidden = keras.layers.Dense(24, kernel_initializer="random_normal", name=f"hidden_{number}")(hidden)
        hidden = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(hidden)
        hidden = keras.layers.Activation("tanh", name=f"tanh_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 32)
        return x[rows], y[rows, None]

    def forward(x: Any, y: Any) -> Any:
        outputs = model(x, training=True) if said else model(x)
        return entropy(tf.cast(y, "float32"), outputs)

    def score() -> float:
        return skill.binary(y, model(x).numpy(), threshold=0.0)

    return Loop(model, keras.optimizers.SGD(0.05, momentum=0.9), batches, forward, score, steps=200, seed=seed)


def _selu(seed: int, *, kernel: str = "lecun_normal") -> Fit:
    """Twelve layers of SELU with alpha dropout."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, 1024, 20, 6, spread=1.2)
    inputs = keras.Input((20,))
    hidden = inputs
    for number in range(1, 13):
        hidden = keras.layers.Dense(40, "selu", kernel_initializer=kernel, name=f"hidden_{number}")(hidden)
        hidden = keras.layers.AlphaDropout(0.03, name=f"dropout_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(6, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=300, batch_size=32)


def _blocks(seed: int, *, spread: float = 0.0) -> Fit:
    """Twenty blocks of two layers whose second starts at zero, each added to what came before."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    inputs = keras.Input((6,))
    stream = keras.layers.Dense(24, name="entry")(inputs)
    for number in range(1, 21):
        branch = keras.layers.LayerNormalization(name=f"norm_{number}")(stream)
        branch = keras.layers.Dense(24, "relu", name=f"inner_{number}")(branch)
        start = keras.initializers.RandomNormal(stddev=spread) if spread else "zeros"
        branch = keras.layers.Dense(24, kernel_initializer=start, name=f"outer_{number}")(branch)
        stream = keras.layers.Add(name=f"add_{number}")([stream, branch])
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(stream))
    return Fit(model, x, y, keras.optimizers.AdamW(1e-3), "mse", skill.fit_of, steps=300, batch_size=32)


family.pair(
    "unsaid",
    _unsaid,
    sickness="training-not-said",
    sick={"said": False},
    causes=["collapsed-batch-statistics", "gain-mismatch:too-small", "vanishing-gradient"],
    level=0.8,
)
family.pair(
    "selu",
    _selu,
    sickness="random-normal-for-lecun-normal",
    sick={"kernel": "random_normal"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.7,
)
family.pair(
    "blocks",
    _blocks,
    sickness="branches-that-start-from-a-unit-normal",
    sick={"spread": 1.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=tuple(f"outer_{number}" for number in range(1, 21)),
    level=0.8,
)
