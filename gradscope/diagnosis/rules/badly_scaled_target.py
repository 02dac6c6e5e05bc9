"""Rule badly-scaled-target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossLevel, LossTerm, LossTrend, Nonfinite
from gradscope.diagnosis.evidence.reach import TargetRange
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.run import Run

_SQUARED = "mean_squared_error"
_REGRESSION = (_SQUARED, "mean_absolute_error", "huber", "log_cosh")
_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "diverging-loss",
        "exploding-gradient",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "loss-plateau",
        "nonfinite-values",
        "outweighed-loss",
        "saturated-activation",
        "update-ratio-out-of-range:too-large",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class BadlyScaledTarget(Rule):
    """Regression targets far from unit scale.

    ## What it detects
    Targets in the hundreds or thousands (prices, years, counts) that a linear output layer is to reach, or in
    hundredths and less (returns, rates), beside which it starts far too large; a few that lie far from all others
    (codes for missing values, heavy tails).

    ## Why it matters
    The output starts at about unit scale. The gradient of a squared error grows with the targets: the first steps
    throw the layers below into saturation or kill their ReLUs. With Adam the steps do not grow, and the output creeps
    towards the targets for thousands of steps.

    ## Evidence
    The standard deviation of the recorded targets, for squared, absolute and Huber errors on a linear output; an offset
    alone is learnt by the output's bias: where after 50 steps it is not, or is and nothing else, it is an error (a
    warning where next to nothing else is after 200), but a note if most of the way is done and as many steps again
    would do. Tiny targets are an error where after 200 steps the loss is still above a constant answer's. A large
    deviation is a note where the loss falls by half all the same, a warning where it falls less, an error where next to
    nothing is learnt or the run ends in NaN. It is an error too where the loss falls and yet stays a hundred times
    above all that another output's term can add to it: the layers that both share follow the large one alone. Of values
    that break in the very first step, before any update, no scale of the targets is the cause.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("target", "target"): 1e4}, loss=1e8)
    >>> [f.sentence for f in diagnose(ill, [BadlyScaledTarget()]).findings()]
    ['the targets are large (standard deviation 1e+04), and output has to reach them as they are']
    >>> list(diagnose(toy_run(), [BadlyScaledTarget()]).findings())
    []

    ## Remedies
    Standardised targets; the answers are scaled back after prediction.

    ## References
    LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.5 (choosing target values).
    """

    name: ClassVar[str] = "badly-scaled-target"
    max_std: float = limit(30.0, "as the target", "thirty times the scale at which an output layer starts")
    error_std: float = limit(300.0, "as the target", "the gradient of a squared error is hundreds of times the usual")
    max_huge_loss: float = limit(
        0.4, "1", "of a constant answer's loss, and as many steps later: much is left under targets so large"
    )
    min_std: float = limit(0.03, "as the target", "a thirtieth of that scale")
    max_offset: float = limit(5.0, "1", "mean over standard deviation, and over the scale at which the output starts")
    max_idle_offset: float = limit(3.0, "1", "the same where the answers are at the mean, and nothing else is learnt")
    max_outlying: float = limit(
        30.0, "1", "distance of the farthest from the median over that of the 2 or 98 % quantile; 2 to 8 in sound data"
    )
    max_lagging_loss: float = limit(1.3, "1", "of a constant answer's loss: the bias is still on its way to the mean")
    min_stuck_loss: float = limit(0.9, "1", "likewise, as many steps later: it is there, and nothing else is learnt")
    max_lagging_change: float = limit(0.01, "1", "of the start: then most of the way to the mean is done")
    max_outweighing: float = limit(100.0, "1", "of two losses; the gradients of squared errors differ by 10 then")
    max_delay: float = limit(0.2, "1", "of the steps, before the loss began to fall: the answers had far to go")
    min_delayed_loss: float = limit(0.2, "1", "of a constant answer's loss, after such a delay")
    max_remaining_loss: float = limit(0.8, "1", "of a constant answer's loss: next to nothing is learnt")
    max_absolute_loss: float = limit(0.71, "1", "of a constant answer's loss, of errors that are not squared")
    error_steps: float = limit(50, "steps", "earlier no learning is to be expected")
    late_steps: float = limit(200, "steps", "by then an output has come down to targets of a usual size")

    def check(
        self,
        *,
        run: Run,
        loss_terms: tuple[LossTerm, ...],
        loss_levels: tuple[LossLevel, ...],
        loss_trend: LossTrend,
        nonfinite: Nonfinite,
    ) -> Iterable[Finding]:
        """Judge each regression target."""
        if not run.names("target"):
            raise NotJudged(
                "the targets were not recorded; record fit() with gradscope.Recorder, or a wrapped loop whose step "
                "names them y, labels or targets"
            )
        for term in loss_terms:
            if term.output is None or term.name not in _REGRESSION or term.activation not in ("linear", ""):
                continue
            std, mean = self._scale(run, term)
            if term.name == _SQUARED and self._has_outliers(term.targets, loss_trend):
                yield self._outlying(run, term.targets, term.output.name)
            elif std > self.max_std:
                drowned = self._drowned(term, loss_levels, loss_trend)
                severity = Severity.ERROR if drowned else self._severity(run, term, loss_trend, nonfinite)
                measured = self._deviation(std, self.max_std, term.output)
                yield self._finding(run, f"are large (standard deviation {number(std)})", measured, severity, drowned)
            elif 0 < std < self.min_std and mean < self.min_std and self._is_above(loss_trend):
                severity = Severity.ERROR if loss_trend.reach >= self.late_steps else Severity.NOTE
                measured = self._deviation(std, self.min_std, term.output)
                yield self._finding(run, f"are tiny (standard deviation {number(std)})", measured, severity)
            elif mean > self._most_offset(loss_trend) * max(1.0, std):
                yield self._off_centre(run, mean, std, term.output, loss_trend)

    def _scale(self, run: Run, term: LossTerm) -> tuple[float, float]:
        """Standard deviation and |mean| of the targets, the former without a few far ones where these do not rule."""
        std, mean = (median(run.series("target", term.target, s).astype(np.float64)) for s in ("std", "mean"))
        if term.name != _SQUARED:
            std = float(np.fmin(std, term.targets.inner_spread))
        return std, abs(mean)

    def _has_outliers(self, targets: TargetRange, loss_trend: LossTrend) -> bool:
        # Single ones rule squared errors alone: to others each of them is one target among many.
        return targets.outlying > self.max_outlying and loss_trend.slow and loss_trend.reach >= self.error_steps

    def _outlying(self, run: Run, targets: TargetRange, output: str) -> Finding:
        measured = Measurement(
            "farthest target from the median, over the distance of the outer quantile",
            targets.outlying,
            self.max_outlying,
            "1",
            output,
            "2 to 8",
        )
        reach = f"single ones lie between {number(targets.least)} and {number(targets.greatest)}"
        most = f"96 % between {number(float(targets.quantiles[0]))} and {number(float(targets.quantiles[-1]))}"
        return Finding(
            rule=self.name,
            title="targets with outliers",
            sentence=f"of the targets of {output} {most}, but {reach}: their errors are all that the loss is made of",
            severity=Severity.ERROR,
            layers=(output,),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(measured,),
            remedies=(remedies.tame_outliers(),),
            variant="outliers",
            explains=_EXPLAINS | {"exploding-gradient:over-time"},
        )

    def _drowned(self, term: LossTerm, levels: tuple[LossLevel, ...], loss_trend: LossTrend) -> list[str]:
        """The outputs whose losses count for next to nothing beside what is left of this one."""
        if loss_trend.reach < self.error_steps:
            return []
        left = next((each.left for each in levels if each.term is term), nan)
        return [each.name for each in levels if each.level < left / self.max_outweighing]

    def _most_offset(self, loss_trend: LossTrend) -> float:
        if self._is_above(loss_trend):
            return self.max_offset
        idle = loss_trend.reach >= self.error_steps and loss_trend.answers_constantly
        # So late it is there, and what is left of the targets has hardly begun to be learnt.
        idle |= loss_trend.reach >= self.late_steps and loss_trend.remaining > self.max_remaining_loss
        return self.max_idle_offset if idle else inf

    def _is_above(self, loss_trend: LossTrend) -> bool:
        return loss_trend.reach >= self.error_steps and loss_trend.remaining > self.max_lagging_loss

    @staticmethod
    def _deviation(std: float, bound: float, output: Layer) -> Measurement:
        return Measurement("standard deviation of the targets", std, bound, "1", output.name, "about 1")

    def _off_centre(self, run: Run, mean: float, std: float, output: Layer, loss_trend: LossTrend) -> Finding:
        what = "mean of the targets over their standard deviation, or over 1"
        most = self._most_offset(loss_trend)
        measured = Measurement(what, mean / max(1.0, std), most, "1", output.name, "about 0")
        least = self.min_stuck_loss if loss_trend.answers_constantly else self.max_lagging_loss
        soon = loss_trend.ahead < least * loss_trend.constant and loss_trend.change < self.max_lagging_change
        idle = loss_trend.answers_constantly or self._is_above(loss_trend)
        severity = Severity.NOTE if soon else Severity.ERROR if idle else Severity.WARNING
        return self._finding(run, f"lie about a large mean ({number(mean)})", measured, severity)

    def _finding(
        self, run: Run, what: str, measured: Measurement, severity: Severity, drowned: Sequence[str] = ()
    ) -> Finding:
        return Finding(
            rule=self.name,
            title="badly scaled target",
            sentence=f"the targets of {measured.layer} {what}, and its loss drowns that of {among(drowned)}"
            if drowned
            else f"the targets {what}, and {measured.layer} has to reach them as they are",
            severity=severity,
            layers=(measured.layer,),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(measured,),
            remedies=(remedies.standardise_targets(),),
            explains=_EXPLAINS if severity > Severity.NOTE else frozenset(),
        )

    def _severity(self, run: Run, term: LossTerm, loss_trend: LossTrend, nonfinite: Nonfinite) -> Severity:
        if nonfinite.first_broken == run.steps[0] == 0:
            return Severity.NOTE
        learnt_nothing = loss_trend.at_rest or (loss_trend.bounded and loss_trend.is_far(self.max_remaining_loss))
        if nonfinite.broken.any() or (learnt_nothing and loss_trend.reach >= self.error_steps):
            return Severity.ERROR
        huge = self._scale(run, term)[0] > self.error_std and loss_trend.reach >= self.late_steps
        stays = min(loss_trend.remaining, loss_trend.ahead / loss_trend.constant) > self.max_huge_loss
        if huge and loss_trend.bounded and stays:
            return Severity.ERROR
        held_up = loss_trend.delay > self.max_delay and loss_trend.remaining > self.min_delayed_loss
        # Half of a squared error is 0.7 of an absolute one.
        falls = loss_trend.falling or (term.name != _SQUARED and loss_trend.remaining < self.max_absolute_loss)
        return Severity.NOTE if falls and not held_up else Severity.WARNING
