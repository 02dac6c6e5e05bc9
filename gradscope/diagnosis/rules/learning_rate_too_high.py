"""Rule learning-rate-too-high."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import ExampleSpread, LearningRate, LossTrend, Nonfinite, OptimizerGroup, Window
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number, of_layers
from gradscope.run import Run

_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "disconnected-variable:zero",
        "diverging-loss",
        "exploding-gradient",
        "loss-plateau",
        "nonfinite-values",
        "saturated-activation",
        "update-ratio-out-of-range:too-large",
        "vanishing-gradient",
    }
)
_SAME_PACE = 0.1  # steps are sampled ever more rarely, and growth that feeds on itself speeds up


_LAST = 2  # samples
_NEARLY = 0.3  # of its peak, which the last of several ever higher waves may have passed


@dataclass(frozen=True)
class LearningRateTooHigh(Rule):
    """Steps so long that they overshoot, and a loss that shows it.

    ## What it detects
    Updates that replace a good part of the weights in a single step, together with harm: the loss has risen, has ended
    in values that are not finite, or is no better than that of a constant answer.

    ## Why it matters
    A step that leaves the region where its gradient holds lands somewhere at random: the loss blows up, or the units
    die or saturate and the network is left with one constant answer.

    ## Evidence
    The largest ‖update‖ / ‖weight‖ of a sampled step, the median over the kernels; where weights were set far smaller
    than usual, over the usual (Glorot's) size, for then a large step is a sound one. The loss: its late level against
    its start and against a constant answer's. Large steps under which the loss falls are no finding here. Short steps
    that all go one way add up: weights that have grown tenfold, where the loss is no better for it or unknown. Of
    several optimizers each is judged by the kernels it trains, and the finding names their layers. Where the loss leapt
    up and is no better than at first since, or the first steps made all examples alike in the last hidden layer and
    nothing was learnt since, shorter steps count; so they do where units that lived died, after the network had begun
    to learn or as the weights doubled; and a rate that still grows at the end of the run counts where what was learnt
    is lost again, or values break.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> wild = {("update", f"{name}/kernel"): 2000 for name in ("hidden_1", "hidden_2", "output")}
    >>> ill = toy_run(wild, loss=[1.0] * 5 + [9.0] * 25)
    >>> [f.sentence for f in diagnose(ill, [LearningRateTooHigh()]).findings()]
    ['single steps change the weights by 200 % (median over the kernels) and the loss has risen to 9 times its start']
    >>> list(diagnose(toy_run(), [LearningRateTooHigh()]).findings())
    []

    ## Remedies
    A learning rate that brings the measured update-to-weight ratio to 1e-3; a lower momentum where it is 0.99 or more;
    warm-up; clipping by the global norm.

    ## References
    LeCun et al. 1998, Efficient BackProp (divergence beyond twice the optimal rate); Karpathy, CS231n notes (about
    1e-3). Limits of peers: TheDeepChecker and DeepDiagnosis, update ratio 0.1.
    """

    name: ClassVar[str] = "learning-rate-too-high"
    max_step: float = limit(0.3, "1", "of a kernel's norm in one step; recorded healthy runs stay below 0.25")
    max_leaping_step: float = limit(0.1, "1", "the same where the loss leapt up, and is no better than at first since")
    max_resting_step: float = limit(
        0.15, "1", "the same where the weights grow by half and the answers are constant: healthy steps begin below 0.1"
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
    max_killing_step: float = limit(
        0.05, "1", "the same where units that lived at first have died and what was learnt is lost: fifty times usual"
    )
    min_killing_growth: float = limit(1.5, "1", "times the first size, of the weights, there")
    min_sudden_growth: float = limit(
        2.0, "1", "the same where nothing was learnt before, after steps as where it leapt"
    )
    min_died: float = limit(0.35, "1", "of the units of a layer, there")
    max_learnt: float = limit(0.9, "1", "of the late loss, the lowest level before, there: it had learnt something")
    max_loss_rise: float = limit(1.5, "1", "times the start: beyond the noise of small batches")
    min_remaining_loss: float = limit(0.9, "1", "of a constant answer's loss, or of the start where that is unknown")
    min_growth_of_rate: float = limit(5.0, "1", "over the last half of the steps; a linear warm-up only doubles in it")
    min_growth_to_break: float = limit(2.0, "1", "over the first steps, where values stop being finite while it grows")
    min_loss_regained: float = limit(1.5, "1", "times the lowest level: what was learnt is lost again")
    min_slope: float = limit(2.0, "standard errors", "of the loss over the last half: it plainly rises")
    max_growth: float = limit(
        10.0, "1", "times the first or Glorot's size; recorded healthy runs stay below 4, one of 2,000 steps at 7"
    )
    min_shared_loss: float = limit(
        0.5, "1", "likewise, of one of several optimizers: with rivals or parts the loss says less of each"
    )
    min_samples: float = limit(5, "samples", "a loss that is not yet lower after fewer says nothing")

    def check(
        self,
        *,
        run: Run,
        optimizer_groups: tuple[OptimizerGroup, ...],
        window: Window,
        loss_trend: LossTrend,
        nonfinite: Nonfinite,
        learning_rate: LearningRate,
        example_spread: ExampleSpread,
    ) -> Iterable[Finding]:
        """Judge step size and harm together, each optimizer's for itself."""
        if not optimizer_groups:
            raise NotJudged("no update of a kernel was recorded; record updates and weights")
        found, killing, at_once = False, [], True
        for group in optimizer_groups:
            step = median(np.array([path.largest for path in group.paths]))
            anew = step > self.max_replacing_step and self._leaps(loss_trend)
            least = self.min_shared_loss if group.layers or anew else self.min_remaining_loss
            calm = loss_trend.fallen and max(float(path.sizes[-1]) for path in group.paths) < self.max_step / 3
            harm = "" if calm else self._harm(loss_trend, nonfinite, least)
            flattened = example_spread.first_steps < self.min_kept_spread and loss_trend.slow
            growth = median(np.array([path.growth[-1] for path in group.paths]))
            most = self.max_leaping_step if self._has_leapt(loss_trend) or flattened else self.max_step
            most = min(most, self.max_resting_step) if self._rests(loss_trend, growth) else most
            # Rivals have no common loss, one below zero has no level; half of the weights anew is too much anywhere.
            lossless = not (loss_trend.steps.size and loss_trend.nonnegative) and step > self.error_step
            found |= step > most and bool(harm or lossless)
            if step > most and (harm or lossless):
                grave = (step > self.error_step or most < self.max_step) and not window.young
                yield self._overshooting(run, group, (step, most), harm, grave=grave, growth=loss_trend.growth)
            elif growth > self.max_growth and not self._is_well(loss_trend):
                found = True
                yield self._runaway(run, group, growth)
            elif step > self.max_killing_step and growth > self.min_killing_growth:
                killing.append((group, step))
                at_once &= step > self.max_leaping_step and growth > self.min_sudden_growth
        if not found and (rising := self._rising(loss_trend, nonfinite, learning_rate)):
            yield rising
        elif not found and killing and (died := self._died(run, loss_trend, at_once=at_once)):
            for group, step in killing:
                yield self._overshooting(run, group, (step, self.max_killing_step), died, grave=True)
        elif not found and not loss_trend.steps.size and len(optimizer_groups) == 1:
            raise NotJudged("no finite loss was recorded; record the loss")

    def _overshooting(
        self,
        run: Run,
        group: OptimizerGroup,
        size: tuple[float, float],
        harm: str,
        *,
        grave: bool,
        growth: float = nan,
    ) -> Finding:
        step, most = size
        large = [
            int(path.steps[path.sizes > most / 3][i]) for path in group.paths if path.largest > most for i in (0, -1)
        ]
        return Finding(
            rule=self.name,
            title="learning rate too high",
            sentence=f"single steps change the weights{of_layers(group.layers)} by {_size(step)} (median over the "
            f"kernels){' and ' if harm else ''}{harm}",
            severity=Severity.ERROR if grave else Severity.WARNING,
            layers=group.layers,
            first_step=min(large),
            last_step=max(large),
            measurements=(
                Measurement(
                    "largest step in units of the weight, median over the kernels", step, most, "1", "", "1e-3"
                ),
            ),
            remedies=(
                *_less_momentum(run, group),
                _lower(run, group, step, growth),
                remedies.warm_up(group.learning_rate),
                remedies.clip_gradients(),
            ),
            phase="update",
            explains=_EXPLAINS,
        )

    def _died(self, run: Run, trend: LossTrend, *, at_once: bool) -> str:
        """Which units died, by the first steps or with what the network had begun to learn; empty if none did."""
        learnt = trend.best < self.max_learnt * trend.late
        if not (trend.slow and (learnt or (at_once and trend.at_rest))):
            return ""
        for name in run.names("activation"):
            dead = run.series("activation", name, "dead_unit_fraction")
            dead = dead[np.isfinite(dead)].astype(np.float64)
            if len(dead) >= self.min_samples and (share := median(dead[-len(dead) // 3 :])) - dead[0] > self.min_died:
                return f"{number(100 * share)} % of the units of {name} died"
        return ""

    def _is_well(self, trend: LossTrend) -> bool:
        return trend.nonnegative and len(trend.loss) >= self.min_samples and not trend.is_far(self.min_remaining_loss)

    def _runaway(self, run: Run, group: OptimizerGroup, growth: float) -> Finding:
        steps = _grown(group, self.max_growth / 3)
        return Finding(
            rule=self.name,
            title="weights run away",
            sentence=f"the weights{of_layers(group.layers)} have grown to {number(growth)} times their size (median "
            "over the kernels), and nothing was learnt by it",
            severity=Severity.ERROR,
            layers=group.layers,
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=(
                Measurement(
                    "late size of the weights over the first, median over the kernels",
                    growth,
                    self.max_growth,
                    "1",
                    "",
                    "0.5 to 4",
                ),
            ),
            remedies=(
                *_less_momentum(run, group),
                remedies.lower_learning_rate(
                    group.learning_rate, "Steps that all go one way, large ones or with too much momentum, add up."
                ),
                remedies.clip_gradients(),
            ),
            variant="runaway",
            explains=_EXPLAINS - {"diverging-loss", "nonfinite-values"},
        )

    def _rising(self, trend: LossTrend, nonfinite: Nonfinite, rate: LearningRate) -> Finding | None:
        """The rate still grows at the end, and by it what was learnt is lost again, or values break."""
        broken = nonfinite.first_broken is not None
        before, when, least = (
            (rate.early, "at first", self.min_growth_to_break)
            if broken
            else (rate.midway, "half-way", self.min_growth_of_rate)
        )
        grows = rate.last >= least * before > 0 and rate.last >= _NEARLY * rate.largest
        if not grows or not trend.nonnegative or len(trend.loss) < self.min_samples:
            return None
        back = float(trend.loss[-_LAST:].mean())
        if not broken and not (back > self.min_loss_regained * trend.best and trend.significance > self.min_slope):
            return None
        harm = "and then values stop being finite" if broken else f"and the loss is back at {number(back)}"
        lost = trend.steps[np.argmin(trend.loss)]
        return Finding(
            rule=self.name,
            title="learning rate grows",
            sentence=f"the learning rate grows to {number(rate.last)}, {number(rate.last / before)} times what it was "
            f"{when}, {harm}",
            severity=Severity.ERROR,
            layers=(),
            first_step=int(lost),
            last_step=int(trend.steps[-1]),
            measurements=(
                Measurement(
                    f"last learning rate over that {when}",
                    rate.last / before,
                    least,
                    "1",
                    "",
                    "at most 1",
                ),
            ),
            remedies=(remedies.decay_learning_rate(before),),
            variant="growing",
            phase="update",
            explains=_EXPLAINS,
        )

    def _rests(self, trend: LossTrend, growth: float) -> bool:
        """Whether a loss stands at a constant answer's although the weights have grown."""
        long = trend.reach >= self.error_steps and len(trend.loss) >= self.min_samples
        return long and trend.answers_constantly and trend.knows_constant and growth > self.min_killing_growth

    def _has_leapt(self, trend: LossTrend) -> bool:
        return self._leaps(trend) and trend.at_rest and len(trend.loss) >= self.min_samples

    def _leaps(self, trend: LossTrend) -> bool:
        highest = trend.loss.max() if trend.nonnegative else 0.0
        return bool(highest > self.min_leap * np.fmax(trend.start, trend.constant))

    def _harm(self, trend: LossTrend, nonfinite: Nonfinite, least: float) -> str:
        if nonfinite.first_broken is not None:
            return "the run ends in values that are not finite"
        if len(trend.loss) < self.min_samples:
            return ""
        if trend.change > self.max_loss_rise:
            return f"the loss has risen to {number(trend.change)} times its start"
        if trend.is_far(least):
            level = "a constant answer" if trend.knows_constant else "the start"
            return f"the loss is {'no' if least == self.min_remaining_loss else 'little'} better than that of {level}"
        return ""


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


def _lower(run: Run, group: OptimizerGroup, step: float, growth: float) -> Remedy:
    settings = optimizer_settings(run, group.paths[0].kernel.name)
    if growth > 1 and settings.name == "SGD" and not settings.momentum > 0:
        return remedies.stable_learning_rate(group.learning_rate, growth)
    return remedies.set_learning_rate(group.learning_rate, step)


def _less_momentum(run: Run, group: OptimizerGroup) -> tuple[Remedy, ...]:
    return remedies.lower_high_momentum(optimizer_settings(run, group.paths[0].kernel.name))


def _size(step: float) -> str:
    return f"{number(100 * step)} %" if step < 10 else f"{number(step)} times their size"
