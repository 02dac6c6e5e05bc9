"""Representations by comparison: two views of one picture, and triplets."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("contrastive", half="think")


def _nearest(codes: np.ndarray, y: np.ndarray) -> float:
    """Share of pictures nearest to the middle of their own class, chance taken off; in half precision.

    A representation that tells classes apart by its last bits only is of no use to anybody.
    """
    if not np.isfinite(codes).all():
        return float("nan")
    codes = np.asarray(codes, "f2").astype("f4")
    kinds = y.max() + 1
    middles = np.stack([codes[y == kind].mean(0) for kind in range(kinds)])
    nearest = ((codes[:, None] - middles) ** 2).sum(-1).argmin(-1)
    return float((np.mean(nearest == y) - 1 / kinds) / (1 - 1 / kinds))


def _two_views(seed: int, *, stopped: bool = True) -> Loop:
    """SimSiam (Chen and He 2021): nothing but the stopped gradient keeps the codes from being one and the same."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    layers = keras.layers
    inputs = keras.Input((64,))
    stream = layers.Dense(96, use_bias=False, name="encode_1")(inputs)
    stream = layers.ReLU()(layers.BatchNormalization(name="norm_1")(stream))
    code = layers.Dense(32, name="code")(stream)
    hidden = layers.Dense(16, "relu", name="predict_1")(code)
    model = keras.Model(inputs, [code, layers.Dense(32, name="predict_2")(hidden)])

    def alike(guess: Any, code: Any) -> Any:
        code = tf.stop_gradient(code) if stopped else code
        return tf.reduce_mean(tf.reduce_sum(tf.math.l2_normalize(guess, -1) * tf.math.l2_normalize(code, -1), -1))

    def forward(one: Any, other: Any) -> Any:
        code, guess = model(one, training=True)
        other_code, other_guess = model(other, training=True)
        return -0.5 * (alike(guess, other_code) + alike(other_guess, code))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        pictures = x[draw.integers(0, len(x), 128)]
        views = [pictures * (draw.random(pictures.shape) < 0.75) for _ in range(2)]
        return tuple((view + draw.normal(0, 0.1, view.shape)).astype("f4") for view in views)

    def score() -> float:
        codes = model.predict(x, verbose=0)[0]
        codes = codes / np.linalg.norm(codes, axis=-1, keepdims=True)
        return _nearest(codes + np.random.default_rng(5).normal(0, 0.05, codes.shape), y)

    return Loop(
        model, keras.optimizers.SGD(0.05, momentum=0.9), batches, forward, score, steps=400, seed=seed
    )  # fmt: skip


family.pair(
    "two-views",
    _two_views,
    sickness="stop-gradient-forgotten",
    sick={"stopped": False},
    causes=["collapsed-representation", "constant-output"],
)


def _triplets(seed: int, *, epsilon: float = 1e-6, margin: float = 0.4) -> Fit:
    """Rectified codes of length 1; the loss is the model's own."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x, y = x[:900], y[:900]
    draw = np.random.default_rng(seed)
    own = np.array([draw.choice(np.flatnonzero(y == kind)) for kind in y])
    other = np.array([draw.choice(np.flatnonzero(y != kind)) for kind in y])

    class Triplets(keras.Model):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_rest: Any, **_options: Any) -> Any:
            anchor, positive, negative = y_pred
            near = tf.reduce_sum((anchor - positive) ** 2, -1)
            far = tf.reduce_sum((anchor - negative) ** 2, -1)
            return tf.reduce_mean(tf.nn.relu(near - far + margin))

    inputs = [keras.Input((64,)) for _ in range(3)]
    hidden = keras.layers.Dense(48, "relu", name="hidden")
    code = keras.layers.Dense(6, "relu", name="code")

    def embed(picture: Any) -> Any:
        codes = code(hidden(picture))
        return codes / (keras.ops.sqrt(keras.ops.sum(codes**2, -1, keepdims=True) + epsilon**2) + epsilon)

    model = Triplets(inputs, [embed(picture) for picture in inputs])
    return Fit(
        model, [x, x[own], x[other]], y, keras.optimizers.Adam(2e-3), None,
        lambda truth, codes: _nearest(codes[0], truth), steps=400,
    )  # fmt: skip


family.pair(
    "triplets",
    _triplets,
    sickness="length-of-a-code-of-zeros",
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
)
