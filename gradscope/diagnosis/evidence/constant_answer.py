"""The loss of the best constant answer: what a network reaches that has learnt nothing but the targets' mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, log, nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.called_loss import CalledLoss
from gradscope.diagnosis.evidence.loss_terms import LossTerm
from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["ConstantAnswer", "constant_answer"]

FloatArray = npt.NDArray[np.floating]
_DECIDED = 0.5  # Σp² of a target: 1 where it names one class
_SOFT = 0.8  # of the entropy of the mean target: hardly anything of the loss can be learnt away
_LEAST = 1e-7
_WHOLE = 0.1  # by how much the shares of all classes may miss 1
_SQUARED = "mean_squared_error"
_BINARY = "binary_crossentropy"
_ABSOLUTE: dict[str, Callable[[FloatArray, float], float]] = {
    "mean_absolute_error": lambda error, _: float(error.mean()),
    "huber": lambda error, delta: float(np.where(error < delta, error**2 / 2, delta * (error - delta / 2)).mean()),
    "log_cosh": lambda error, _: float(np.logaddexp(error, -error).mean()) - log(2),
}
_CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")


@dataclass(frozen=True)
class ConstantAnswer:
    """What is known of the loss that the best constant answer has."""

    loss: float
    """An upper bound of it: Var y for squared errors, the mean deviation from the median for absolute ones, the entropy
    of the mean label for binary cross-entropy, log K for K classes that targets name; the weighted sum of these for
    several outputs; times the mean weight of the examples. NaN where one loss function, its weight or its targets are
    unknown."""
    terms: tuple[float, ...] = ()
    """What each term has in that sum, its weight included, in the order of ``loss_terms``; NaN where unknown."""
    soft: bool = False
    """True where targets are shares, so that right answers leave most of the loss."""
    exceeded: bool = False
    """True where penalties add to the recorded loss or examples have weights: a network that learns may exceed it."""


def constant_answer(run: Run, loss_terms: tuple[LossTerm, ...], called_loss: CalledLoss) -> ConstantAnswer:
    """From the terms of the loss and the recorded targets.

    It is a bound because the targets are taken together: columns of different means, or classes of unequal frequency,
    have a better constant answer.
    """
    additions = set(run.settings.get("loss_additions") or ())
    if called_loss.whole:
        additions.discard("terms of one's own")
    soft = bool(loss_terms) and all(_is_soft(run, term) for term in loss_terms)
    if "example weights" not in additions:
        terms = tuple(term.weight * term.summed * _of_term(run, term) for term in loss_terms)
        return ConstantAnswer(sum(terms) if terms else nan, terms, soft=soft, exceeded=bool(additions))
    weight = _mean(run.step_statistics.get("example_weight", np.array([])))
    terms = tuple(term.weight * term.summed * weight * _weighted(run, term) for term in loss_terms)
    exceeded = bool(additions - {"example weights"}) or not isfinite(weight)
    return ConstantAnswer(sum(terms) if terms else nan, terms, soft=soft, exceeded=exceeded)


def _mean(series: npt.NDArray[np.floating]) -> float:
    known = series[np.isfinite(series)].astype(np.float64)
    return float(known.mean()) if len(known) else nan


def _of_term(run: Run, term: LossTerm) -> float:
    if term.name in _CATEGORICAL:
        return _classes(run, term)
    if term.name == _SQUARED:
        return _moments(run, term.target)[1]
    if term.name == _BINARY:
        return nan if _is_soft(run, term) else _entropy(_moments(run, term.target)[0])
    if term.name in _ABSOLUTE and len(spread := term.targets.spread):
        return _ABSOLUTE[term.name](np.abs(spread - median(spread)), term.delta)
    return nan


def _weighted(run: Run, term: LossTerm) -> float:
    """The same where examples count for more than others, over their mean weight; of errors it is not known."""
    return _entropy(term.weighted_share) if term.name == _BINARY else _classes(run, term)


def _classes(run: Run, term: LossTerm) -> float:
    named = term.name in _CATEGORICAL and term.units and term.units > 1
    return log(term.units) if named and term.units and not _is_soft(run, term) else nan


def _is_soft(run: Run, term: LossTerm) -> bool:
    """Whether the targets are shares, a teacher's answers say: then the loss has a floor far above 0."""
    mean, rms = (median(run.series("target", term.target, name).astype(np.float64)) for name in ("mean", "rms"))
    if term.name == _BINARY:
        return _floor(term) > _SOFT * _entropy(mean)
    shares = term.units is not None and abs(mean * term.units - 1) < _WHOLE
    return term.name in _CATEGORICAL and shares and 0 < rms**2 < _DECIDED * mean


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


def _floor(term: LossTerm) -> float:
    """The binary cross-entropy of answers that are all right: 0 for labels, high for shares; 0 if unknown."""
    spread = np.clip(term.targets.spread, _LEAST, 1 - _LEAST)
    return float(np.mean([_entropy(float(share)) for share in spread])) if len(spread) else 0.0


def _entropy(share: float) -> float:
    if not isfinite(share) or not 0 < share < 1:
        return nan
    return -share * log(share) - (1 - share) * log(1 - share)
