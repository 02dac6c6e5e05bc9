"""Whether the network, or one layer of it, was new when recording began."""

from __future__ import annotations

import numpy as np

from gradscope.run import Run

__all__ = ["fresh_start", "is_fresh", "is_still"]

_DRAWN = 0.05
_SCATTER = 0.05  # of the rms of a thousand numbers and more
_ROUNDING = 1e-6


def fresh_start(run: Run) -> bool | None:
    """True where all biases are exactly zero at the first sample, as initialisers leave them; None without biases.

    One that is not zero was trained before, or set on purpose. Biases of recurrent layers are left out: those of a
    forget gate begin at one.
    """
    return _are_zero(run, {variable.layer for variable in run.model.variables})


def is_fresh(run: Run, layer: str) -> bool | None:
    """The same of one layer."""
    return _are_zero(run, {layer})


def is_still(run: Run, layer: str) -> bool | None:
    """Whether the biases of one layer are zero from the first sample to the last; None if none was recorded.

    An embedding has none: there it is whether the vectors are as Keras draws them, evenly between ±0.05.
    """
    zero = _are_zero(run, {layer}, throughout=True)
    return _are_as_drawn(run, layer) if zero is None else zero


def _are_as_drawn(run: Run, layer: str) -> bool | None:
    mine = [card for card in run.model.variables if card.layer == layer]
    if [(card.role, card.initializer) for card in mine] != [("embeddings", "RandomUniform")]:
        return None
    least, greatest, rms = (run.series("weight", mine[0].name, name) for name in ("min", "max", "rms"))
    within = np.fmax(np.abs(least), np.abs(greatest)) <= _DRAWN * (1 + _ROUNDING)
    even = np.abs(rms / (_DRAWN / np.sqrt(3)) - 1) < _SCATTER
    known = np.isfinite(rms)
    return bool((within & even)[known].all()) if known.any() else None


def _are_zero(run: Run, layers: set[str], *, throughout: bool = False) -> bool | None:
    recurrent = {variable.layer for variable in run.model.variables if variable.role == "recurrent_kernel"}
    biases = [
        run.series("weight", variable.name, "rms")
        for variable in run.model.variables
        if variable.role == "bias" and variable.layer in layers - recurrent
    ]
    finite = [bias[np.isfinite(bias)] for bias in biases]
    known = [float(bias.max() if throughout else bias[0]) for bias in finite if len(bias)]
    return all(value == 0 for value in known) if known else None
