"""A library's lending desk: when books come back, what they are about, and who reads what."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.nets import normal
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("lending", half="test")


def _loans(seed: int, count: int = 1600) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Branch, kind of book, and four measures of a loan; and for how many weeks it lasts."""
    draw = np.random.default_rng(seed)
    fixed = np.random.default_rng(7)
    branch, kind = draw.integers(0, 12, count), draw.integers(0, 30, count)
    measures = draw.normal(size=(count, 4))
    weeks = 3 + fixed.normal(0, 0.8, 12)[branch] + fixed.normal(0, 1.0, 30)[kind]
    weeks += 0.9 * np.tanh(measures[:, 0] * measures[:, 1]) - 0.6 * measures[:, 2] + draw.normal(0, 0.3, count)
    x = {"branch": branch.astype("i4"), "kind": kind.astype("i4"), "measures": measures.astype("f4")}
    return x, weeks.clip(0.1).astype("f4")[:, None]


def _due_back(seed: int, *, unit: float = 1.0) -> Fit:
    """For how long a book is kept: embeddings beside measures, Huber's loss, AdamW."""
    keras.utils.set_random_seed(seed)
    x, weeks = _loans(seed)
    branch = keras.Input((), name="branch", dtype="int32")
    kind = keras.Input((), name="kind", dtype="int32")
    measures = keras.Input((4,), name="measures")
    parts = [
        keras.layers.Embedding(12, 4, name="branches")(branch),
        keras.layers.Embedding(30, 6, name="kinds")(kind),
        measures,
    ]
    hidden = keras.layers.Concatenate()(parts)
    hidden = keras.layers.Dense(48, "relu", name="hidden_1")(hidden)
    hidden = keras.layers.Dense(48, "relu", name="hidden_2")(hidden)
    model = keras.Model([branch, kind, measures], keras.layers.Dense(1, name="weeks")(hidden))
    optimizer = keras.optimizers.AdamW(3e-3, weight_decay=1e-3)
    return Fit(model, x, weeks * unit, optimizer, "huber", skill.fit_of, steps=400)


def _titles(seed: int, count: int = 1000, length: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Titles of 14 words, subject by subject as on the shelf; a third of the words are the subject's own."""
    draw = np.random.default_rng(seed)
    subject = np.sort(draw.integers(0, 5, count))
    own = 100 + 40 * subject[:, None] + draw.integers(0, 60, (count, length))
    words = np.where(draw.random((count, length)) < 0.35, own, draw.integers(0, 400, (count, length)))
    return words.astype("i4"), subject.astype("i4")


def _catalogue(seed: int, *, shuffle: bool = True) -> Fit:
    """A title's subject, by the mean over its words."""
    keras.utils.set_random_seed(seed)
    x, subject = _titles(seed)
    words = keras.Input((14,), dtype="int32")
    hidden = keras.layers.Embedding(400, 16, name="words")(words)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    hidden = keras.layers.Dense(24, "relu", name="title")(hidden)
    model = keras.Model(words, keras.layers.Dense(5, "softmax", name="subject")(hidden))
    optimizer = keras.optimizers.Adam(0.01)
    options = {"shuffle": shuffle}
    return Fit(
        model, x, subject, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=160, fit_options=options
    )


def _reminders(seed: int, *, total: float | None = None) -> Fit:
    """Which of the loans will be overdue, which are few: weighted against their number."""
    keras.utils.set_random_seed(seed)
    x, weeks = _loans(seed)
    late = (weeks[:, 0] > np.quantile(weeks, 0.88)).astype("i4")
    x = np.concatenate([np.eye(12)[x["branch"]], np.eye(30)[x["kind"]], x["measures"]], 1).astype("f4")
    inputs = keras.Input((46,))
    hidden = keras.layers.Dense(32, "elu", kernel_initializer="he_normal", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="late")(hidden))
    total = len(late) / 2 if total is None else total
    weights = {0: total / (late == 0).sum(), 1: total / (late == 1).sum()}
    optimizer = keras.optimizers.SGD(0.1)
    options = {"class_weight": weights}
    return Fit(
        model, x, late, optimizer, "binary_crossentropy", skill.binary, steps=500, batch_size=64, fit_options=options
    )


def _patrons(seed: int, *, start: float = 0.1) -> Loop:
    """How much a reader likes a book: the product of a factor of each, and what is common to all, by a tape."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    reader, book = draw.integers(0, 80, 4000), draw.integers(0, 60, 4000)
    tastes, styles = draw.normal(size=(80, 3)), draw.normal(size=(60, 3))
    marks = (tastes[reader] * styles[book]).sum(1) / 1.7 + draw.normal(0, 0.2, 4000)
    reader, book, marks = reader.astype("i4"), book.astype("i4"), marks.astype("f4")

    inputs = [keras.Input((), dtype="int32", name="reader"), keras.Input((), dtype="int32", name="book")]
    of_reader = keras.layers.Embedding(80, 8, embeddings_initializer=normal(start), name="tastes")(inputs[0])
    of_book = keras.layers.Embedding(60, 8, embeddings_initializer=normal(start), name="styles")(inputs[1])
    mark = keras.layers.Dot(-1)([of_reader, of_book])
    bias = keras.layers.Embedding(60, 1, embeddings_initializer="zeros", name="liked_by_all")(inputs[1])
    model = keras.Model(inputs, keras.layers.Add()([mark, bias]))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, 4000, 128)
        return reader[rows], book[rows], marks[rows]

    def forward(reader: Any, book: Any, marks: Any) -> Any:
        return tf.reduce_mean((model([reader, book], training=True)[:, 0] - marks) ** 2)

    return Loop(
        model,
        keras.optimizers.Adam(0.01),
        batches,
        forward,
        lambda: skill.fit_of(marks, model([reader, book])[:, 0]),
        steps=500,
        seed=seed,
    )


family.pair(
    "due-back",
    _due_back,
    sickness="weeks-in-seconds",
    sick={"unit": 604800.0},
    causes=["badly-scaled-target"],
    level=0.6,
)
family.pair(
    "catalogue",
    _catalogue,
    sickness="read-shelf-by-shelf",
    sick={"shuffle": False},
    causes=["unshuffled-batches"],
    level=0.6,
)
family.pair(
    "reminders",
    _reminders,
    sickness="weights-not-times-the-total",
    sick={"total": 1.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "patrons",
    _patrons,
    sickness="factors-of-zero",
    sick={"start": 0.0},
    causes=["symmetric-weights", "gain-mismatch:too-small", "vanishing-gradient"],
    layers=("tastes", "styles"),
    level=0.6,
)
