"""A learning rate that grows until what was learnt is lost again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LearningRate, LossTrend, Nonfinite
from gradscope.diagnosis.long_steps.large_steps import EXPLAINS, LargeSteps, last_loss
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number

__all__ = ["GrowingRate"]

_NEARLY = 0.3  # of its peak, which the last of several ever higher waves may have passed


@dataclass(frozen=True)
class GrowingRate(LargeSteps):
    """A rate that still grows at the end, where the loss comes back or values break."""

    min_growth_of_rate: float = limit(5.0, "1", "over the last half of the steps; a linear warm-up only doubles in it")
    min_growth_to_break: float = limit(2.0, "1", "over the first steps, where values stop being finite while it grows")

    def _growing_rate(self, trend: LossTrend, nonfinite: Nonfinite, rate: LearningRate) -> tuple[Finding, ...]:
        broken = nonfinite.first_broken is not None
        before, when, least = (
            (rate.early, "at first", self.min_growth_to_break)
            if broken
            else (rate.midway, "half-way", self.min_growth_of_rate)
        )
        grows = rate.last >= least * before > 0 and rate.last >= _NEARLY * rate.largest
        if not (grows and trend.nonnegative and self._has_samples(trend) and (broken or self._comes_back(trend))):
            return ()
        harm = "and then values stop being finite" if broken else f"and the loss is back at {number(last_loss(trend))}"
        growth = rate.last / before
        found = Finding(
            rule=self.name,
            title="learning rate grows",
            sentence=f"the learning rate grows to {number(rate.last)}, {number(growth)} times what it was {when}, "
            f"{harm}",
            severity=Severity.ERROR,
            layers=(),
            first_step=int(trend.steps[np.argmin(trend.loss)]),
            last_step=int(trend.steps[-1]),
            measurements=(Measurement(f"last learning rate over that {when}", growth, least, "1", "", "at most 1"),),
            remedies=(remedies.decay_learning_rate(before),),
            variant="growing",
            phase="update",
            explains=EXPLAINS,
        )
        return (found,)
