"""Dispatches of a newsroom: embeddings, recurrent networks and attention over words and letters."""

from __future__ import annotations

import numpy as np

from zoo import skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("newsroom", half="think")


def _claims(seed: int, count: int = 1024, length: int = 14, words: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Word numbers ``[count, length]``, and whether word 1 (not) comes right before any of the words 2 to 6 (true)."""
    draw = np.random.default_rng(seed)
    x = draw.integers(7, words, (count, length))
    rows, place = np.arange(count), draw.integers(1, length, count)
    x[rows, place] = draw.integers(2, 7, count)
    no = draw.random(count) < 0.5
    x[rows, np.where(no, place - 1, (place + draw.integers(1, length - 1, count)) % length)] = 1
    return x.astype("i4"), no.astype("f4")[:, None]


def _sentences(seed: int, count: int = 400, length: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Windows of letters ``[count, length]`` of a made-up tongue of twelve words, and the letters that follow."""
    words = ["dor", "akumi", "sel", "vento", "mira", "tak", "oru", "belan", "si", "quor", "zefi", "lund"]
    draw = np.random.default_rng(seed)
    text = " ".join(words[n] for n in draw.choice(12, 4000, p=np.arange(1, 13) / 78))
    letters = {letter: number for number, letter in enumerate(sorted(set(text)))}
    codes = np.array([letters[letter] for letter in text], "i4")
    starts = draw.integers(0, len(codes) - length - 1, count)
    windows = codes[starts[:, None] + np.arange(length + 1)]
    return windows[:, :-1], windows[:, 1:]


def _tags(seed: int, count: int = 900, words: int = 300, tags: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Counts of words in dispatches, mostly 0, and which of the tags apply: about four of them."""
    draw = np.random.default_rng(seed)
    y = draw.random((count, tags)) < 0.33
    own = np.random.default_rng(7).random((tags, words)) < 0.04
    x = draw.poisson(0.02 + 0.5 * (y @ own.astype("f4")))
    return np.log1p(x).astype("f4"), y.astype("f4")


def _negations(seed: int, *, rate: float = 2e-3) -> Fit:
    """Two blocks of attention, normalised before."""
    keras.utils.set_random_seed(seed)
    x, y = _claims(seed)
    inputs = keras.Input(x.shape[1:], dtype="int32")
    places = keras.layers.Embedding(x.shape[1], 24, name="places")(keras.ops.arange(x.shape[1]))
    states = keras.layers.Embedding(60, 24, name="words")(inputs) + places
    for number in (1, 2):
        normal = keras.layers.LayerNormalization(name=f"norm_{number}")(states)
        states += keras.layers.MultiHeadAttention(2, 12, name=f"attention_{number}")(normal, normal)
        normal = keras.layers.LayerNormalization(name=f"norm_{number}b")(states)
        wide = keras.layers.Dense(48, "gelu", name=f"wide_{number}")(normal)
        states += keras.layers.Dense(24, name=f"back_{number}")(wide)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization(name="norm")(states))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(pooled))
    return Fit(model, x, y, keras.optimizers.Adam(rate), "binary_crossentropy", skill.binary, steps=400)


def _letters(seed: int, *, clip: float = 1.0) -> Fit:
    """Which letter comes next, with plain descent and clipped gradients."""
    keras.utils.set_random_seed(seed)
    x, y = _sentences(seed)
    inputs = keras.Input((None,), dtype="int32")
    states = keras.layers.GRU(48, return_sequences=True, name="gru")(
        keras.layers.Embedding(22, 16, name="letters")(inputs)
    )
    model = keras.Model(inputs, keras.layers.Dense(22, name="output")(states))
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9, global_clipnorm=clip)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=400)


def _labels(seed: int, *, activation: str = "sigmoid") -> Fit:
    """Several tags may apply at once."""
    keras.utils.set_random_seed(seed)
    x, y = _tags(seed)
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Dense(64, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(12, activation, name="output")(keras.layers.Dropout(0.3)(hidden)))
    return Fit(model, x, y, keras.optimizers.Nadam(2e-3), "binary_crossentropy", skill.binary, steps=320)


def _opening(seed: int, *, recurrent: str = "orthogonal") -> Fit:
    """The desk stands in the first three words; the rest of the dispatch is the same for all desks."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.integers(9, 50, (768, 60))
    y = draw.integers(0, 3, 768)
    x[:, :3] = 3 * draw.integers(0, 3, (768, 3)) + y[:, None]
    inputs = keras.Input((60,), dtype="int32")
    words = keras.layers.Embedding(50, 12, name="words")(inputs)
    last = keras.layers.SimpleRNN(24, recurrent_initializer=recurrent, name="memory")(words)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(last))
    return Fit(model, x.astype("i4"), y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, steps=264)


def _phrases(seed: int, *, penalty: float = 0.0) -> Fit:
    """Convolutions two, three and four words wide, side by side."""
    keras.utils.set_random_seed(seed)
    x, y = _claims(seed, length=20)
    inputs = keras.Input(x.shape[1:], dtype="int32")
    words = keras.layers.Embedding(60, 16, name="words")(inputs)
    widths = [
        keras.layers.GlobalMaxPooling1D()(
            keras.layers.Conv1D(
                16, width, activation="relu", kernel_regularizer=keras.regularizers.L1(penalty), name=f"width_{width}"
            )(words)
        )
        for width in (2, 3, 4)
    ]
    hidden = keras.layers.Dropout(0.3)(keras.layers.Concatenate()(widths))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.RMSprop(3e-3), "binary_crossentropy", skill.binary, steps=400)


family.pair(
    "negations",
    _negations,
    sickness="rate-of-a-twentieth-with-adam",
    sick={"rate": 0.05},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "letters",
    _letters,
    sickness="clipped-to-a-two-hundredth",
    sick={"clip": 0.005},
    causes=["permanent-clipping"],
    level=0.4,
)
family.pair(
    "labels",
    _labels,
    sickness="softmax-over-tags-that-may-all-apply",
    sick={"activation": "softmax"},
    causes=["misplaced-softmax", "mismatched-loss"],
    layers=("output",),
    level=0.6,
)
family.pair(
    "opening",
    _opening,
    sickness="recurrent-weights-random-normal",
    sick={"recurrent": "random_normal"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=("memory", "words"),
    level=0.7,
)
family.pair(
    "phrases",
    _phrases,
    sickness="l1-of-a-twentieth",
    sick={"penalty": 0.05},
    causes=["shrunken-weights"],
    layers=("width_2", "width_3", "width_4"),
    level=0.7,
)
