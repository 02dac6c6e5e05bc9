"""Which loss a training step of one's own has, where the log does not name it: known by the value it begins with."""

from __future__ import annotations

from math import log, nan

import numpy as np

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.run import Run

__all__ = ["unnamed_loss"]

_MULTIPLE = 3
_CLOSE = 0.2


def unnamed_loss(run: Run, output: Layer) -> str:
    """The loss of a run with one output and no named loss, as Keras calls it; empty if it is none that is known here.

    Before anything is learnt answers and targets are unrelated, so a squared error begins where the recorded moments of
    both put it. A softmax is taken to be judged by a cross-entropy, and so are K > 2 linear outputs if the first loss
    lies within 20 % of log K, and a single output if it lies as close to log 2 and the targets are zeros and ones.
    """
    loss = np.asarray(run.step_statistics.get("loss", np.zeros(0)), np.float64)
    first = float(next(iter(loss[np.isfinite(loss)]), nan))
    units = (output.card.units if output.card else None) or 0
    if not np.isfinite(first) or not units:
        return ""
    entropy = "sparse_categorical_crossentropy" if _are_classes(run) else "categorical_crossentropy"
    if output.shape == "joint" and units > 1:
        return entropy
    if abs(first - _squared_error(run, output)) < _CLOSE * first:
        return "mean_squared_error"
    # log 2 alone is also what a discriminator that cannot tell costs a generator, whatever that has for an output.
    if output.shape == "linear" and units >= _MULTIPLE and _is_near(first, log(units)):
        return entropy
    if units == 1 and _is_near(first, log(2)) and _is_yes_or_no(run):
        return "binary_crossentropy"
    return ""


def _is_near(first: float, level: float) -> bool:
    return abs(first / level - 1) < _CLOSE


def _squared_error(run: Run, output: Layer) -> float:
    moments = [
        float(next(iter(run.series(kind, name, statistic)), nan))
        for kind, name in (("target", "target"), ("activation", output.name))
        for statistic in ("mean", "rms")
    ]
    asked_mean, asked_rms, given_mean, given_rms = moments
    return asked_rms**2 + given_rms**2 - 2 * asked_mean * given_mean


def _are_classes(run: Run) -> bool:
    """Whether the targets exceed 1, which no probability does: they number the classes."""
    greatest = run.series("target", "target", "max")
    return bool((greatest[np.isfinite(greatest)] > 1).any())


def _is_yes_or_no(run: Run) -> bool:
    least, greatest = (run.series("target", "target", statistic) for statistic in ("min", "max"))
    known = np.isfinite(least) & np.isfinite(greatest)
    return bool(known.any()) and float(least[known].min()) == 0 and float(greatest[known].max()) == 1
