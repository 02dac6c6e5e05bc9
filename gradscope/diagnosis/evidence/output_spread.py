"""How much the network's answers differ from example to example, beside how much they should."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.run import Run

__all__ = ["OutputSpread", "output_spread"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class OutputSpread:
    """The spread of the answers over the examples of a batch, relative to that of the right answers."""

    ratio: FloatArray
    """``[steps]``; 0 where all examples get one answer, about 1 where the network has learnt, NaN where unknown: with
    one example per batch, several outputs, or targets that were not recorded."""
    layer: str
    """The output layer; empty where there are several."""


def output_spread(run: Run, layers: tuple[Layer, ...]) -> OutputSpread:
    """``example_std`` of the output over the standard deviation of what it should be.

    That is the recorded targets' for regression; √(p (1 - p)) for the probabilities of one class among K, p = 1/K, and
    of a yes or no, p the share of yes; and 1 for logits.
    """
    outputs = [layer for layer in layers if layer.is_output]
    losses = run.settings.get("losses")
    if len(outputs) != 1 or not isinstance(losses, list) or len(losses) != 1 or not isinstance(losses[0], dict):
        return OutputSpread(np.full(len(run.steps), nan), "")
    output = outputs[0]
    spread = run.series("activation", output.name, "example_std").astype(np.float64)
    right = _right_spread(run, output, str(losses[0].get("name")))
    return OutputSpread(spread / right if right > 0 else np.full(len(run.steps), nan), output.name)


def _right_spread(run: Run, output: Layer, loss: str) -> float:
    classes = output.card.units if output.card else None
    activation = output.card.activation.name if output.card and output.card.activation else ""
    if loss.endswith("crossentropy"):
        if activation not in ("softmax", "sigmoid"):
            return 1.0
        share = 1 / classes if activation == "softmax" and classes else _mean(run)
        return sqrt(max(0.0, share * (1 - share)))
    spread = run.series("target", "target", "std")
    return float(np.nanmedian(spread)) if np.isfinite(spread).any() else nan


def _mean(run: Run) -> float:
    mean = run.series("target", "target", "mean")
    return float(np.nanmean(mean)) if np.isfinite(mean).any() else 0.5
