"""Words and letters as tokens: attention, transformers, averages of word vectors and convolutions."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("tokens", half="test")


def _places(length: int, width: int, *, counted: bool) -> np.ndarray:
    """Sines and cosines of the place, as in the paper; or the place itself."""
    place = np.arange(length)[:, None]
    if counted:
        return np.repeat(place, width, 1).astype("f4")
    angle = place / 10000 ** (2 * (np.arange(width) // 2) / width)
    return np.where(np.arange(width) % 2, np.cos(angle), np.sin(angle)).astype("f4")


def _headlines(seed: int, *, counted: bool = False) -> Fit:
    """Headlines of thirty words through one block after the embedding, attention without a norm."""
    keras.utils.set_random_seed(seed)
    words, kind = data.texts(seed, count=768, length=30, words=150)
    inputs = keras.Input((30,))
    x = keras.layers.Embedding(150, 16, name="embedding")(inputs) + _places(30, 16, counted=counted)
    x = x + keras.layers.MultiHeadAttention(2, 8, name="attention")(x, x)
    x = keras.layers.Dense(32, "relu", name="dense")(x)
    x = keras.layers.GlobalAveragePooling1D(name="average")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(x))
    return Fit(model, words, kind, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=170)


def _average(seed: int, *, rate: float = 2.0) -> Fit:
    """Averaged word vectors and plain descent, its rate falling along a line to nothing."""
    keras.utils.set_random_seed(seed)
    words, kind = data.texts(seed, length=20, words=300, kinds=4)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Embedding(300, 24, name="embedding"),
            keras.layers.GlobalAveragePooling1D(name="average"),
            keras.layers.Dense(4, "softmax", name="output"),
        ]
    )
    schedule = keras.optimizers.schedules.PolynomialDecay(rate, 640, 0.0)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, words, kind, keras.optimizers.SGD(schedule), loss, skill.classes, steps=640)


def _backwards(seed: int, *, cut: bool = False) -> Fit:
    """Five letters written backwards: a recurrent encoder hands its last state to a recurrent decoder."""
    keras.utils.set_random_seed(seed)
    letters = np.random.default_rng(seed).integers(0, 8, (1024, 5))
    inputs = keras.Input((5,))
    x = keras.layers.Embedding(8, 12, name="embedding")(inputs)
    state = keras.layers.GRU(48, name="encoder")(x)
    state = keras.ops.stop_gradient(state) if cut else state
    x = keras.layers.RepeatVector(5, name="repeat")(state)
    x = keras.layers.GRU(48, return_sequences=True, name="decoder")(x)
    model = keras.Model(inputs, keras.layers.Dense(8, name="output")(x))
    optimizer = keras.optimizers.Adam(1e-2)
    return Fit(model, letters, letters[:, ::-1], optimizer, cross_entropy(), skill.classes, steps=400)


family.pair(
    "headlines",
    _headlines,
    sickness="places-added-as-numbers",
    sick={"counted": True},
    causes=["badly-scaled-input", "saturated-activation"],
    layers=("embedding", "attention", "dense"),
    level=0.8,
)
family.pair(
    "averaged",
    _average,
    sickness="rate-of-a-twentieth",
    sick={"rate": 0.1},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "backwards",
    _backwards,
    sickness="state-of-the-encoder-taken-for-constant",
    sick={"cut": True},
    causes=["disconnected-variable", "unchanged-weights"],
    layers=("embedding", "encoder"),
    level=0.7,
)
