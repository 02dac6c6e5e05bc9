"""Graphs: persons who know each other, and molecules with a measured energy."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("molecules", half="think")


def _persons(seed: int, *, loops: float = 1.0) -> Loop:
    """Which of four clubs a person is in; a few know nobody. Two rounds of D^-1/2 A D^-1/2 H W."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    club = draw.integers(0, 4, 300).astype("i4")
    known = draw.random((300, 300)) < np.where(club[:, None] == club[None], 0.06, 0.006)
    known = np.triu(known, 1)
    known[:, -3:] = False
    adjacency = (known + known.T + loops * np.eye(300)).astype("f4")
    x = (np.eye(4, 16)[club] + draw.normal(0, 1.0, (300, 16))).astype("f4")
    people, links = keras.Input((16,)), keras.Input((300,))
    h = people
    for number, width in ((1, 32), (2, 16)):
        h = keras.layers.Dense(width, use_bias=False, name=f"round_{number}")(h)
        h = keras.layers.ReLU(name=f"relu_{number}")(keras.ops.matmul(links, h))
    model = keras.Model([people, links], keras.layers.Dense(4, name="club")(h))

    def forward(x: Any, adjacency: Any) -> Any:
        root = tf.math.rsqrt(tf.reduce_sum(adjacency, -1))
        logits = model([x, root[:, None] * adjacency * root], training=True)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(club, logits))

    def score() -> float:
        root = 1 / np.sqrt(adjacency.sum(-1))
        return skill.classes(club, model([x, (root[:, None] * adjacency * root)]).numpy())

    optimizer = keras.optimizers.Adam(1e-2, weight_decay=5e-4)
    return Loop(model, optimizer, lambda _: (x, adjacency), forward, score, steps=150, seed=seed)


def _energies(seed: int, *, zero: float = 0.0) -> Fit:
    """The energy of ten atoms and their bonds; messages are averaged, atoms summed."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, (900, 10))
    bonds = np.triu(draw.random((900, 10, 10)) < 0.25, 1)
    bonds = bonds | bonds.transpose(0, 2, 1)
    strength = np.array([[0.0, 1, 0.5, -1], [1, 0.3, -0.5, 0], [0.5, -0.5, 1, 0.2], [-1, 0, 0.2, -0.4]])
    y = (strength[kind[:, :, None], kind[:, None]] * bonds).sum((1, 2)) / 2
    y = (y - y.mean()) / y.std() + zero
    atoms, links = keras.Input((10, 4), name="atoms"), keras.Input((10, 10), name="bonds")
    h = keras.layers.Dense(32, "silu", name="kind")(atoms)
    for number in (1, 2):
        told = keras.ops.matmul(links, keras.layers.Dense(32, name=f"message_{number}")(h)) / 3
        h = keras.layers.Dense(32, "silu", name=f"update_{number}")(keras.layers.Concatenate()([h, told]))
    each = keras.layers.Dense(1, name="energy_of_an_atom")(h)
    model = keras.Model([atoms, links], keras.ops.mean(each, axis=1))
    x = [np.eye(4, dtype="f4")[kind], bonds.astype("f4")]
    optimizer = keras.optimizers.Adam(3e-3)
    return Fit(model, x, y.astype("f4")[:, None], optimizer, "mse", skill.fit_of, steps=500)


family.pair(
    "persons",
    _persons,
    sickness="who-knows-nobody-divided-by-zero",
    sick={"loops": 0.0},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "energies",
    _energies,
    sickness="offset-of-all-molecules-left-in",
    sick={"zero": -400.0},
    causes=["badly-scaled-target"],
    level=0.7,
)
