"""A trained trunk that is kept: low-rank adapters, and a loop that knows which variables it moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("adapters", half="think")


def _low_rank(seed: int, *, down: Any = "he_normal", rank: int = 8) -> Fit:
    """A frozen network learns other labels by low-rank adapters (Hu et al. 2022); the second factor starts at zero."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    base = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    )
    base.compile(keras.optimizers.Adam(3e-3), cross_entropy())
    base.fit(x, y, epochs=4, batch_size=64, verbose=0)

    class LowRank(keras.layers.Layer):
        def __init__(self, frozen: Any, **options: Any) -> None:
            super().__init__(**options)
            self.frozen = frozen
            frozen.trainable = False

        def build(self, shape: Any) -> None:
            self.down = self.add_weight((shape[-1], rank), down, name="down")
            self.up = self.add_weight((rank, self.frozen.units), "zeros", name="up")

        def call(self, x: Any) -> Any:
            raw = tf.matmul(x, self.frozen.kernel) + self.frozen.bias + x @ self.down @ self.up
            return self.frozen.activation(raw)

    stream = inputs = keras.Input((64,))
    for number, layer in enumerate(base.layers, 1):
        stream = LowRank(layer, name=f"adapter_{number}")(stream)
    return Fit(
        keras.Model(inputs, stream), x, (3 * y + 4) % 10, keras.optimizers.AdamW(3e-3), cross_entropy(), skill.classes,
        steps=400,
    )  # fmt: skip


family.pair(
    "low-rank",
    _low_rank,
    sickness="both-factors-start-at-zero",
    sick={"down": "zeros"},
    causes=["symmetric-weights", "gain-mismatch:too-small", "unchanged-weights"],
    layers=("adapter_1", "adapter_2", "adapter_3"),
    level=0.7,
)


def _probed(seed: int, *, moved: str = "all") -> Loop:
    """A new encoder and its head, whose loop lists by hand what it moves."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    inputs = keras.Input((2,))
    encoder = keras.Model(inputs, dense_stack(inputs, 20, 3, activation="tanh"), name="encoder")
    head = keras.layers.Dense(3, name="head")
    model = keras.Model(inputs, head(encoder(inputs)))
    variables = model.trainable_variables if moved == "all" else head.trainable_variables
    optimizer = keras.optimizers.Adam(1e-2)
    loss = cross_entropy()

    def forward(points: Any, truth: Any) -> Any:
        return loss(truth, model(points, training=True))

    def step(points: Any, truth: Any) -> Any:
        with tf.GradientTape() as tape:
            value = forward(points, truth)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(value, variables), 0.5)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return value

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 64)
        return x[rows], y[rows]

    return Loop(
        model, optimizer, batches, forward, lambda: skill.classes(y, model.predict(x, verbose=0)), steps=450,
        seed=seed, step=step,
    )  # fmt: skip


family.pair(
    "listed-by-hand",
    _probed,
    sickness="encoder-left-out",
    sick={"moved": "head"},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
)
