"""Series and sequences, read by recurrent networks, dilated convolutions and attention over time."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("rolling", half="test")


def _padded(seed: int, *, masked: bool = True) -> Fit:
    """Short complaints, filled up with zeros to the length of the longest."""
    keras.utils.set_random_seed(seed)
    words, kind = data.texts(seed, count=768, length=12)
    words[np.arange(12)[None] >= np.random.default_rng(seed).integers(6, 13, (768, 1))] = 0
    words = np.pad(words, ((0, 0), (0, 38)))
    model = keras.Sequential(
        [
            keras.Input((50,)),
            keras.layers.Embedding(200, 16, mask_zero=masked, name="embedding"),
            keras.layers.LSTM(24, name="lstm"),
            keras.layers.Dense(16, "relu", name="dense"),
            keras.layers.Dense(3, "softmax", name="output"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    return Fit(model, words, kind, keras.optimizers.Adam(5e-3), loss, skill.classes, steps=190)


def _vibration(seed: int, *, clip: float = 1.0) -> Fit:
    """Which of four gears turns; plain descent with momentum, clipped."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, 800)
    time = np.arange(24) + draw.uniform(0, 9, (800, 1))
    x = np.sin(time * (0.4 + 0.45 * kind[:, None])) + draw.normal(0, 0.3, (800, 24))
    model = keras.Sequential([keras.Input((24, 1)), keras.layers.GRU(32, name="gru")])
    model.add(keras.layers.Dense(4, name="output"))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=clip)
    return Fit(model, x[..., None].astype("f4"), kind, optimizer, cross_entropy(), skill.classes, steps=400)


def _loudest(seed: int, *, axis: int = 1) -> Fit:
    """The colour of the loudest of twelve: every one is scored, and a softmax over them says whom to listen to."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1024, 12, 3)).astype("f4")
    y = (x[np.arange(1024), x[..., 0].argmax(1), 1] > 0).astype("i4")
    inputs = keras.Input((12, 3))
    each = keras.layers.Dense(24, "relu", name="encoder")(inputs)
    scores = keras.layers.Dense(1, name="scores")(each)
    weights = keras.layers.Softmax(axis=axis, name="weights")(scores)
    heard = keras.layers.Dot(1, name="heard")([weights, each])
    heard = keras.layers.Flatten(name="flat")(heard)
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(heard))
    return Fit(model, x, y, keras.optimizers.Adam(1e-2), cross_entropy(), skill.classes, steps=500)


family.pair(
    "padded",
    _padded,
    sickness="padding-not-masked",
    sick={"masked": False},
    causes=["vanishing-gradient"],
    layers=("embedding", "lstm"),
    level=0.8,
)
family.pair(
    "vibration",
    _vibration,
    sickness="clipped-to-a-five-hundredth",
    sick={"clip": 2e-3},
    causes=["permanent-clipping"],
    level=0.8,
)
family.pair(
    "loudest",
    _loudest,
    sickness="softmax-over-one-score",
    sick={"axis": -1},
    causes=["misplaced-softmax", "vanishing-gradient", "disconnected-variable", "unchanged-weights"],
    layers=("scores", "weights"),
    level=0.7,
)
