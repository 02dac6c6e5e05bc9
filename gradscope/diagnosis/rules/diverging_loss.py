"""Rule diverging-loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LearningRate, LossTrend, Nonfinite, Window
from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_FASTER = 3.0
_FIRST = 5


@dataclass(frozen=True)
class DivergingLoss(Rule):
    """A loss that has risen far above where it came from, and stays there.

    ## What it detects
    A loss whose late level lies above its start, and above that of a constant answer where that is known; or one
    that climbed by orders of magnitude before it stopped being finite; and a negative loss that falls without bound.

    ## Why it matters
    Training makes the network worse: whatever it learnt is lost, and NaN is often the next thing to come.

    ## Evidence
    Medians of the loss over the first samples and over the last third of the steps, so that single bad batches, spikes
    and early transients do not count; and three quarters of the late samples must lie above all of the first, since
    batches of one vary more than that by chance. Where the loss function and the targets do not tell what a constant
    answer would cost (adversarial losses, rewards), only a rise by orders of magnitude is called divergence. A network
    that was trained before and starts well below a constant answer's loss is measured from its own start. A loss below
    zero that falls to a thousand times its first size, or to ten times it, ever faster and until it breaks, has the
    wrong sign.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(loss=[1.0] * 10 + [1000.0] * 20)
    >>> [f.sentence for f in diagnose(ill, [DivergingLoss()]).findings()]
    ['the loss has risen from 1 to 1000']
    >>> list(diagnose(toy_run(), [DivergingLoss()]).findings())
    []

    ## Remedies
    A lower learning rate, warmed up; a lower momentum where it is 0.99 or more; clipping by the global norm.

    ## References
    LeCun et al. 1998, Efficient BackProp; Goodfellow et al. 2016, Deep Learning, 8.2.4 (cliffs).
    """

    name: ClassVar[str] = "diverging-loss"
    max_loss_rise: float = limit(
        1.5, "1", "times the start and a constant answer's loss, lasting over a third of the steps"
    )
    max_skilled_loss: float = limit(0.5, "1", "of a constant answer's loss: a network that could do it already")
    max_skilled_rise: float = limit(3.0, "1", "times the start of such a network, which has forgotten what it knew")
    max_unexplained_rise: float = limit(10.0, "1", "times the start, where a constant answer's loss is unknown")
    error_unexplained_rise: float = limit(100.0, "1", "times the start, where a constant answer's loss is unknown")
    min_examples: float = limit(8, "examples", "the loss of a smaller batch is low by chance")
    max_unbounded_fall: float = limit(
        1000.0, "1", "times the first values: likelihoods and critics settle far before, a loss of the wrong sign never"
    )
    max_breaking_fall: float = limit(
        10.0, "1", "times the first values, ever faster and into values that are not finite: the sign is wrong as well"
    )
    min_samples: float = limit(6, "samples", "fewer show no level")

    def check(
        self,
        *,
        run: Run,
        window: Window,
        loss_trend: LossTrend,
        nonfinite: Nonfinite,
        learning_rate: LearningRate,
        fresh_start: bool | None,
    ) -> Iterable[Finding]:
        """Judge the late level and the way into NaN."""
        if not loss_trend.is_known:
            raise NotJudged("fewer than 3 finite losses were recorded; record the loss at more steps")
        if not loss_trend.nonnegative:
            yield from self._unbounded(loss_trend, nonfinite)
            return
        broken = nonfinite.first_broken is not None
        if len(loss_trend.loss) < self.min_samples and not broken:
            raise NotJudged(f"{len(loss_trend.loss)} samples show no level; record at least {self.min_samples:g}")
        known = loss_trend.knows_constant
        skilled = self._is_skilled(run, loss_trend, fresh_start=fresh_start)
        above_constant = known and not skilled
        reference = max(loss_trend.start, loss_trend.constant) if above_constant else loss_trend.start
        late = float(loss_trend.loss[-1]) if broken else loss_trend.late
        least = self.max_loss_rise if known and not broken else self.max_unexplained_rise
        least = self.max_skilled_rise if skilled and not broken else least
        chance = not broken and loss_trend.late_quartile <= loss_trend.start_greatest
        if chance or not late > least * reference > 0:
            return
        above = loss_trend.steps[loss_trend.loss > least * reference]
        what = "late loss over its start" + (" or a constant answer's" if above_constant else "")
        grave = (known and not broken) or late > self.error_unexplained_rise * reference
        yield Finding(
            rule=self.name,
            title="diverging loss",
            sentence=f"the loss has risen from {number(loss_trend.start)} to {number(late)}"
            + (", and then stopped being finite" if broken else ""),
            severity=Severity.ERROR if grave and not window.young else Severity.WARNING,
            layers=(),
            first_step=int(above[0]),
            last_step=int(above[-1]),
            measurements=(Measurement(what, late / reference, least, "1", "", "below 1"),),
            remedies=(
                *remedies.lower_high_momentum(optimizer_settings(run)),
                remedies.lower_learning_rate(learning_rate.largest, "The loss climbs where steps overshoot."),
                remedies.warm_up(learning_rate.largest / 10),
                remedies.clip_gradients(),
            ),
            confidence="high" if known else "medium",
            explains=frozenset({"learning-rate-too-high:runaway", "nonfinite-values"}),
        )

    def _is_skilled(self, run: Run, loss_trend: LossTrend, *, fresh_start: bool | None) -> bool:
        # The loss of few examples is small by chance, and a new network has no skill to lose.
        tells = loss_trend.knows_constant and not fresh_start and example_count(run) >= self.min_examples
        return tells and loss_trend.start < self.max_skilled_loss * loss_trend.constant

    def _unbounded(self, loss_trend: LossTrend, nonfinite: Nonfinite) -> Iterable[Finding]:
        size = max(1.0, float(np.abs(loss_trend.loss[:_FIRST]).max()))
        broken = nonfinite.first_broken is not None
        late = float(loss_trend.loss[-1]) if broken else loss_trend.late
        most = self.max_breaking_fall if broken and _falls_ever_faster(loss_trend) else self.max_unbounded_fall
        if not -late > most * size:
            raise NotJudged("the loss is negative at times, so its level says little")
        below = loss_trend.steps[-loss_trend.loss > size]
        yield Finding(
            rule=self.name,
            title="diverging loss",
            sentence=f"the loss falls without bound, from {number(loss_trend.start)} to {number(late)}"
            + (", and then stops being finite" if broken else ""),
            severity=Severity.ERROR,
            layers=(),
            first_step=int(below[0]),
            last_step=int(below[-1]),
            measurements=(
                Measurement("late loss over the size of the first", late / size, -most, "1", "", "-10 to 1"),
            ),
            remedies=(remedies.check_sign(),),
            variant="unbounded",
            explains=frozenset(
                {
                    "exploding-gradient",
                    "learning-rate-too-high",
                    "nonfinite-values",
                    "saturated-activation",
                    "update-ratio-out-of-range:too-large",
                }
            ),
        )


def _falls_ever_faster(loss_trend: LossTrend) -> bool:
    """Whether the second half of the steps brings the loss down three times as far as the first."""
    begin, middle, end = np.interp(
        np.linspace(loss_trend.steps[0], loss_trend.steps[-1], 3), loss_trend.steps, loss_trend.loss
    )
    return bool(middle - end > _FASTER * abs(begin - middle))
