"""The data: sets that come with scikit-learn, and generated ones. All float32, all small."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = [
    "bars",
    "blobs",
    "cancer",
    "diabetes",
    "digits",
    "linear_sum",
    "parity",
    "spirals",
    "standardised",
    "texts",
    "waves",
    "wine",
]


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 pictures 8 x 8 of handwritten digits, as 64 pixels 0 to 1, and their class."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.data / 16).astype("f4"), bunch.target.astype("i4")


@cache
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """569 tumours with 30 measures as they come (1e-3 to 4e3), and whether they are benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    return bunch.data.astype("f4"), bunch.target.astype("i4")


@cache
def wine() -> tuple[np.ndarray, np.ndarray]:
    """178 wines with 13 measures as they come (0.1 to 1,700), and their cultivar."""
    from sklearn.datasets import load_wine

    bunch = load_wine()
    return bunch.data.astype("f4"), bunch.target.astype("i4")


@cache
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 patients with 10 standardised measures, and how their illness went on (25 to 346)."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes()
    return standardised(bunch.data), bunch.target.astype("f4")[:, None]


def standardised(x: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1 in every column."""
    return ((x - x.mean(0)) / (x.std(0) + 1e-8)).astype("f4")


def spirals(seed: int, count: int = 1024, arms: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Points of spiral arms in the plane, and their arm."""
    draw = np.random.default_rng(seed)
    arm = draw.integers(0, arms, count)
    radius = draw.uniform(0.1, 1, count)
    angle = 2 * np.pi * arm / arms + 3.5 * radius + draw.normal(0, 0.12, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype("f4") * 2, arm.astype("i4")


def blobs(
    seed: int, count: int = 1024, features: int = 20, kinds: int = 5, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clouds about random centres."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(kinds, features))
    kind = draw.integers(0, kinds, count)
    return (centres[kind] + spread * draw.normal(size=(count, features))).astype("f4"), kind.astype("i4")


def parity(seed: int, count: int = 1024, bits: int = 8, asked: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Signs, and the parity of the first few."""
    draw = np.random.default_rng(seed)
    x = draw.integers(0, 2, (count, bits))
    return (2 * x - 1).astype("f4"), (x[:, :asked].sum(1) % 2).astype("i4")


def waves(seed: int, count: int = 1024, features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A smooth function of several inputs, mean about 0 and standard deviation about 1."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, features))
    y = np.sin(x[:, 0] * 1.5) + 0.5 * x[:, 1] * x[:, 2] + 0.3 * x[:, 3] + 0.05 * draw.normal(size=count)
    return x.astype("f4"), (y / y.std()).astype("f4")[:, None]


def bars(seed: int, count: int = 768, side: int = 12, kinds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Grey pictures ``[count, side, side, 1]`` in 0 to 1: a noisy bar in one of four directions, and its direction."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, kinds, count)
    angle = kind * np.pi / kinds
    ys, xs = np.mgrid[:side, :side] - (side - 1) / 2
    shift = draw.uniform(-2.5, 2.5, count)
    distance = xs * np.sin(angle)[:, None, None] - ys * np.cos(angle)[:, None, None] - shift[:, None, None]
    x = np.clip((np.abs(distance) < 1) * 0.8 + draw.normal(0.1, 0.12, (count, side, side)), 0, 1)
    return x[..., None].astype("f4"), kind.astype("i4")


def linear_sum(seed: int, count: int = 1024, length: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Sequences ``[count, length, 2]`` of numbers and marks; wanted is the sum of the marked numbers."""
    draw = np.random.default_rng(seed)
    numbers = draw.uniform(-1, 1, (count, length))
    marks = np.zeros((count, length))
    rows = np.arange(count)
    marks[rows, draw.integers(0, length // 2, count)] = 1
    marks[rows, draw.integers(length // 2, length, count)] = 1
    return np.stack([numbers, marks], -1).astype("f4"), (numbers * marks).sum(1).astype("f4")[:, None]


def texts(
    seed: int, count: int = 1024, length: int = 16, words: int = 200, kinds: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Sentences of word numbers ``[count, length]``; each kind prefers words of its own."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, kinds, count)
    common = draw.integers(1, words, (count, length))
    own = 1 + kind[:, None] + kinds * draw.integers(0, (words - 1) // kinds, (count, length))
    return np.where(draw.random((count, length)) < 0.4, own, common).astype("i4"), kind.astype("i4")
