"""How far the examples of a batch differ in the input and in each layer's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["ExampleSpread", "example_spread", "relative_spread"]

FloatArray = npt.NDArray[np.floating]
_FIRST = 3
_YOUNG = 20  # steps
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class ExampleSpread:
    """``example_std`` over rms: 1 for examples with nothing in common, 0 where all are alike; NaN for single ones."""

    inputs: Mapping[str, FloatArray]
    """By recorded input, each ``[steps]``."""
    hidden: Mapping[str, FloatArray]
    """By hidden layer in forward order, each ``[steps]``; a layer that gives nothing but zeros counts as 0. Layers that
    are fed by an input which is the same for all examples, and by nothing else, are left out."""
    first_steps: float
    """What the first 20 steps left of the spread of the hidden layer that comes last: the least of their samples over
    the very first; NaN if unknown."""
    kept: Mapping[str, FloatArray]
    """By layer that learns, the output included: ``example_std`` over what it was at first but 1 at most, each
    ``[steps]``. Layers whose scale a normalisation takes out are left out."""


def example_spread(run: Run, layers: tuple[Layer, ...]) -> ExampleSpread:
    """The spread of the inputs and of the outputs of all hidden layers that were recorded."""
    inputs = {name: relative_spread(run, "input", name) for name in run.names("input")}
    known = set(run.names("activation")) - _fed_alike(layers, inputs)
    hidden = {
        layer.name: relative_spread(run, "activation", layer.name)
        for layer in layers
        if layer.name in known and not layer.is_output
    }
    kept = {
        layer.name: _over_first(run, layer.name)
        for layer in layers
        if layer.name in known and layer.learns and not layer.normalised
    }
    return ExampleSpread(inputs, hidden, _first_steps(run, hidden), kept)


def _fed_alike(layers: tuple[Layer, ...], inputs: Mapping[str, FloatArray]) -> set[str]:
    alike = {name for name, series in inputs.items() if np.nan_to_num(series, nan=1.0).max(initial=0.0) < _ROUNDING}
    for layer in layers:
        inbound = layer.card.inbound if layer.card else None
        if inbound and alike.issuperset(inbound):
            alike.add(layer.name)
    return alike


def _first_steps(run: Run, hidden: Mapping[str, FloatArray]) -> float:
    known = [series for series in hidden.values() if len(series) and 0 < series[0] < np.inf]
    early = known[-1][run.steps <= run.steps[0] + _YOUNG] if known else np.full(1, np.nan)
    return float(np.nanmin(early) / early[0]) if np.isfinite(early[0]) else np.nan


def _over_first(run: Run, name: str) -> FloatArray:
    spread = run.series("activation", name, "example_std").astype(np.float64)
    first = median(spread[np.isfinite(spread)][:_FIRST])
    # What begins far above unit scale may come down to it and tell the examples apart as well as before.
    return spread / min(first, 1.0) if first > 0 else np.full(len(spread), np.nan)


def relative_spread(run: Run, kind: str, name: str) -> FloatArray:
    """``example_std`` over rms of a recorded tensor, ``[steps]``; NaN where unknown, 0 where all entries are zero."""
    spread = run.series(kind, name, "example_std").astype(np.float64)
    rms = run.series(kind, name, "rms").astype(np.float64)
    with np.errstate(invalid="ignore"):  # both overflow on the way to NaN
        relative: FloatArray = np.divide(spread, rms, out=np.full(len(rms), np.nan), where=rms > 0)
    relative[(rms == 0) & (spread == 0)] = 0.0
    return relative
