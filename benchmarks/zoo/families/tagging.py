"""Sequences with a label per word, or one for what stood long ago."""

from __future__ import annotations

import numpy as np

from zoo import skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("tagging", half="think")


def _remember(seed: int, *, recurrent_gain: float = 1.0) -> Fit:
    """A rectified recurrent network that starts as the identity (Le, Jaitly and Hinton 2015)."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kinds, length = 4, 40
    y = draw.integers(0, kinds, 800)
    x = draw.normal(0, 0.05, (len(y), length, kinds)).astype("f4")
    x[np.arange(len(y)), 0, y] += 1
    inputs = keras.Input((length, kinds))
    memory = keras.layers.SimpleRNN(
        32,
        activation="relu",
        recurrent_initializer=keras.initializers.Identity(recurrent_gain),
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.1),
        name="memory",
    )
    model = keras.Model(inputs, keras.layers.Dense(kinds, name="answer")(memory(inputs)))
    return Fit(model, x, y, keras.optimizers.RMSprop(1e-3, clipnorm=1.0), cross_entropy(), skill.classes, steps=250)


family.pair(
    "first-symbol",
    _remember,
    sickness="recurrent-gain-of-a-third",
    sick={"recurrent_gain": 0.33},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    layers=("memory",),
    level=0.9,
)


def _tags(seed: int, *, rate: float = 4e-3) -> Fit:
    """Sentences padded with 0; a word's tag depends on its kind and on that of the word before."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    words, length = 60, 14
    x = draw.integers(1, words, (900, length))
    lengths = draw.integers(5, length + 1, len(x))
    x[np.arange(length) >= lengths[:, None]] = 0
    kind = x % 3
    y = np.maximum(kind, np.roll(kind, 1, 1))
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(words, 16, mask_zero=True, name="words"),
            layers.Bidirectional(layers.GRU(24, return_sequences=True), name="context"),
            layers.Dense(3, name="tags"),
        ]
    )
    return Fit(
        model, x, y, keras.optimizers.Adam(rate), cross_entropy(),
        lambda truth, logits: skill.classes(truth[x > 0], logits[x > 0]), steps=380, batch_size=48,
    )  # fmt: skip


family.pair(
    "bigru-tags",
    _tags,
    sickness="rate-in-per-mille",
    sick={"rate": 4.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
)
