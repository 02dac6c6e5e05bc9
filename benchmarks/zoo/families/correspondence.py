"""Mails and other short texts: word vectors, gated recurrence, attention, a letter at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("correspondence", half="think")


def _spam(seed: int, *, rate: float = 3e-3) -> Fit:
    """One mail in fifteen is spam; an average of word vectors."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    y = (draw.random(900) < 1 / 15).astype("f4")
    common, loud = draw.integers(1, 120, (900, 24)), draw.integers(120, 150, (900, 24))
    x = np.where(draw.random((900, 24)) < np.where(y, 0.4, 0.08)[:, None], loud, common).astype("i4")
    model = keras.Sequential(
        [
            keras.Input((24,), dtype="int32"),
            keras.layers.Embedding(150, 16, name="words"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(16, "relu", name="hidden"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, "sigmoid", name="output"),
        ]
    )
    return Fit(model, x, y, keras.optimizers.AdamW(rate), "binary_crossentropy", skill.binary, steps=500)


def _desk(seed: int, *, raw: bool = False) -> Fit:
    """Which of three desks a mail is for."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed, 900, 14, 180)
    inputs = keras.Input((14,))
    words = keras.layers.Reshape((14, 1))(inputs) if raw else keras.layers.Embedding(180, 16, name="words")(inputs)
    last = keras.layers.GRU(24, name="reader")(words)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="output")(last))
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, keras.optimizers.RMSprop(3e-3), loss, skill.classes, steps=240)


def _address_book(seed: int, *, start: str = "glorot_uniform") -> Fit:
    """Six people, each with one of three towns; asked is where one of them lives."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    people = draw.permuted(np.tile(np.arange(6), (1024, 1)), axis=1)
    towns = draw.integers(0, 3, (1024, 6))
    place = draw.integers(0, 6, 1024)
    rows = np.arange(1024)
    entries = np.concatenate([np.eye(6)[people], np.eye(3)[towns]], -1).astype("f4")
    asked = np.eye(6, dtype="f4")[people[rows, place]]
    book, who = keras.Input((6, 9), name="book"), keras.Input((6,), name="who")
    query = keras.layers.Dense(16, kernel_initializer=start, name="query")(who)
    key = keras.layers.Dense(16, kernel_initializer=start, name="key")(book)
    value = keras.layers.Dense(16, name="value")(book)
    found = keras.layers.Attention(name="attend")([keras.layers.Reshape((1, 16))(query), value, key])
    x = keras.layers.Dense(32, "gelu", name="hidden")(keras.layers.Flatten()(found))
    model = keras.Model([book, who], keras.layers.Dense(3, name="output")(x))
    y = towns[rows, place].astype("i4")
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 640))
    return Fit(model, [entries, asked], y, optimizer, cross_entropy(), skill.classes, steps=640)


def _letters(seed: int, *, penalty: float = 1e-6) -> Fit:
    """The next letter of a made-up language in which each letter has two usual followers."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    followers = np.stack([draw.permutation(14), draw.permutation(14)], 1)
    text = [0]
    while len(text) < 4000:
        roll = draw.random()
        text.append(int(followers[text[-1], int(roll > 0.75)] if roll < 0.95 else draw.integers(14)))
    windows = np.lib.stride_tricks.sliding_window_view(np.array(text, "i4"), 13)[::5]
    x, y = windows[:, :-1], windows[:, 1:]
    inputs = keras.Input((12,), dtype="int32")
    letters = keras.layers.Embedding(14, 10, name="letters")(inputs)
    held = keras.regularizers.L2(penalty)
    states = keras.layers.LSTM(
        28, return_sequences=True, kernel_regularizer=held, recurrent_regularizer=held, name="memory"
    )(letters)
    model = keras.Model(inputs, keras.layers.Dense(14, kernel_regularizer=held, name="output")(states))
    optimizer = keras.optimizers.Nadam(4e-3, clipnorm=1.0)

    def score(truth: Any, made: Any) -> float:
        chance = np.take_along_axis(made - np.log(np.exp(made).sum(-1, keepdims=True)), truth[..., None], -1)
        return float(1 + chance.mean() / np.log(14))

    return Fit(model, x, y, optimizer, cross_entropy(), score, steps=300)


def _encoder(seed: int, *, over: bool = True) -> Fit:
    """Two encoder blocks, the norm behind each sum, and the rate of "Attention is all you need"."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed, 900, 16, 160, 4)
    width, warm_up = 24, 250.0

    class Noam(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, "float32") + 1
            of_width = width**-0.5 if over else width**0.5
            return of_width * tf.minimum(step**-0.5, step * warm_up**-1.5)

        def get_config(self) -> dict[str, Any]:
            return {}

    inputs = keras.Input((16,), dtype="int32")
    h = keras.layers.Embedding(160, width, name="words")(inputs)
    for number in (1, 2):
        mixed = keras.layers.MultiHeadAttention(2, 12, dropout=0.1, name=f"attention_{number}")(h, h)
        h = keras.layers.LayerNormalization(name=f"norm_{number}")(h + mixed)
        wide = keras.layers.Dense(48, "relu", name=f"wide_{number}")(h)
        narrow = keras.layers.Dense(width, name=f"narrow_{number}")(wide)
        h = keras.layers.LayerNormalization(name=f"last_norm_{number}")(h + narrow)
    pooled = keras.layers.GlobalAveragePooling1D()(h)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(pooled))
    optimizer = keras.optimizers.Adam(Noam(), beta_2=0.98, epsilon=1e-9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=450)


family.pair(
    "spam",
    _spam,
    sickness="rate-for-fine-tuning",
    sick={"rate": 2e-5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "desk",
    _desk,
    sickness="word-numbers-for-vectors",
    sick={"raw": True},
    causes=["badly-scaled-input"],
    layers=("reader",),
    level=0.7,
)
family.pair(
    "address-book",
    _address_book,
    sickness="queries-and-keys-start-at-zero",
    sick={"start": "zeros"},
    causes=["symmetric-weights", "unchanged-weights", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("query", "key"),
    level=0.8,
)
family.pair(
    "letters",
    _letters,
    sickness="l2-of-a-tenth",
    sick={"penalty": 0.1},
    causes=["shrunken-weights"],
    layers=("memory", "output"),
    level=0.4,
)
family.pair(
    "encoder",
    _encoder,
    sickness="times-the-root-of-the-width",
    sick={"over": False},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
