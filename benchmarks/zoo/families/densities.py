"""Densities of points in the plane: a flow of coupling layers, and denoising diffusion."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Loop

family = Family("densities", half="think")


def _moons(count: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    angle, side = draw.uniform(0, np.pi, count), draw.integers(0, 2, count)
    x = np.where(side, 1 - np.cos(angle), np.cos(angle)) - 0.5
    y = np.where(side, 0.5 - np.sin(angle), np.sin(angle)) - 0.25
    return (np.stack([x, y], 1) * [1.15, 2.0] + draw.normal(0, 0.06, (count, 2))).astype("f4")


def _flow(seed: int, *, rate: float = 3e-3, couplings: int = 6) -> Loop:
    """Coupling layers (Dinh et al. 2017). Its skill is the gain in nats per point on a Gaussian, as a share of 1."""
    keras.utils.set_random_seed(seed)
    points = _moons(2000, seed)
    inputs = keras.Input((2,))
    stream, stretch = inputs, 0.0
    for number in range(1, couplings + 1):
        kept, moved = stream[:, :1], stream[:, 1:]
        hidden = keras.layers.Dense(32, "tanh", name=f"couple_{number}")(kept)
        scale = keras.layers.Dense(1, "tanh", name=f"scale_{number}")(hidden)
        shift = keras.layers.Dense(1, name=f"shift_{number}")(hidden)
        moved = moved * keras.ops.exp(scale) + shift
        stretch = stretch + scale
        stream = keras.ops.concatenate([moved, kept], -1)
    model = keras.Model(inputs, [stream, stretch])

    def forward(batch: Any) -> Any:
        latent, log_stretch = model(batch, training=True)
        return tf.reduce_mean(0.5 * tf.reduce_sum(latent**2, -1) - log_stretch[:, 0]) + np.log(2 * np.pi)

    def score() -> float:
        gauss = 0.5 * np.linalg.slogdet(np.cov(points.T))[1] + np.log(2 * np.pi) + 1
        return float(gauss - forward(tf.constant(points)))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (points[draw.integers(0, len(points), 128)],)

    return Loop(model, keras.optimizers.Adam(rate), batches, forward, score, steps=700, seed=seed)


family.pair(
    "moons-flow",
    _flow,
    sickness="rate-too-high",
    sick={"rate": 0.3},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.25,
)


def _diffusion(seed: int, *, raw_times: bool = False, total: int = 1000) -> Loop:
    """Foretells the noise in a point (Ho et al. 2020); its skill is the share of the noise's variance foretold."""
    keras.utils.set_random_seed(seed)
    points = _moons(2000, seed)
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, total)).astype("f4")
    inputs = keras.Input((3,))
    stream = inputs
    for number in range(1, 4):
        stream = keras.layers.Dense(64, "swish", name=f"denoise_{number}")(stream)
    model = keras.Model(inputs, keras.layers.Dense(2, name="noise")(stream))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        times = draw.integers(0, total, 128)
        noise = draw.normal(size=(128, 2)).astype("f4")
        level = kept[times][:, None]
        noisy = np.sqrt(level) * points[draw.integers(0, len(points), 128)] + np.sqrt(1 - level) * noise
        fed = times if raw_times else 2 * times / total - 1
        return np.concatenate([noisy, fed[:, None]], 1).astype("f4"), noise

    def forward(noisy: Any, noise: Any) -> Any:
        return tf.reduce_mean((model(noisy, training=True) - noise) ** 2)

    def score() -> float:
        draw = np.random.default_rng(5)
        return 1 - float(np.mean([forward(*map(tf.constant, batches(draw))) for _ in range(10)]))

    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Loop(model, optimizer, batches, forward, score, steps=600, seed=seed)


family.pair(
    "moons-diffusion",
    _diffusion,
    sickness="time-steps-0-to-1000",
    sick={"raw_times": True},
    causes=["badly-scaled-input"],
    layers=("denoise_1", "input"),
)
