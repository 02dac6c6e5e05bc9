"""How much of what is asked for lies outside what an activation function can give."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run
from gradscope.vocabulary import QUANTILES

__all__ = ["RANGES", "TargetRange", "target_range"]

FloatArray = npt.NDArray[np.floating]

_LOWER, _UPPER = QUANTILES.index(0.25), QUANTILES.index(0.75)
_FEWEST = 8  # entries per batch
_GRADES = 5  # values that labels of a few classes do not take
_APART = 0.05  # of the whole range; quantiles are exact to a quarter octave
_QUARTILES = 1.349  # standard deviations between the quartiles of a normal distribution

RANGES: dict[str, tuple[float, float]] = {
    "relu": (0.0, inf),
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "softplus": (0.0, inf),
    "exponential": (0.0, inf),
    "elu": (-1.0, inf),
    "selu": (-1.7581, inf),
}
"""Least and greatest value of the activation functions of Keras that have a bound."""


@dataclass(frozen=True, eq=False)
class TargetRange:
    """What is known of the distribution of one target, or input, over the whole run."""

    least: float
    greatest: float
    mean: float
    """The median over the sampled steps."""
    quantiles: FloatArray
    """``[q]``, medians over the sampled steps, at `gradscope.vocabulary.QUANTILES`; NaN where not recorded, or of
    batches of fewer than eight entries."""

    @property
    def spread(self) -> FloatArray:
        """1,001 values that stand for the distribution, ascending, uniform between quantiles; none if unknown."""
        values = np.array([self.least, *self.quantiles, self.greatest])
        if not np.isfinite(values).all():
            return np.zeros(0)
        return np.interp(np.linspace(0.0, 1.0, 1001), [0.0, *QUANTILES, 1.0], np.maximum.accumulate(values))

    @property
    def is_graded(self) -> bool:
        """Whether it takes many values in between, as amounts do and the labels of two or three classes do not."""
        known = np.sort(np.array([self.least, *self.quantiles, self.greatest]))
        apart = np.diff(known) > _APART * (self.greatest - self.least)
        return bool(np.isfinite(known).all() and apart.sum() >= _GRADES - 1)

    @property
    def inner_spread(self) -> float:
        """The standard deviation of a normal distribution with the same quartiles; NaN if they are unknown."""
        return float(self.quantiles[_UPPER] - self.quantiles[_LOWER]) / _QUARTILES

    @property
    def outlying(self) -> float:
        """How far the farthest value lies from the median, in distances from there to the farther outer quantile.

        2 to 8 where all are of one kind; NaN if unknown, or where the quantiles do not differ.
        """
        low, high = float(self.quantiles[0]), float(self.quantiles[-1])
        middle = float(self.quantiles[len(self.quantiles) // 2])
        width = max(high - middle, middle - low)
        return max(self.greatest - middle, middle - self.least) / width if width > 0 else nan

    def unreachable(self, low: float, high: float) -> float:
        """Share of the targets' mean squared deviation from their median that no output in [low, high] can explain.

        0: all is within reach, 1 or more: the best answer is no better than a constant. From the quantiles, between
        which the distribution is taken for uniform; without them only targets that all lie outside count. NaN if
        nothing is known.
        """
        spread = self.spread
        if not len(spread):
            if not np.isfinite([self.least, self.greatest]).all():
                return nan
            outside = self.least >= high or self.greatest <= low
            return 1.0 if outside and self.greatest > self.least else nan
        variance = float(np.mean(np.square(spread - median(spread))))
        missed = float(np.mean(np.square(spread - np.clip(spread, low, high))))
        return missed / variance if variance > 0 else nan


def target_range(run: Run, name: str, kind: str = "target") -> TargetRange:
    """The range of the recorded tensor of that kind and name; all NaN if it was not recorded."""

    def over(statistic: str, pick: np.ufunc) -> float:
        series = run.series(kind, name, statistic)
        known = series[np.isfinite(series)]
        return float(pick.reduce(known)) if len(known) else nan

    # Those of a few entries lie wherever these happen to.
    few = median(run.series(kind, name, "count")) < _FEWEST
    quantiles = [nan if few else median(run.series(kind, name, f"quantile_{round(q * 100):02d}")) for q in QUANTILES]
    mean = median(run.series(kind, name, "mean").astype(np.float64))
    return TargetRange(over("min", np.minimum), over("max", np.maximum), mean, np.array(quantiles))
