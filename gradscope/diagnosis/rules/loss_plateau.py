"""Rule loss-plateau."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import ConstantAnswer, LearningRate, LossTrend, Nonfinite
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_FAR = 0.5
_FAR_UNBOUNDED = 0.8
_TWICE = 2
_THIRDS = 3  # the last of which is looked at
_ENDED = 0.1
_UP = 0.5  # of the late level


@dataclass(frozen=True)
class LossPlateau(Rule):
    """A loss that stands still where nothing has been learnt.

    ## What it detects
    A loss that no longer falls and is no lower than that of a constant answer; a note where it stands still
    part of the way down; and a loss that never came down to that of a constant answer.

    ## Why it matters
    However long it goes on, such a run ends with a network that knows no more than the mean of its targets.

    ## Evidence
    The loss over the last half of the steps: a median line (Theil & Sen), its fall against its standard error. Its late
    level against the loss of a constant answer, known from the loss function and the targets: ln C for cross-entropy
    over C classes, the entropy of the share of ones, the variance of the targets for squared errors. A plateau well
    below it may be the noise of the data itself, which no network can learn. Where that level is unknown, the start
    stands in, and the finding is a warning; a note where targets are shares, so that right answers leave most of the
    loss, and in a loop of one's own, whose loss may be a game between networks. A loss that falls so slowly that as
    many steps again would hardly change it is a warning, and an error where 300 steps left nearly all of it.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [LossPlateau()]).findings()]
    ['the loss stands still at 1, 100 % of what a constant answer has']
    >>> list(diagnose(toy_run(), [LossPlateau()]).findings())
    []

    ## Remedies
    Check that targets belong to their inputs; another learning rate; more capacity. Where another rule found a reason
    for it, begin there.

    ## References
    Theil 1950, Sen 1968 (median slope); Karpathy 2019, A recipe for training neural networks (verify the loss at
    initialisation, overfit one batch).
    """

    name: ClassVar[str] = "loss-plateau"
    min_remaining_loss: float = limit(
        0.95, "1", "of a constant answer's loss or of the start; batches that are sampled vary by 5 %"
    )
    min_settled_loss: float = limit(0.98, "1", "of a constant answer's loss, all of the last third: it has settled")
    max_settled_loss: float = limit(1.1, "1", "of a constant answer's loss, all of the last third: it has settled")
    note_remaining_loss: float = limit(
        0.6, "1", "of a constant answer's loss; below it a plateau may be the noise of the data"
    )
    max_late_loss: float = limit(
        1.3, "1", "of a constant answer's loss, all of the last third, and as many steps again would not bring it down"
    )
    late_steps: float = limit(500, "steps", "still above it then, though as many again would bring it down")
    min_late_change: float = limit(0.01, "1", "of the start: below it most of the way down is done")
    max_near_loss: float = limit(100.0, "1", "of a constant answer's loss: beyond it, it is not done for all that")
    crawling_loss: float = limit(0.9, "1", "of a constant answer's loss, though it falls")
    max_crawling_loss: float = limit(0.85, "1", "of it, as many steps later at the pace of the last half")
    error_crawling_loss: float = limit(0.95, "1", "of a constant answer's loss after error_crawling_steps")
    max_error_crawling_loss: float = limit(0.9, "1", "of it, as many steps later at the pace of the last half")
    error_crawling_steps: float = limit(300, "steps", "no recorded healthy run is above 0.9 by then")
    slow_loss: float = limit(
        0.75, "1", "the same after slow_steps; recorded healthy runs that still fall are below 0.7"
    )
    max_slow_loss: float = limit(0.6, "1", "as many steps later at the pace of the last half")
    slow_steps: float = limit(400, "steps", "most networks have got there long before")
    max_fall: float = limit(0.02, "1", "of the late loss over the last half of the steps")
    max_trend: float = limit(3.0, "standard errors", "beyond it the fall is no accident: 1 in 700 for Gaussian noise")
    min_steps: float = limit(100, "steps", "earlier it may yet begin to learn")
    min_samples: float = limit(8, "samples", "fewer show no line")

    def check(
        self,
        *,
        run: Run,
        loss_trend: LossTrend,
        constant_answer: ConstantAnswer,
        nonfinite: Nonfinite,
        learning_rate: LearningRate,
    ) -> Iterable[Finding]:
        """Judge level and slope together."""
        if not loss_trend.is_known:
            raise NotJudged("fewer than 3 finite losses were recorded; record the loss at more steps")
        if not loss_trend.nonnegative:
            raise NotJudged("the loss is negative at times, so its level says nothing")
        if loss_trend.reach < self.min_steps or len(loss_trend.loss) < self.min_samples:
            raise NotJudged(
                f"{len(loss_trend.loss)} samples over {loss_trend.reach} steps show no plateau; record at least "
                f"{self.min_samples:g} over {self.min_steps:g}"
            )
        if nonfinite.first_broken is not None:
            return
        if self._is_above(loss_trend):
            yield self._above(loss_trend)
        elif self._stands_still(loss_trend):
            yield from self._standing(run, loss_trend, constant_answer, learning_rate)
        elif self._crawls(loss_trend):
            yield self._crawling(loss_trend)

    def _stands_still(self, loss_trend: LossTrend) -> bool:
        falls = -loss_trend.significance > self.max_trend and -loss_trend.slope > self.max_fall * loss_trend.late
        low, high = loss_trend.late_range
        # A huge penalty on the weights may still decay long after the answers have become one constant.
        settled = (
            low > self.min_settled_loss * loss_trend.constant
            and high < self.max_settled_loss * loss_trend.constant
            and loss_trend.reach >= _THIRDS * self.min_steps
        )
        return settled or bool(np.isfinite(loss_trend.significance) and not falls)

    def _standing(
        self, run: Run, loss_trend: LossTrend, constant_answer: ConstantAnswer, learning_rate: LearningRate
    ) -> Iterable[Finding]:
        known, remaining = loss_trend.knows_constant, loss_trend.remaining
        nothing = self._has_learnt_nothing(loss_trend)
        if not nothing and not (known and remaining > self.note_remaining_loss):
            return
        place = f"{100 * remaining:.0f} % of {'what a constant answer has' if known else 'where it started'}"
        yield Finding(
            rule=self.name,
            title="loss plateau",
            sentence=f"the loss stands still at {number(loss_trend.late)}, {place}"
            + ("" if nothing else "; the noise of the data may allow no less"),
            severity=self._severity(run, loss_trend) if nothing and not constant_answer.soft else Severity.NOTE,
            layers=(),
            first_step=_begin(loss_trend),
            last_step=int(loss_trend.steps[-1]),
            measurements=(Measurement("remaining loss", remaining, self.min_remaining_loss, "1", "", "falling to 0"),),
            remedies=_remedies(learning_rate, nothing=nothing),
            confidence="high" if known else "medium",
        )

    def _has_learnt_nothing(self, loss_trend: LossTrend) -> bool:
        far = _FAR if loss_trend.bounded else _FAR_UNBOUNDED
        # Class weights or a penalty put the loss above that of a constant answer, and it may yet have fallen far.
        near = loss_trend.remaining < self.max_settled_loss or loss_trend.change > far
        unmoved = (loss_trend.knows_constant and near) or loss_trend.change > self.min_remaining_loss
        return loss_trend.remaining > self.min_remaining_loss and unmoved

    def _severity(self, run: Run, loss_trend: LossTrend) -> Severity:
        if loss_trend.knows_constant:
            # Of noisy classes next to nothing can be learnt, and that takes time.
            sure = loss_trend.remaining > self.min_settled_loss or loss_trend.reach >= _TWICE * self.min_steps
            return Severity.ERROR if sure else Severity.WARNING
        if run.settings.get("optimizers"):
            return Severity.NOTE  # those of rivals are to stand still
        named = run.settings.get("losses") or run.settings.get("loss")
        # Where it fell without doubt, if only a little, the rest may be an offset that nothing can change.
        return Severity.WARNING if named and not loss_trend.has_fallen else Severity.NOTE

    def _crawls(self, loss_trend: LossTrend) -> bool:
        if not (loss_trend.knows_constant and loss_trend.bounded):
            return False
        where, ahead, reach = loss_trend.remaining, loss_trend.ahead / loss_trend.constant, loss_trend.reach
        hardly = where > self.crawling_loss and ahead > self.max_crawling_loss and reach >= _TWICE * self.min_steps
        return hardly or (where > self.slow_loss and ahead > self.max_slow_loss and reach >= self.slow_steps)

    def _crawling(self, loss_trend: LossTrend) -> Finding:
        place = f"{100 * loss_trend.remaining:.0f} % of what a constant answer has"
        ahead = loss_trend.ahead / loss_trend.constant
        grave = loss_trend.remaining > self.error_crawling_loss and ahead > self.max_error_crawling_loss
        return self._unlearnt(
            loss_trend,
            "loss that hardly falls",
            f"at {place}, and at its pace as many again would leave it at {100 * ahead:.0f} %",
            Severity.ERROR if grave and loss_trend.reach >= self.error_crawling_steps else Severity.WARNING,
            min(self.crawling_loss, self.slow_loss),
            "crawling",
        )

    def _is_above(self, loss_trend: LossTrend) -> bool:
        level = self.max_late_loss * loss_trend.constant
        near = loss_trend.change <= self.min_late_change and loss_trend.remaining < self.max_near_loss
        late = loss_trend.reach >= self.late_steps and not near
        still = loss_trend.ahead > loss_trend.constant or late
        return loss_trend.bounded and loss_trend.late_range[0] > level and still

    def _above(self, loss_trend: LossTrend) -> Finding:
        times = f"{number(loss_trend.remaining)} times what a constant answer has"
        return self._unlearnt(
            loss_trend,
            "loss above a constant answer's",
            f"still {number(loss_trend.late)}, {times}",
            Severity.ERROR,
            self.max_late_loss,
            "above",
        )

    def _unlearnt(  # noqa: PLR0917  what the two kinds differ in
        self, loss_trend: LossTrend, title: str, where: str, severity: Severity, bound: float, variant: str
    ) -> Finding:
        return Finding(
            rule=self.name,
            title=title,
            sentence=f"after {loss_trend.reach:,} steps the loss is {where}",
            severity=severity,
            layers=(),
            first_step=int(loss_trend.steps[0] + loss_trend.reach // 2),
            last_step=int(loss_trend.steps[-1]),
            measurements=(Measurement("remaining loss", loss_trend.remaining, bound, "1", "", "falling to 0"),),
            remedies=(remedies.check_targets(),),
            variant=variant,
        )


def _begin(trend: LossTrend) -> int:
    """The first sampled step of the second half, or, where the loss was still far lower there, of its late level."""
    later = trend.steps >= trend.steps[0] + trend.reach // 2
    return int(trend.steps[later][np.argmax(trend.loss[later] >= _UP * trend.late)])


def _remedies(rate: LearningRate, *, nothing: bool) -> tuple[Remedy, ...]:
    if nothing:
        return (remedies.check_targets(),)
    # A schedule that has ended stands still because of that.
    ended = rate.falls_to < _ENDED
    return (remedies.decay_later(rate.largest) if ended else remedies.decay_learning_rate(rate.largest),)
