"""Codes that are near where examples are alike, and students who learn from a teacher's answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Loop

family = Family("similarity", half="think")


def _two_crops(seed: int, *, activation: str = "relu") -> Loop:
    """Two noisy, shifted views of a digit are to find each other among the others' (SimCLR)."""
    keras.utils.set_random_seed(seed)
    pictures = np.pad(data.digits()[0].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(96, activation, name="encoder_1"),
            keras.layers.Dense(64, activation, name="encoder_2"),
            keras.layers.Dense(32, activation, name="projector_1"),
            keras.layers.Dense(16, name="projector_2"),
        ]
    )

    def view(draw: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        down, right = draw.integers(0, 3, 2)
        seen = pictures[rows, down : down + 8, right : right + 8].reshape(len(rows), 64)
        return (seen + draw.normal(0, 0.05, seen.shape)).astype("f4")

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.choice(len(pictures), 64, replace=False)
        return view(draw, rows), view(draw, rows)

    def alike(one: Any, other: Any) -> Any:
        codes = [tf.math.l2_normalize(model(seen, training=True), -1) for seen in (one, other)]
        return tf.matmul(*codes, transpose_b=True)

    def forward(one: Any, other: Any) -> Any:
        own = tf.range(tf.shape(one)[0])
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(own, alike(one, other) / 0.1))

    def score() -> float:
        draw = np.random.default_rng(77)
        rows = draw.choice(len(pictures), 64, replace=False)
        one, other = view(draw, rows), view(draw, rows)
        return float((alike(one, other).numpy().argmax(-1) == np.arange(64)).mean())

    return Loop(model, keras.optimizers.Adam(4e-3), batches, forward, score, steps=400, seed=seed)


def _triplets(seed: int, *, rate: float = 0.1) -> Loop:
    """Anchor, one of its kind, one of another kind; squared distances and a margin of 1."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    of_kind = [np.flatnonzero(y == kind) for kind in range(10)]
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu", name="hidden_1"),
            keras.layers.Dense(64, "relu", name="hidden_2"),
            keras.layers.Dense(8, name="code"),
        ]
    )

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        anchors = draw.integers(0, len(x), 48)
        kinds = y[anchors]
        others = (kinds + draw.integers(1, 10, 48)) % 10
        same, different = ([draw.choice(of_kind[k]) for k in ks] for ks in (kinds, others))
        return x[anchors], x[same], x[different]

    def forward(anchor: Any, same: Any, different: Any) -> Any:
        a, s, d = (model(part, training=True) for part in (anchor, same, different))
        gap = tf.reduce_sum((a - s) ** 2, -1) - tf.reduce_sum((a - d) ** 2, -1)
        return tf.reduce_mean(tf.nn.relu(gap + 1.0))

    def score() -> float:
        codes = model(x).numpy()
        centres = np.stack([codes[rows].mean(0) for rows in of_kind])
        return skill.classes(y, -np.linalg.norm(codes[:, None] - centres, axis=-1))

    return Loop(model, keras.optimizers.SGD(rate), batches, forward, score, steps=400, seed=seed)


def _student(seed: int, *, output: str | None = None) -> Loop:
    """A small student hears a teacher's softened answers, temperature 4; one label in five is wrong besides."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    draw = np.random.default_rng(seed)
    told = np.where(draw.random(len(y)) < 0.2, draw.integers(0, 10, len(y)), y).astype("i4")
    centres = np.stack([x[y == kind].mean(0) for kind in range(10)])
    teacher = (-2.0 * ((x[:, None] - centres) ** 2).sum(-1)).astype("f4")
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(16, "elu", name="hidden_1"),
            keras.layers.Dense(16, "elu", name="hidden_2"),
            keras.layers.Dense(10, output, name="answer"),
        ]
    )

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 32)
        return x[rows], teacher[rows], told[rows]

    def forward(seen: Any, teacher: Any, told: Any) -> Any:
        said = model(seen, training=True)
        soft = tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher / 4), said / 4)
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(told, said)
        return tf.reduce_mean(16 * 0.7 * soft + 0.3 * hard)

    def score() -> float:
        return skill.classes(y, model(x).numpy())

    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    return Loop(model, optimizer, batches, forward, score, steps=300, seed=seed)


family.pair(
    "two-crops",
    _two_crops,
    sickness="sigmoid-in-encoder-and-projector",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "collapsed-representation"],
    level=0.4,
)
family.pair(
    "triplets",
    _triplets,
    sickness="rate-twentyfold",
    sick={"rate": 2.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "student",
    _student,
    sickness="softmax-before-the-temperature",
    sick={"output": "softmax"},
    causes=["misplaced-softmax", "mismatched-loss"],
    layers=("answer",),
    level=0.7,
)
