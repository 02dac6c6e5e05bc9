"""Graphs by their dense adjacency, and sets without order."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("graphs", half="think")


def _communities(seed: int, nodes: int = 240, kinds: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adjacency with loops ``[nodes, nodes]``, features ``[nodes, 12]`` and the community of every node."""
    draw = np.random.default_rng(seed)
    y = draw.integers(0, kinds, nodes)
    edges = draw.random((nodes, nodes)) < np.where(y[:, None] == y, 0.3, 0.05)
    adjacency = np.triu(edges, 1)
    adjacency = (adjacency | adjacency.T | np.eye(nodes, dtype=bool)).astype("f4")
    centres = np.random.default_rng(99).normal(size=(kinds, 12))
    return adjacency, (centres[y] * 0.5 + draw.normal(size=(nodes, 12))).astype("f4"), y


def _graph_network(
    seed: int,
    *,
    depth: int = 3,
    normalised: bool = True,
    skips: bool = False,
    optimizer: str = "Adam",
    rate: float = 0.01,
    steps: int = 200,
) -> Loop:
    """Graph convolutions (Kipf and Welling 2017), the whole graph at every step."""
    keras.utils.set_random_seed(seed)
    adjacency, x, y = _communities(seed)
    if normalised:
        degree = adjacency.sum(1) ** -0.5
        adjacency = degree[:, None] * adjacency * degree
    edges = tf.constant(adjacency)

    class GraphConvolution(keras.layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = units

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight((shape[-1], self.units), "glorot_uniform", name="kernel")
            self.bias = self.add_weight((self.units,), "zeros", name="bias")

        def call(self, nodes: Any) -> Any:
            return tf.nn.relu(tf.matmul(edges, nodes @ self.kernel) + self.bias)

    inputs = keras.Input((12,), batch_size=len(x))
    stream = keras.layers.Dense(24, name="lift")(inputs)
    for number in range(1, depth + 1):
        passed = GraphConvolution(24, name=f"graph_{number}")(stream)
        stream = stream + passed if skips else passed
        stream = keras.layers.Dropout(0.2, name=f"dropout_{number}")(stream)
    model = keras.Model(inputs, keras.layers.Dense(3, name="community")(stream))
    loss = cross_entropy()
    return Loop(
        model, getattr(keras.optimizers, optimizer)(rate), lambda _draw: (x, y),
        lambda nodes, truth: loss(truth, model(nodes, training=True)),
        lambda: skill.classes(y, model(x).numpy()), steps=steps, seed=seed,
    )  # fmt: skip


family.pair(
    "communities",
    _graph_network,
    sickness="adjacency-not-normalised",
    healthy={"optimizer": "SGD", "rate": 0.2, "depth": 4, "steps": 450},
    sick={"normalised": False},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=[f"graph_{number}" for number in range(1, 5)],
    level=0.8,
)
family.pair(
    "communities-deep",
    _graph_network,
    sickness="skips-forgotten",
    healthy={"depth": 16, "skips": True, "rate": 1e-3},
    sick={"skips": False},
    causes=["collapsed-representation", "vanishing-gradient"],
    layers=[f"graph_{number}" for number in range(1, 17)],
    level=0.8,
    every=5,
)


def _set(seed: int, *, pooling: str = "mean", members: int = 200) -> Fit:
    """How far a cloud of points spreads, from its points in no order (Zaheer et al. 2017)."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    spread = draw.uniform(0.3, 2, 500)
    x = (spread[:, None, None] * draw.normal(size=(500, members, 2))).astype("f4")
    layers = keras.layers
    inputs = keras.Input((members, 2))
    points = layers.Dense(24, "relu", name="point_2")(layers.Dense(24, "relu", name="point_1")(inputs))
    pooled = getattr(keras.ops, pooling)(points, 1)
    model = keras.Model(inputs, layers.Dense(1, name="spread")(layers.Dense(24, "relu", name="whole")(pooled)))
    y = ((spread - spread.mean()) / spread.std()).astype("f4")[:, None]
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, "mae", skill.fit_of, steps=300, batch_size=20)


family.pair(
    "set-of-points",
    _set,
    sickness="summed-over-200-members",
    sick={"pooling": "sum"},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    level=0.7,
)
