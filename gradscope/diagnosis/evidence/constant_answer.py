"""The loss of the best constant answer: what a network reaches that has learnt nothing but the targets' mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, log, nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.loss_terms import LossTerm
from gradscope.run import Run

__all__ = ["ConstantAnswer", "constant_answer"]

FloatArray = npt.NDArray[np.floating]
_CLASSES = 2
_CLOSE = 0.2
_SQUARED = "mean_squared_error"
_BINARY = "binary_crossentropy"
_ABSOLUTE: dict[str, Callable[[FloatArray], float]] = {
    "mean_absolute_error": lambda error: float(error.mean()),
    "huber": lambda error: float(np.where(error < 1, error**2 / 2, error - 0.5).mean()),
    "log_cosh": lambda error: float(np.logaddexp(error, -error).mean()) - log(2),
}
_CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")


@dataclass(frozen=True)
class ConstantAnswer:
    """What is known of the loss that the best constant answer has."""

    loss: float
    """An upper bound of it: Var y for squared errors, the mean deviation from the median for absolute ones, the entropy
    of the mean label for binary cross-entropy, log K for K classes; the weighted sum of these for several outputs. NaN
    where one loss function, its weight or its targets are unknown."""
    exceeded: bool = False
    """True where penalties add to the recorded loss or examples have weights: a network that learns may exceed it."""


def constant_answer(run: Run, layers: tuple[Layer, ...], loss_terms: tuple[LossTerm, ...]) -> ConstantAnswer:
    """From the loss function of the model card and the recorded targets.

    It is a bound because the targets are taken together: columns of different means, or classes of unequal frequency,
    have a better constant answer. A run that does not name its loss (a loop of one's own) is taken for cross-entropy
    where its one output is a softmax over K > 1 units, or linear over K > 2 and the first loss lies within 20 % of
    log K; for a squared error where its one output is a number and the first loss is what the recorded targets and
    answers give.
    """
    exceeded = bool(run.settings.get("loss_additions"))
    if loss_terms:
        return ConstantAnswer(sum(term.weight * _of_term(run, term) for term in loss_terms), exceeded)
    outputs = [layer for layer in layers if layer.is_output]
    if run.settings.get("loss") or len(outputs) != 1 or outputs[0].card is None:
        return ConstantAnswer(nan, exceeded)
    return ConstantAnswer(_unnamed(run, outputs[0], outputs[0].card.units or 0), exceeded)


def _of_term(run: Run, term: LossTerm) -> float:
    if term.name in _CATEGORICAL:
        return log(term.units) if term.units and term.units > 1 else nan
    if term.name == _SQUARED:
        return _moments(run, term.target)[1]
    if term.name == _BINARY:
        return _entropy(_moments(run, term.target)[0])
    if term.name in _ABSOLUTE and len(spread := term.targets.spread):
        return _ABSOLUTE[term.name](np.abs(spread - np.median(spread)))
    return nan


def _unnamed(run: Run, output: Layer, classes: int) -> float:
    loss = np.asarray(run.step_statistics.get("loss", np.zeros(0)), np.float64)
    first = loss[np.isfinite(loss)][:1]
    if not len(first):
        return nan
    if classes < _CLASSES:
        return _if_squared(run, output, float(first[0]))
    return _if_crossentropy(output, classes, float(first[0]))


def _if_crossentropy(output: Layer, classes: int, first: float) -> float:
    # log 2 is also what a discriminator that cannot tell costs a generator, whatever that has for an output.
    alike = output.shape == "linear" and classes > _CLASSES and abs(first / log(classes) - 1) < _CLOSE
    return log(classes) if output.shape == "joint" or alike else nan


def _if_squared(run: Run, output: Layer, first: float) -> float:
    asked, given = (
        [run.series(kind, name, statistic)[:1] for statistic in ("mean", "rms")]
        for kind, name in (("target", "target"), ("activation", output.name))
    )
    if not all(np.isfinite(value).all() and len(value) for value in (*asked, *given)):
        return nan
    # Before anything is learnt answers and targets are unrelated.
    expected = float(asked[1][0]) ** 2 + float(given[1][0]) ** 2 - 2 * float(asked[0][0]) * float(given[0][0])
    if not abs(first - expected) < _CLOSE * expected:
        return nan
    return _moments(run, "target")[1]


def _moments(run: Run, target: str) -> tuple[float, float]:
    mean = run.series("target", target, "mean").astype(np.float64)
    rms = run.series("target", target, "rms").astype(np.float64)
    known = np.isfinite(mean) & np.isfinite(rms)
    if not known.any():
        return nan, nan
    centre = float(mean[known].mean())
    variance = max(0.0, float(np.square(rms[known]).mean()) - centre**2)
    # Columns of different means: only what differs between examples is an error of a constant answer.
    across = run.series("target", target, "example_std").astype(np.float64)
    across = across[np.isfinite(across)]
    if len(across):
        variance = min(variance, float(np.square(across).mean() + mean[known].var()))
    return centre, variance


def _entropy(share: float) -> float:
    if not isfinite(share) or not 0 < share < 1:
        return nan
    return -share * log(share) - (1 - share) * log(1 - share)
