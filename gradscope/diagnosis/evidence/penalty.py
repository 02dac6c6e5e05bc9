"""What penalties and losses of layers add to what the outputs cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.run import Run

__all__ = ["Penalty", "penalty"]


@dataclass(frozen=True)
class Penalty:
    """NaN where it is not known what they add, or something else adds too."""

    early: float = nan
    """What they add at first, over what the outputs cost."""
    left: float = nan
    """What they add lately, over what they added at first: next to 0 where they have been minimised."""


def penalty(run: Run, nonfinite: Nonfinite) -> Penalty:
    """From the loss with and without them, where both were recorded."""
    both = [run.step_statistics.get(name) for name in ("loss", "called_loss")]
    if run.settings.get("loss_additions") != ["penalties"] or both[0] is None or both[1] is None:
        return Penalty()
    loss, bare = (np.asarray(series, dtype=np.float64) for series in both)
    window = finite_window(run, nonfinite)
    added = loss - bare
    early, late = median(added[window.early]), median(added[window.late])
    with np.errstate(divide="ignore", invalid="ignore"):
        return Penalty(window.early_level(added / bare), late / early if early > 0 else nan)
