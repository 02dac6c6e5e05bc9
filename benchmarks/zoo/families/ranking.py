"""Recommenders: two towers with negatives of the batch, and factors of a table of ratings."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("ranking", half="think")


def _towers(seed: int, *, decay: float = 1e-6, users: int = 150, items: int = 200) -> Loop:
    """Softmax over the items of the batch. Its skill is how often a liked item scores above another, chance off."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    taste = draw.normal(size=(users, 3)) @ draw.normal(size=(3, items)) + draw.gumbel(size=(users, items))
    liked = np.argsort(-taste, 1)[:, :15]
    layers = keras.layers

    def tower(name: str, count: int) -> tuple[Any, Any]:
        number = keras.Input((), dtype="int32", name=name)
        table = layers.Embedding(count, 16, embeddings_regularizer=keras.regularizers.L2(decay), name=f"{name}_table")
        hidden = layers.Dense(24, "relu", name=f"{name}_hidden")(table(number))
        return number, layers.Dense(12, name=f"{name}_tower")(hidden)

    (user, left), (item, right) = tower("user", users), tower("item", items)
    model = keras.Model([user, item], [left, right])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        who = draw.integers(0, users, 64)
        return who.astype("i4"), liked[who, draw.integers(0, 15, 64)].astype("i4")

    def forward(who: Any, what: Any) -> Any:
        left, right = model([who, what], training=True)
        logits = tf.matmul(left, right, transpose_b=True)
        own = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(len(who)), logits)
        return tf.reduce_mean(own) + tf.add_n(model.losses)

    def score() -> float:
        draw = np.random.default_rng(5)
        who = draw.integers(0, users, 3000)
        good, other = liked[who, draw.integers(0, 15, 3000)], draw.integers(0, items, 3000)
        left, right = model.predict([who, good], verbose=0, batch_size=3000)
        _, wrong = model.predict([who, other], verbose=0, batch_size=3000)
        gap = ((right - wrong) * left).sum(-1)
        return float(2 * (np.mean(gap > 0) + 0.5 * np.mean(gap == 0)) - 1) if np.isfinite(gap).all() else float("nan")

    return Loop(model, keras.optimizers.Adam(5e-3), batches, forward, score, steps=600, seed=seed)


family.pair(
    "two-towers",
    _towers,
    sickness="l2-of-1-on-the-tables",
    sick={"decay": 1.0},
    causes=["shrunken-weights"],
    layers=("user_table", "item_table"),
)


def _factors(seed: int, *, start: Any = "uniform", users: int = 80, items: int = 60) -> Fit:
    """Ratings about 3 by the dot product of two factors and two biases."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    taste = draw.normal(size=(users, 3)) @ draw.normal(size=(3, items)) / 3**0.5
    who, what = draw.integers(0, users, 3000), draw.integers(0, items, 3000)
    ratings = 3 + taste[who, what] + 0.2 * draw.normal(size=3000)
    layers = keras.layers
    user, item = keras.Input((), dtype="int32", name="user"), keras.Input((), dtype="int32", name="item")
    left = layers.Embedding(users, 8, start, name="user_factors")(user)
    right = layers.Embedding(items, 8, start, name="item_factors")(item)
    leanings = [
        layers.Embedding(users, 1, "zeros", name="user_leaning")(user),
        layers.Embedding(items, 1, "zeros", name="item_leaning")(item),
    ]
    match = layers.Dot(-1, name="match")([left, right])
    rating = layers.Add(name="rating")([match, *leanings])
    return Fit(
        keras.Model([user, item], rating), [who, what], ratings.astype("f4")[:, None], keras.optimizers.Adam(0.01),
        "mse", skill.fit_of, steps=900, batch_size=64,
    )  # fmt: skip


family.pair(
    "ratings-factors",
    _factors,
    sickness="factors-that-start-at-zero",
    sick={"start": "zeros"},
    causes=["symmetric-weights", "gain-mismatch:too-small", "vanishing-gradient"],
    layers=("user_factors", "item_factors", "match"),
)
