"""How much the network's answers differ from example to example, beside how much they should."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.loss_terms import LossTerm
from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["OutputSpread", "output_spread", "output_spreads", "right_spread"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class OutputSpread:
    """The spread of the answers over the examples of a batch, relative to that of the right answers."""

    ratio: FloatArray
    """``[steps]``; 0 where all examples get one answer, about 1 where the network has learnt, NaN where unknown: with
    one example per batch, several outputs, or targets that were not recorded."""
    layer: str
    """The output layer; empty where there are several."""
    relative: FloatArray
    """``[steps]``; the same spread over the rms of the answers."""


def output_spread(run: Run, layers: tuple[Layer, ...], loss_terms: tuple[LossTerm, ...]) -> OutputSpread:
    """``example_std`` of the output over the standard deviation of what it should be.

    That is the recorded targets' for regression; √(p (1 - p)) for the probabilities of one class among K, p = 1/K, and
    of a yes or no, p the share of yes; and 1 for logits.
    """
    outputs = [layer for layer in layers if layer.gives_answers]
    unknown = np.full(len(run.steps), nan)
    if len(outputs) != 1:
        return OutputSpread(unknown, "", unknown)
    return _spread(run, outputs[0].name, right_spread(run, loss_terms[0]) if len(loss_terms) == 1 else nan)


def output_spreads(run: Run, loss_terms: tuple[LossTerm, ...]) -> tuple[OutputSpread, ...]:
    """The same of each of several outputs that a loss of its own judges; none where there is one."""
    known = [(term, term.output.name) for term in loss_terms if term.output]
    return tuple(_spread(run, name, right_spread(run, term)) for term, name in known) if len(known) > 1 else ()


def _spread(run: Run, name: str, right: float) -> OutputSpread:
    spread, rms = (run.series("activation", name, s).astype(np.float64) for s in ("example_std", "rms"))
    unknown = np.full(len(run.steps), nan)
    with np.errstate(invalid="ignore"):  # both overflow on the way to NaN
        relative = np.divide(spread, rms, out=unknown.copy(), where=rms > 0)
    return OutputSpread(spread / right if right > 0 else unknown, name, relative)


def right_spread(run: Run, term: LossTerm) -> float:
    """By how much the answers would differ from example to example were they right, as in `output_spread`."""
    if term.name.endswith("crossentropy"):
        if term.activation not in ("softmax", "sigmoid"):
            return 1.0
        share = 1 / term.units if term.activation == "softmax" and term.units else _mean(run, term.target)
        return sqrt(max(0.0, share * (1 - share)))
    return median(run.series("target", term.target, "std"))


def _mean(run: Run, target: str) -> float:
    mean = run.series("target", target, "mean")
    return float(np.nanmean(mean)) if np.isfinite(mean).any() else 0.5
