"""What penalties and losses of layers add to what the outputs cost."""

from __future__ import annotations

import numpy as np

from gradscope.diagnosis.evidence.window import Window
from gradscope.run import Run

__all__ = ["penalty"]


def penalty(run: Run, window: Window) -> float:
    """What they add at first, over what the outputs cost; NaN where that is not known, or something else adds too."""
    both = [run.step_statistics.get(name) for name in ("loss", "called_loss")]
    if run.settings.get("loss_additions") != ["penalties"] or both[0] is None or both[1] is None:
        return float("nan")
    loss, bare = (np.asarray(series, dtype=np.float64) for series in both)
    with np.errstate(divide="ignore", invalid="ignore"):
        return window.early_level((loss - bare) / bare)
