"""Skills: 0 as good as chance or a constant, 1 perfect, NaN where predictions are not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["binary", "classes", "fit_of", "likeness"]


def classes(y: Any, predicted: Any) -> float:
    """Balanced accuracy over classes, chance taken off; ``y`` of class numbers or one-hot."""
    truth = np.asarray(y)
    truth = truth.argmax(-1) if truth.ndim == np.ndim(predicted) and truth.shape[-1] > 1 else truth
    return _balanced(truth.ravel(), np.asarray(predicted, "float32").reshape(truth.size, -1))


def binary(y: Any, predicted: Any, threshold: float = 0.5) -> float:
    """Balanced accuracy of one output against a threshold, chance taken off."""
    scores = np.asarray(predicted, "float32").ravel()
    chosen = np.stack([scores <= threshold, scores > threshold], -1).astype("float32")
    chosen[~np.isfinite(scores)] = np.nan
    return _balanced(np.asarray(y).ravel(), chosen)


def fit_of(y: Any, predicted: Any) -> float:
    """R²: share of the variance explained."""
    truth, guess = np.asarray(y, "float64"), np.asarray(predicted, "float64").reshape(np.shape(y))
    return float(1 - np.mean((truth - guess) ** 2) / np.mean((truth - truth.mean(0)) ** 2))


def likeness(real: Any, made: Any) -> float:
    """1 less the energy distance of made points to real ones, against that of points all alike; of 300 of each."""
    real, made = np.asarray(real)[:300], np.asarray(made, "f4")[:300]
    if not np.isfinite(made).all():
        return float("nan")

    def energy(points: np.ndarray) -> float:
        return 2 * _distance(points, real) - _distance(points, points) - _distance(real, real)

    return 1 - energy(made) / energy(np.repeat(real.mean(0, keepdims=True), 300, 0))


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a[:, None] - b[None], axis=-1).mean())


def _balanced(truth: np.ndarray, scores: np.ndarray) -> float:
    if not np.isfinite(scores).all():
        return float("nan")
    right = scores.argmax(-1) == truth
    labels = np.unique(truth)
    chance = 1 / len(labels)
    return float((np.mean([right[truth == label].mean() for label in labels]) - chance) / (1 - chance))
