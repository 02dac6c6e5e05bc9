"""Which variables an optimizer step leaves exactly as they were although they have a gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window
from gradscope.model_card import VariableCard
from gradscope.run import Run

__all__ = ["Standstill", "standstill"]


@dataclass(frozen=True, eq=False)
class Standstill:
    """One trainable variable, over the usable samples at which its gradient is not zero, ``[samples]``."""

    variable: VariableCard
    steps: npt.NDArray[np.int64]
    unmoved_fraction: npt.NDArray[np.floating]
    """Share of the entries with a gradient that the step left exactly as they were."""
    is_kernel: bool
    """True for matrices and convolution kernels."""


def standstill(run: Run, nonfinite: Nonfinite) -> tuple[Standstill, ...]:
    """The variables that the optimizer was handed and whose gradients and updates were recorded, in recorded order.

    Entries without a gradient (unused rows of an embedding, dead units) rightly stay as they are and do not count.
    """
    usable = finite_window(run, nonfinite).usable
    found = []
    for card in run.model.variables:
        if not (card.trainable and card.optimized and card.connected):
            continue
        size = run.series("gradient", card.name, "rms").astype(np.float64)
        moved = run.series("update", card.name, "zero_fraction").astype(np.float64)
        silent = run.series("gradient", card.name, "zero_fraction").astype(np.float64)
        known = usable & (size > 0) & (silent < 1) & np.isfinite(moved)
        if known.any():
            share = np.clip((moved[known] - silent[known]) / (1 - silent[known]), 0, 1)
            found.append(Standstill(card, run.steps[known], share, len(card.shape) > 1))
    return tuple(found)
