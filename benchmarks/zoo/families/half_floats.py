"""`mixed_float16`: a loop that scales its loss, and a deep table network."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("half-floats", half="think")


def _squares(seed: int, *, cast: bool = True) -> Loop:
    """Prices in thousands, unscaled; errors of more than 256 have no square in float16."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_float16")
    x, y = data.waves(seed)
    y = (320 + 60 * y).astype("f4")
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(64, "relu", name="hidden_1")(inputs)
    hidden = keras.layers.Dense(64, "relu", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="price")(hidden))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2))

    def forward(x: Any, y: Any) -> Any:
        made = model(x, training=True)
        made = tf.cast(made, "float32") if cast else made
        return tf.sqrt(tf.reduce_mean(tf.square(made - tf.cast(y, made.dtype))))

    def step(x: Any, y: Any) -> Any:
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            loss = forward(x, y)
            scaled = optimizer.scale_loss(tf.cast(loss, "float32"))
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return loss

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 64)
        return x[rows], y[rows]

    return Loop(
        model, optimizer, batches, forward, lambda: skill.fit_of(y, model(x)), steps=800, seed=seed, step=step
    )  # fmt: skip


def _deep(seed: int, *, activation: str = "relu") -> Fit:
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_float16")
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 64, 6, activation=activation)
    model = keras.Model(inputs, keras.layers.Dense(10, dtype="float32", name="output")(hidden))
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, x, y, sgd, cross_entropy(), skill.classes, steps=300, batch_size=64)


family.pair(
    "squares",
    _squares,
    sickness="squared-in-float16",
    sick={"cast": False},
    causes=["nonfinite-values"],
    level=0.55,
    every=25,
)
family.pair(
    "deep",
    _deep,
    sickness="sigmoid-in-all-six-layers",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation", "gradient-underflow"],
    layers=tuple(f"hidden_{number}" for number in range(1, 7)),
    level=0.8,
)
