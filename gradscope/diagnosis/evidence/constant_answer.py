"""The loss of the best constant answer: what a network reaches that has learnt nothing but the targets' mean."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log, nan

import numpy as np

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.run import Run

__all__ = ["ConstantAnswer", "constant_answer"]

_SQUARED = ("mean_squared_error", "mse")
_BINARY = ("binary_crossentropy",)
_CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")


@dataclass(frozen=True)
class ConstantAnswer:
    """What is known of the loss that the best constant answer has."""

    loss: float
    """An upper bound of it: Var y for squared errors, the entropy of the mean label for binary cross-entropy, log K
    for K classes. NaN where the loss function or the targets are unknown, or the losses of several outputs add up."""


def constant_answer(run: Run, layers: tuple[Layer, ...]) -> ConstantAnswer:
    """From the loss function of the model card and the recorded targets.

    It is a bound because the targets are taken together: columns of different means, or classes of unequal frequency,
    have a better constant answer.
    """
    losses = run.settings.get("losses")
    if not isinstance(losses, list) or len(losses) != 1 or not isinstance(losses[0], dict):
        return ConstantAnswer(nan)
    name = str(losses[0].get("name"))
    if name in _CATEGORICAL:
        outputs = [layer for layer in layers if layer.is_output]
        classes = outputs[0].card.units if len(outputs) == 1 and outputs[0].card else None
        return ConstantAnswer(log(classes) if classes and classes > 1 else nan)
    if name in _SQUARED or name in _BINARY:
        mean, variance = _target_moments(run)
        return ConstantAnswer(variance if name in _SQUARED else _entropy(mean))
    return ConstantAnswer(nan)


def _target_moments(run: Run) -> tuple[float, float]:
    mean = run.series("target", "target", "mean").astype(np.float64)
    rms = run.series("target", "target", "rms").astype(np.float64)
    known = np.isfinite(mean) & np.isfinite(rms)
    if not known.any():
        return nan, nan
    centre = float(mean[known].mean())
    return centre, max(0.0, float(np.square(rms[known]).mean()) - centre**2)


def _entropy(share: float) -> float:
    if not isfinite(share) or not 0 < share < 1:
        return nan
    return -share * log(share) - (1 - share) * log(1 - share)
