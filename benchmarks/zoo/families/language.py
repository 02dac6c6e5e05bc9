"""Words: frozen word vectors, padding, positions, a small transformer."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("language", half="think")


def _vectors(seed: int, *, loaded: bool = True) -> Fit:
    """Word vectors come from elsewhere and stay as they are."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed)
    inputs = keras.Input((x.shape[1],))
    table = keras.layers.Embedding(200, 32, trainable=False, name="words", embeddings_initializer="zeros")
    found = table(inputs)
    if loaded:
        table.set_weights([np.random.default_rng(3).normal(0, 0.3, (200, 32)).astype("f4")])
    hidden = keras.layers.Conv1D(32, 3, activation="relu", name="phrases")(found)
    hidden = keras.layers.GlobalMaxPooling1D()(hidden)
    hidden = keras.layers.Dense(32, "relu", name="hidden")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=350)


def _padded(seed: int, *, mask: bool = True) -> Fit:
    """Sentences of six words in rows of thirty."""
    keras.utils.set_random_seed(seed)
    words, y = data.texts(seed, length=6, words=60)
    x = np.zeros((len(words), 30), "i4")
    x[:, :6] = words
    inputs = keras.Input((30,))
    found = keras.layers.Embedding(60, 16, mask_zero=mask, name="words")(inputs)
    last = keras.layers.SimpleRNN(24, name="reader")(found)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(last))
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=250)


def _last_word(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    words = draw.integers(0, 24, (1024, 10)).astype("i4")
    return words, (words[:, -1] // 6).astype("i4")


def _transformer(seed: int, *, unit: float = 0.0) -> Fit:
    """What kind of word comes last? The order is told by learned positions, or by the place in so many units."""
    keras.utils.set_random_seed(seed)
    x, y = _last_word(seed)
    inputs = keras.Input((10,))
    words = keras.layers.Embedding(24, 32, name="words")(inputs)
    places = np.tile(np.arange(10), (len(x), 1)).astype("i4")
    where = keras.Input((10,))
    learned = keras.layers.Embedding(10, 32, name="places")(where)
    stream = words + learned + unit * keras.ops.cast(where, "float32")[..., None]
    for number in (1, 2):
        seen = keras.layers.LayerNormalization(name=f"norm_{number}a")(stream)
        stream += keras.layers.MultiHeadAttention(2, 16, dropout=0.1, name=f"attention_{number}")(seen, seen)
        seen = keras.layers.LayerNormalization(name=f"norm_{number}b")(stream)
        seen = keras.layers.Dense(64, "gelu", name=f"wide_{number}")(seen)
        stream += keras.layers.Dense(32, name=f"narrow_{number}")(seen)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization(name="norm")(stream))
    model = keras.Model([inputs, where], keras.layers.Dense(4, name="output")(pooled))
    return Fit(model, [x, places], y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, steps=300)


family.pair(
    "vectors",
    _vectors,
    sickness="word-vectors-never-loaded",
    sick={"loaded": False},
    causes=["constant-output", "collapsed-representation", "vanishing-gradient", "badly-scaled-input"],
    layers=("words", "phrases"),
    level=0.6,
)
