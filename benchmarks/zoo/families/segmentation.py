"""Masks of discs in noisy pictures by a small U-Net."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit

family = Family("segmentation", half="think")


def _discs(seed: int, count: int = 320, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``[count, side, side, 1]`` and masks 0 or 1 of the same shape; every fifth has no disc."""
    draw = np.random.default_rng(seed)
    ys, xs = np.mgrid[:side, :side]
    centre = draw.uniform(4, side - 4, (2, count, 1, 1))
    radius = np.where(np.arange(count) % 5 == 0, 0, draw.uniform(2, 4, count))[:, None, None]
    mask = (ys - centre[0]) ** 2 + (xs - centre[1]) ** 2 < radius**2
    pictures = np.clip(0.25 + 0.35 * mask + draw.normal(0, 0.1, mask.shape), 0, 1)
    return pictures[..., None].astype("f4"), mask[..., None].astype("f4")


def _unet() -> Any:
    layers = keras.layers

    def block(x: Any, filters: int, name: str) -> Any:
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
        return layers.GroupNormalization(4, name=f"{name}_norm")(x)

    inputs = keras.Input((16, 16, 1))
    fine = block(inputs, 8, "fine")
    middle = block(layers.MaxPooling2D()(fine), 12, "middle")
    coarse = block(layers.MaxPooling2D()(middle), 16, "coarse")
    middle = block(layers.concatenate([layers.UpSampling2D()(coarse), middle]), 12, "middle_up")
    fine = block(layers.concatenate([layers.UpSampling2D()(middle), fine]), 8, "fine_up")
    return keras.Model(inputs, layers.Conv2D(1, 1, name="mask")(fine))


def _cross_entropy(seed: int, *, white: float = 1.0) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _discs(seed)
    return Fit(
        _unet(), x, y * white, keras.optimizers.AdamW(3e-3), keras.losses.BinaryCrossentropy(from_logits=True),
        lambda truth, logits: skill.binary(truth > 0, logits, 0.0), steps=140, batch_size=16,
    )  # fmt: skip


family.pair(
    "discs",
    _cross_entropy,
    sickness="masks-0-to-255",
    sick={"white": 255.0},
    causes=["badly-scaled-target", "mismatched-loss"],
    layers=("mask",),
    level=0.8,
)


def _generalised_dice(seed: int, *, smooth: float = 1.0) -> Fit:
    """Every picture weighs by the inverse square of its mask's area (Sudre et al. 2017)."""
    keras.utils.set_random_seed(seed)
    x, y = _discs(seed)

    def loss(truth: Any, logits: Any) -> Any:
        guess = tf.sigmoid(logits)
        area = tf.reduce_sum(truth, (1, 2, 3)) + smooth
        weight = 1 / area**2
        common = tf.reduce_sum(weight * tf.reduce_sum(truth * guess, (1, 2, 3)))
        return 1 - 2 * common / tf.reduce_sum(weight * tf.reduce_sum(truth + guess, (1, 2, 3)))

    return Fit(
        _unet(), x, y, keras.optimizers.Adam(4e-3), loss, lambda truth, logits: skill.binary(truth, logits, 0.0),
        steps=160, batch_size=16,
    )  # fmt: skip


family.pair(
    "discs-dice",
    _generalised_dice,
    sickness="one-over-the-area-of-no-mask",
    sick={"smooth": 0.0},
    causes=["nonfinite-values"],
    level=0.6,
)
