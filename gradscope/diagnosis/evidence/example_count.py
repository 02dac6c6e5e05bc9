"""How many examples a training batch holds."""

from __future__ import annotations

import numpy as np

from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["example_count"]


def example_count(run: Run) -> float:
    """Median over the sampled steps; NaN if not recorded."""
    return median(np.asarray(run.step_statistics.get("example_count", np.zeros(0)), np.float64))
