"""Steps that all go one way and add up until the weights have grown tenfold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossTrend, OptimizerGroup
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.long_steps.large_steps import EXPLAINS, LargeSteps, less_momentum
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number, of_layers
from gradscope.run import Run

__all__ = ["Runaway"]

_SAME_PACE = 0.1  # steps are sampled ever more rarely, and growth that feeds on itself speeds up


@dataclass(frozen=True)
class Runaway(LargeSteps):
    """Weights that run away, where the loss is no better for it or unknown."""

    max_growth: float = limit(
        10.0, "1", "times the first or Glorot's size; recorded healthy runs stay below 4, one of 2,000 steps at 7"
    )
    max_relapsing_growth: float = limit(5.0, "1", "the same where the loss comes back")

    def _runaway(self, run: Run, group: OptimizerGroup, trend: LossTrend) -> Finding | None:
        lost = trend.nonnegative and self._has_samples(trend) and self._comes_back(trend)
        most = self.max_relapsing_growth if lost else self.max_growth
        if not group.growth > most or (self._is_well(trend) and not lost):
            return None
        steps = _grown(group, most / 3)
        what = "late size of the weights over the first, median over the kernels"
        return Finding(
            rule=self.name,
            title="weights run away",
            sentence=f"the weights{of_layers(group.layers)} have grown to {number(group.growth)} times their size "
            f"(median over the kernels), and {'what was learnt is lost again' if lost else 'nothing was learnt by it'}",
            severity=Severity.ERROR,
            layers=group.layers,
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=(Measurement(what, group.growth, most, "1", "", "0.5 to 4"),),
            remedies=(
                *less_momentum(run, group),
                remedies.lower_learning_rate(
                    group.learning_rate, "Steps that all go one way, large ones or with too much momentum, add up."
                ),
                remedies.clip_gradients(),
            ),
            variant="runaway",
            explains=EXPLAINS - {"diverging-loss", "nonfinite-values"},
        )

    def _is_well(self, trend: LossTrend) -> bool:
        return trend.nonnegative and self._has_samples(trend) and not trend.is_far(self.min_remaining_loss)


def _grown(group: OptimizerGroup, least: float) -> npt.NDArray[np.int64]:
    """The steps at which a kernel has grown beyond ``least``, within the growth that takes the median there as well.

    Back from where it does, all steps belong to that growth between which it went at a tenth of the same pace or more:
    what one kernel grew before, while others rested and the network learnt, does not.
    """
    steps = np.unique(np.concatenate([path.steps for path in group.paths]))
    # A kernel whose update was not sampled at a step counts there as it was at the last one that was.
    last = [np.searchsorted(path.steps, steps, side="right") - 1 for path in group.paths]
    known = np.array([np.where(at < 0, np.nan, path.growth[at]) for path, at in zip(group.paths, last, strict=True)])
    sizes = np.array([median(at_step) for at_step in known.T])
    above = int(np.argmax(sizes > least))
    with np.errstate(divide="ignore", invalid="ignore"):  # weights that are zero have no pace
        pace = np.diff(np.log(sizes[: above + 1])) / np.diff(steps[: above + 1])
    slow = np.flatnonzero(~(pace >= _SAME_PACE * pace[-1:]))
    begin = min(int(slow[-1]) + 2, above) if len(slow) else 0
    return steps[begin:][(known[:, begin:] > least).any(axis=0)]
