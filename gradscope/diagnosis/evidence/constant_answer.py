"""The loss of the best constant answer: what a network reaches that has learnt nothing but the targets' mean."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log, nan

import numpy as np

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.loss_terms import LossTerm, full_name
from gradscope.run import Run

__all__ = ["ConstantAnswer", "constant_answer"]

_CLASSES = 2
_CLOSE = 0.2
_SQUARED = "mean_squared_error"
_BINARY = "binary_crossentropy"
_CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")


@dataclass(frozen=True)
class ConstantAnswer:
    """What is known of the loss that the best constant answer has."""

    loss: float
    """An upper bound of it: Var y for squared errors, the entropy of the mean label for binary cross-entropy, log K
    for K classes. NaN where the loss function or the targets are unknown, or the losses of several outputs add up."""
    penalised: bool = False
    """True where penalties on weights or activations add to the recorded loss."""


def constant_answer(run: Run, layers: tuple[Layer, ...], loss_terms: tuple[LossTerm, ...]) -> ConstantAnswer:
    """From the loss function of the model card and the recorded targets.

    It is a bound because the targets are taken together: columns of different means, or classes of unequal frequency,
    have a better constant answer. A run that does not name its loss (a loop of one's own) is taken for cross-entropy
    where its one output is a softmax over K > 1 units, or linear over K > 2 and the first loss lies within 20 % of
    log K; for a squared error where its one output is a number and the first loss is what the recorded targets and
    answers give.
    """
    return ConstantAnswer(_loss(run, layers, loss_terms), penalised=run.settings.get("penalised") is True)


def _loss(run: Run, layers: tuple[Layer, ...], loss_terms: tuple[LossTerm, ...]) -> float:
    outputs = [layer for layer in layers if layer.is_output]
    classes = (outputs[0].card.units if len(outputs) == 1 and outputs[0].card else None) or 0
    name = _only_name(run, loss_terms)
    if name is None:
        return _unnamed(run, outputs[0], classes) if classes else nan
    if name in _CATEGORICAL:
        return log(classes) if classes > 1 else nan
    if name in (_SQUARED, _BINARY):
        mean, variance = _target_moments(run)
        return variance if name == _SQUARED else _entropy(mean)
    return nan


def _only_name(run: Run, loss_terms: tuple[LossTerm, ...]) -> str | None:
    """The name of the only loss, empty if there are several, None where the log names none."""
    if loss_terms:
        return loss_terms[0].name if len(loss_terms) == 1 else ""
    name = run.settings.get("loss")
    return full_name(name) if isinstance(name, str) and name else None


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
    return _target_moments(run)[1]


def _target_moments(run: Run) -> tuple[float, float]:
    mean = run.series("target", "target", "mean").astype(np.float64)
    rms = run.series("target", "target", "rms").astype(np.float64)
    known = np.isfinite(mean) & np.isfinite(rms)
    if not known.any():
        return nan, nan
    centre = float(mean[known].mean())
    variance = max(0.0, float(np.square(rms[known]).mean()) - centre**2)
    # Columns of different means: only what differs between examples is an error of a constant answer.
    across = run.series("target", "target", "example_std").astype(np.float64)
    across = across[np.isfinite(across)]
    if len(across):
        variance = min(variance, float(np.square(across).mean() + mean[known].var()))
    return centre, variance


def _entropy(share: float) -> float:
    if not isfinite(share) or not 0 < share < 1:
        return nan
    return -share * log(share) - (1 - share) * log(1 - share)
