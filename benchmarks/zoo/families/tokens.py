"""Words and letters as tokens: attention, transformers, averages of word vectors and convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("tokens", half="think")


def _places(length: int, width: int, *, counted: bool) -> np.ndarray:
    """Sines and cosines of the place, as in the paper; or the place itself."""
    place = np.arange(length)[:, None]
    if counted:
        return np.repeat(place, width, 1).astype("f4")
    angle = place / 10000 ** (2 * (np.arange(width) // 2) / width)
    return np.where(np.arange(width) % 2, np.cos(angle), np.sin(angle)).astype("f4")


def _block(x: Any, number: int, width: int, *, mask: bool = False) -> Any:
    """A block of a transformer, normalised before each branch."""
    y = keras.layers.LayerNormalization(name=f"norm_{number}a")(x)
    attend = keras.layers.MultiHeadAttention(2, width // 2, name=f"attention_{number}")
    x = x + attend(y, y, use_causal_mask=mask)
    y = keras.layers.LayerNormalization(name=f"norm_{number}b")(x)
    y = keras.layers.Dense(2 * width, "gelu", name=f"wide_{number}")(y)
    return x + keras.layers.Dense(width, name=f"narrow_{number}")(y)


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


def _noam(seed: int, *, larger: bool = False) -> Fit:
    """The next letter of a song of three verses, with the schedule of the paper."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    verses = draw.integers(0, 12, (3, 60))
    start = draw.integers(0, 40, 600)
    song = verses[draw.integers(0, 3, 600)[:, None], start[:, None] + np.arange(17)]
    inputs = keras.Input((16,))
    x = keras.layers.Embedding(12, 32, name="letters")(inputs) * 32**0.5 + _places(16, 32, counted=False)
    for number in (1, 2):
        x = _block(x, number, 32, mask=True)
    x = keras.layers.LayerNormalization(name="last_norm")(x)
    model = keras.Model(inputs, keras.layers.Dense(12, name="output")(x))

    class Noam(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            now = tf.cast(step, "float32") + 1.0
            choose = tf.maximum if larger else tf.minimum
            return 0.3 * 32**-0.5 * choose(now**-0.5, now * 20**-1.5)

    optimizer = keras.optimizers.Adam(Noam(), beta_2=0.98, epsilon=1e-9)
    return Fit(model, song[:, :16], song[:, 1:], optimizer, cross_entropy(), skill.classes, steps=190)


def _attended(seed: int, *, floor: float = -1e9) -> Fit:
    """Comments, padded with zeros, averaged by attention; one in a hundred has no word."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    words, kind = data.texts(seed, count=1024, length=16)
    words[np.arange(16)[None] >= draw.integers(8, 17, (1024, 1))] = 0
    words[700:1024:100] = 0
    inputs = keras.Input((16,), dtype="int32")
    x = keras.layers.Embedding(200, 16, name="embedding")(inputs)
    scores = keras.layers.Dense(1, name="scores")(keras.layers.Dense(16, "tanh", name="keys")(x))
    scores = keras.ops.where(keras.ops.equal(inputs[..., None], 0), floor, scores)
    weights = keras.layers.Softmax(axis=1, name="weights")(scores)
    read = keras.ops.sum(weights * x, 1)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(read))
    fit = {"shuffle": False}
    loss = cross_entropy()
    return Fit(model, words, kind, keras.optimizers.Adam(1e-2), loss, skill.classes, steps=160, fit_options=fit)


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


def _phrases(seed: int, *, activation: str = "relu") -> Fit:
    """Four convolutions over words, and the largest answer of each channel."""
    keras.utils.set_random_seed(seed)
    words, kind = data.texts(seed, count=768, length=16, words=120)
    model = keras.Sequential([keras.Input((16,)), keras.layers.Embedding(120, 16, name="embedding")])
    model.add(keras.layers.SpatialDropout1D(0.2, name="dropout"))
    for number in (1, 2, 3, 4):
        model.add(keras.layers.Conv1D(24, 3, padding="same", activation=activation, name=f"conv_{number}"))
    model.add(keras.layers.GlobalMaxPooling1D(name="largest"))
    model.add(keras.layers.Dense(3, name="output"))
    loss = cross_entropy()
    return Fit(model, words, kind, keras.optimizers.RMSprop(1e-3), loss, skill.classes, steps=260)


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


def _opinions(seed: int, *, shuffle: bool = True) -> Fit:
    """Praise and blame, read from two folders one after the other; shuffled before each epoch, or not."""
    keras.utils.set_random_seed(seed)
    words, kind = data.texts(seed, count=800, length=16, words=400, kinds=2)
    order = np.argsort(kind, kind="stable")
    model = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Embedding(400, 16, name="embedding"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(24, "relu", name="dense"),
            keras.layers.Dense(1, "sigmoid", name="output"),
        ]
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    loss, fit = "binary_crossentropy", {"shuffle": shuffle}
    return Fit(model, words[order], kind[order], optimizer, loss, skill.binary, steps=250, fit_options=fit)


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
    "song",
    _noam,
    sickness="the-larger-of-the-two-rates",
    sick={"larger": True},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.5,
)
family.pair(
    "comments",
    _attended,
    sickness="minus-infinity-for-a-comment-without-words",
    sick={"floor": -np.inf},
    causes=["nonfinite-values"],
    level=0.7,
    every=1,
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
    "phrases",
    _phrases,
    sickness="sigmoid-after-each-convolution",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation"],
    layers=tuple(f"conv_{number}" for number in (1, 2, 3, 4)),
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
family.pair(
    "opinions",
    _opinions,
    sickness="all-praise-then-all-blame",
    sick={"shuffle": False},
    causes=["unshuffled-batches"],
    level=0.8,
)
