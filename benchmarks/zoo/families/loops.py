"""Loops of one's own with a GradientTape, and what goes wrong in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Loop

family = Family("loops", half="think")


def _loop(
    seed: int,
    *,
    source: str = "digits",
    mistake: str = "",
    optimizer: str = "SGD",
    rate: Any = 0.1,
    depth: int = 2,
    width: int = 48,
    activation: str = "relu",
    last: str | None = None,
    batch_size: int = 32,
    compiled: bool = True,
    steps: int = 280,
) -> Loop:
    keras.utils.set_random_seed(seed)
    if source == "digits":
        x, y = data.digits()
    elif source == "cancer":
        x, y = data.cancer()
        x = data.standardised(x)
    else:
        x, y = data.blobs(seed)
    count = int(y.max()) + 1
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, width, depth, activation=activation)
    model = keras.Model(inputs, keras.layers.Dense(count, last, name="output")(hidden))

    def forward(pictures: Any, truth: Any) -> Any:
        outputs = model(pictures, training=True)
        return _loss(tf.one_hot(truth, count), outputs, mistake, probabilities=last == "softmax")

    totals: list[Any] = []

    def change(gradients: list[Any]) -> list[Any]:
        if mistake == "ascent":
            return [-g for g in gradients]
        if mistake == "accumulation-never-reset":
            if not totals:
                totals.extend(tf.Variable(tf.zeros_like(v)) for v in model.trainable_variables)
            return [total.assign_add(g) for total, g in zip(totals, gradients, strict=True)]
        return gradients

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), batch_size)
        return x[rows], y[rows]

    if mistake == "accumulation-never-reset":
        change([tf.zeros_like(v) for v in model.trainable_variables])
    return Loop(
        model, getattr(keras.optimizers, optimizer)(rate), batches, forward,
        lambda: skill.classes(y, model(x).numpy()), steps=steps, seed=seed, compiled=compiled, change=change,
    )  # fmt: skip


def _loss(truth: Any, outputs: Any, mistake: str, *, probabilities: bool) -> Any:
    """Cross entropy written by hand."""
    if mistake == "log-of-rounded":
        soft = tf.nn.softmax(outputs)
        rounded = soft + tf.stop_gradient(tf.round(soft * 1e3) / 1e3 - soft)
        return -tf.reduce_mean(tf.reduce_sum(truth * tf.math.log(rounded), -1))
    if probabilities and mistake != "softmax-twice":
        return -tf.reduce_mean(tf.reduce_sum(truth * tf.math.log(outputs + 1e-7), -1))
    losses = tf.nn.softmax_cross_entropy_with_logits(truth, outputs)
    return tf.reduce_sum(losses) if mistake == "sum" else tf.reduce_mean(losses)


family.pair(
    "digits-sum",
    _loop,
    sickness="loss-summed-not-averaged",
    healthy={"rate": 0.1, "batch_size": 128, "depth": 3},
    sick={"mistake": "sum"},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
family.pair(
    "blobs-ascent",
    _loop,
    sickness="sign-of-gradient-flipped",
    healthy={"source": "blobs", "rate": 0.05},
    sick={"mistake": "ascent"},
    causes=["diverging-loss", "learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient"],
    level=0.7,
)
family.pair(
    "digits-accumulate",
    _loop,
    sickness="accumulation-never-reset",
    healthy={"rate": 0.05, "compiled": False, "steps": 240},
    sick={"mistake": "accumulation-never-reset", "rate": 0.2},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient", "diverging-loss"],
    level=0.6,
)
family.pair(
    "digits-softmax",
    _loop,
    sickness="softmax-twice",
    healthy={"rate": 0.1, "last": "softmax"},
    sick={"mistake": "softmax-twice"},
    causes=["mismatched-loss"],
    layers=("output",),
    level=0.7,
)
family.pair(
    "cancer-log",
    _loop,
    sickness="log-of-zero",
    healthy={"source": "cancer", "rate": 0.1, "width": 24},
    sick={"mistake": "log-of-rounded"},
    causes=["nonfinite-values"],
    level=0.7,
    every=1,
)
family.pair(
    "blobs-adam",
    _loop,
    sickness="rate-too-low",
    healthy={"source": "blobs", "optimizer": "Adam", "rate": 5e-3},
    sick={"rate": 1e-6},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
