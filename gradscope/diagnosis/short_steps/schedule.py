"""Schedules of the learning rate that end too soon, or begin too late, for anything to be learnt."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LearningRate, LossTrend, Travel
from gradscope.diagnosis.evidence.median_line import median_line
from gradscope.diagnosis.evidence.travel import farthest
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.short_steps.unlearnt import EXPLAINS, Unlearnt, place
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule(Unlearnt):
    """A schedule that is over by half of the run, or a warm-up that outlasts it."""

    max_ended_rate: float = limit(0.01, "1", "of the largest, by half of the run: the rest of it trains nothing")
    max_wasted_rate: float = limit(1e-4, "1", "the same: what is left of it changes next to nothing")
    min_wasted_loss: float = limit(0.2, "1", "of a constant answer's loss: there was more to be learnt")
    error_cut_loss: float = limit(0.3, "1", "of a constant answer's loss, which was falling when the rate came down")
    min_ended_loss: float = limit(0.4, "1", "of a constant answer's loss: much is left when the rate is gone")
    min_cut_fall: float = limit(0.1, "1", "of the late loss, in the second half of the steps before that")
    max_ended_step: float = limit(2e-4, "1", "of a kernel's norm in the last step: a fifth of what is usual")
    max_warming_distance: float = limit(0.5, "1", "of a kernel's norm over a run that ends before its warm-up does")

    def _schedule(
        self, run: Run, trend: LossTrend, travel: tuple[Travel, ...], rate: LearningRate
    ) -> tuple[Finding, ...]:
        if self._has_ended(trend, travel, rate):
            return (self._ended(trend, rate),)
        if self._warms_up(trend, travel, rate):
            return (self._warming_up(run, trend, travel, rate),)
        return ()

    def _has_ended(self, trend: LossTrend, travel: tuple[Travel, ...], rate: LearningRate) -> bool:
        over = rate.midway <= self.max_ended_rate * rate.peak and rate.peak > 0
        long = trend.is_known and trend.reach >= self.error_steps
        # A rate that was huge at first may still be large enough.
        still = bool(travel) and max(path.sizes[-1] for path in travel) < self.max_ended_step
        # What stands still from early on for good wastes the rest of the run, whatever was learnt.
        wasted = rate.midway <= self.max_wasted_rate * rate.peak and not trend.fallen
        wasted &= trend.knows_constant and trend.remaining > self.min_wasted_loss
        return over and long and still and (trend.is_far(self.min_remaining_loss) or wasted)

    def _ended(self, trend: LossTrend, rate: LearningRate) -> Finding:
        far = trend.is_far(self.min_ended_loss if trend.bounded else self.min_remaining_loss) or (
            trend.remaining > self.error_cut_loss and self._was_cut_short(trend, rate)
        )
        what = "learning rate by half of the run, over its largest before"
        return Finding(
            rule=self.name,
            title="learning rate too low",
            sentence=f"the learning rate is down to {number(rate.midway)} by half of the run; the loss stays at "
            f"{place(trend)}",
            severity=Severity.ERROR if (far and trend.knows_constant) or trend.at_rest else Severity.WARNING,
            layers=(),
            # What nothing was learnt of is as it was from the start.
            first_step=int(trend.steps[0]) + (0 if trend.at_rest else trend.reach // 2),
            last_step=int(trend.steps[-1]),
            measurements=(
                Measurement(what, rate.midway / rate.peak, self.max_ended_rate, "1", "", "above 0.1"),
                self._remaining(trend),
            ),
            remedies=(remedies.decay_later(rate.peak),),
            variant="ended",
            phase="run",
            explains=EXPLAINS,
        )

    def _was_cut_short(self, trend: LossTrend, rate: LearningRate) -> bool:
        """Whether the loss was on its way down when the rate came down to a tenth."""
        before = (trend.steps <= rate.fell_at) & (trend.steps >= rate.fell_at / 2)
        slope, significance = median_line(trend.steps[before], trend.loss[before])
        return -significance > self.min_fall and -slope > self.min_cut_fall * trend.late

    def _warms_up(self, trend: LossTrend, travel: tuple[Travel, ...], rate: LearningRate) -> bool:
        long = trend.is_known and trend.reach >= self.error_steps
        near = farthest(travel) < self.max_warming_distance
        return rate.rising and long and near and trend.is_far(self.min_remaining_loss)

    def _warming_up(self, run: Run, trend: LossTrend, travel: tuple[Travel, ...], rate: LearningRate) -> Finding:
        return self._unlearnt(
            run,
            trend,
            variant="warming-up",
            why=f"the learning rate still rises at step {int(trend.steps[-1]):,}, the last of the log, where it is "
            f"{number(rate.last)}",
            measured=self._distance(max(travel, key=lambda path: path.distance), self.max_warming_distance),
            change=remedies.warm_up_sooner(trend.reach),
        )
