"""What is left of the gradient after the optimizer's clipping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.global_gradient import GlobalGradient
from gradscope.diagnosis.evidence.window import Window

__all__ = ["Clipping", "clipping"]


@dataclass(frozen=True, eq=False)
class Clipping:
    """Over the usable samples with a gradient other than zero, ``[samples]``."""

    steps: npt.NDArray[np.int64]
    kept: npt.NDArray[np.floating]
    """Global norm after clipping over that before; 1 where nothing was clipped."""
    norm: npt.NDArray[np.floating]
    """Global norm before clipping."""


def clipping(global_gradient: GlobalGradient, window: Window) -> Clipping:
    """From the global gradient norms before and after clipping; nothing clipped where only one was recorded."""
    norm, clipped = global_gradient.norm, global_gradient.clipped_norm
    known = window.usable & np.isfinite(norm) & np.isfinite(clipped) & (norm > 0)
    return Clipping(window.steps[known], clipped[known] / norm[known], norm[known])
