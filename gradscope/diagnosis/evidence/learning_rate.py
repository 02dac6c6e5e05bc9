"""The learning rate over the run, as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.run import Run

__all__ = ["LearningRate", "learning_rate"]

_FEW = 8  # samples
_HALF = 0.5
_TENTH = 0.1
_STILL = 1.02


@dataclass(frozen=True)
class LearningRate:
    """The optimizer's learning rate; NaN where it was not recorded."""

    early: float
    """Median over the early samples."""
    late: float
    """Median over the last third of the steps."""
    midway: float
    """At the last sample in the first half of the steps."""
    largest: float
    peak: float
    """The largest in the first half of the steps."""
    last: float
    """At the last sample."""
    optimizer: str
    """Class name of the optimizer; empty if unknown."""
    fell_at: float
    """The first sampled step at which it is a tenth of the largest before, or less; infinite where there is none."""
    rising: bool
    """True where it never fell, and rose from less than half of its last value, the last quarter of the samples
    included: a warm-up that has not ended."""

    @property
    def falls_to(self) -> float:
        """The late rate over the largest; 1 for a constant one, and where it is unknown."""
        return self.late / self.largest if self.largest > 0 else 1.0


def learning_rate(run: Run, nonfinite: Nonfinite) -> LearningRate:
    """The rate over the samples before the first that is not finite."""
    window = finite_window(run, nonfinite)
    rate = np.asarray(run.step_statistics.get("learning_rate", np.full(len(run.steps), np.nan)), dtype=np.float64)
    recorded = window.usable & np.isfinite(rate)
    steps, known = run.steps[recorded], rate[recorded]
    optimizer = run.settings.get("optimizer")
    name = optimizer.get("name", "") if isinstance(optimizer, dict) else optimizer or ""
    half = known[: max(1, int((steps <= run.steps[-1:] / 2).sum()))]
    return LearningRate(
        median(rate[window.early]),
        median(rate[window.late]),
        float(half[-1]) if len(half) else float("nan"),
        float(known.max()) if len(known) else float("nan"),
        float(half.max()) if len(half) else float("nan"),
        float(known[-1]) if len(known) else float("nan"),
        str(name),
        _falls(steps, known),
        _rises(known),
    )


def _falls(steps: npt.NDArray[np.int64], rate: npt.NDArray[np.float64]) -> float:
    low = rate <= _TENTH * np.maximum.accumulate(rate) if len(rate) else np.zeros(0, bool)
    return float(steps[np.argmax(low)]) if low.any() else inf


def _rises(rate: npt.NDArray[np.float64]) -> bool:
    if len(rate) < _FEW or not (np.diff(rate) >= 0).all():
        return False
    late = rate[-1 - len(rate) // 4]
    return bool(rate[0] < _HALF * rate[-1] and _STILL * late < rate[-1])
