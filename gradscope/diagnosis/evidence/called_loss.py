"""What the Keras losses that a loop of one's own calls count for in its loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["CalledLoss", "called_loss"]

_EQUAL = 1e-3
_ADDED = 3.0


class CalledLoss(NamedTuple):
    """How the loss and the losses that were called hang together."""

    weight: float
    """What each of them counts for; NaN if unknown."""
    whole: bool
    """Whether the loss is a multiple of their sum, with nothing added; False where no such sum was recorded."""


def called_loss(run: Run) -> CalledLoss:
    """The recorded loss over the sum of the losses that were called.

    The same ratio at every sample is a weight (1, or the batch size where a loop adds up instead of averaging). One
    that varies between 1 and 3 is taken for a sum of which other terms, penalties say, are a part.
    """
    called, loss = (np.asarray(run.step_statistics.get(name, ()), np.float64) for name in ("called_loss", "loss"))
    if not len(called) or len(called) != len(loss):
        return CalledLoss(np.nan, whole=False)
    known = np.isfinite(called) & np.isfinite(loss) & (called > 0)
    ratio = loss[known] / called[known]
    typical = median(ratio)
    if len(ratio) and np.ptp(ratio) <= _EQUAL * abs(typical) and typical > 0:
        return CalledLoss(typical, whole=True)
    added = len(ratio) and ratio.min() >= 1 - _EQUAL and ratio.min() < _ADDED
    return CalledLoss(1.0 if added else np.nan, whole=False)
