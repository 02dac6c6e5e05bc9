"""Single steps that replace a good part of the weights, and a loss that shows the harm."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from gradscope.diagnosis.evidence import ExampleSpread, LossTrend, Nonfinite, OptimizerGroup, Window
from gradscope.diagnosis.long_steps.large_steps import LargeSteps
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Finding
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = ["Overshooting"]


@dataclass(frozen=True)
class Overshooting(LargeSteps):
    """How large a step may be by what became of the loss, and what counts as harm."""

    max_resting_step: float = limit(
        0.15,
        "1",
        "of a kernel's norm where its weights grow by half and the answers are constant: healthy steps begin below 0.1",
    )
    error_steps: float = limit(100, "steps", "there: earlier no learning is to be expected")
    min_leap: float = limit(10.0, "1", "times the start or a constant answer's loss, whichever is larger")
    error_step: float = limit(0.5, "1", "one step replaces half of the weights")
    min_kept_spread: float = limit(
        0.01, "1", "what the first 20 steps leave of how examples differ in the last hidden layer: as after a leap"
    )
    max_replacing_step: float = limit(
        1.0, "1", "where the loss leapt up too, half of a constant answer's loss is little to have learnt"
    )
    max_loss_rise: float = limit(1.5, "1", "times the start: beyond the noise of small batches")
    min_late_loss: float = limit(0.6, "1", "of a constant answer's loss, after late_steps: little is learnt so")
    late_steps: float = limit(200, "steps", "before min_late_loss counts: what began with a leap may yet learn")
    min_shared_loss: float = limit(
        0.5,
        "1",
        "like min_remaining_loss, of one of several optimizers: with rivals or parts the loss says less of each",
    )

    def _overshot(
        self,
        run: Run,
        group: OptimizerGroup,
        trend: LossTrend,
        *,
        nonfinite: Nonfinite,
        spread: ExampleSpread,
        window: Window,
    ) -> Finding | None:
        step, most = group.largest_step, self._largest_sound_step(group, trend, spread)
        harm = self._harm(group, trend, nonfinite)
        # Rivals have no common loss, one below zero has no level; half of the weights anew is too much anywhere.
        lossless = not (trend.steps.size and trend.nonnegative) and step > self.error_step
        if not (step > most and (harm or lossless)):
            return None
        grave = (step > self.error_step or most < self.max_step) and not window.young
        return self._large_steps(run, group, most, harm, grave=grave, growth=trend.growth)

    def _largest_sound_step(self, group: OptimizerGroup, trend: LossTrend, spread: ExampleSpread) -> float:
        leapt = self._leaps(trend) and trend.at_rest and self._has_samples(trend)
        flattened = spread.first_steps < self.min_kept_spread and trend.slow
        most = self.max_leaping_step if leapt or flattened else self.max_step
        return min(most, self.max_resting_step) if self._rests(group, trend) else most

    def _leaps(self, trend: LossTrend) -> bool:
        highest = trend.loss.max() if trend.nonnegative else 0.0
        return bool(highest > self.min_leap * np.fmax(trend.start, trend.constant))

    def _rests(self, group: OptimizerGroup, trend: LossTrend) -> bool:
        """Whether a loss stands at a constant answer's although the weights have grown."""
        long = trend.reach >= self.error_steps and self._has_samples(trend)
        return long and trend.answers_constantly and trend.knows_constant and group.growth > self.min_killing_growth

    def _harm(self, group: OptimizerGroup, trend: LossTrend, nonfinite: Nonfinite) -> str:
        """What the loss suffered; empty where it did not, or where all is learnt and the steps are short by now."""
        if trend.fallen and max(float(path.sizes[-1]) for path in group.paths) < self.max_step / 3:
            return ""
        if nonfinite.first_broken is not None:
            return "the run ends in values that are not finite"
        if not self._has_samples(trend):
            return ""
        if trend.change > self.max_loss_rise:
            return f"the loss has risen to {number(trend.change)} times its start"
        anew = group.largest_step > self.max_replacing_step and self._leaps(trend)
        level = "a constant answer" if trend.knows_constant else "the start"
        if trend.is_far(self.min_remaining_loss):
            return f"the loss is no better than that of {level}"
        late = trend.knows_constant and trend.bounded and trend.reach >= self.late_steps
        least = self.min_shared_loss if group.layers or anew else self.min_late_loss if late else inf
        return f"the loss is little better than that of {level}" if trend.is_far(least) else ""
