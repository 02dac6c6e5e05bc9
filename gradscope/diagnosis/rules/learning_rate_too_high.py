"""Rule learning-rate-too-high."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis.evidence import ExampleSpread, LearningRate, LossTrend, Nonfinite, OptimizerGroup, Window
from gradscope.diagnosis.long_steps import GrowingRate, KilledUnits, Overshooting, Runaway
from gradscope.diagnosis.rule import NotJudged
from gradscope.diagnosis.verdict import Finding
from gradscope.run import Run


@dataclass(frozen=True)
class LearningRateTooHigh(GrowingRate, Runaway, KilledUnits, Overshooting):
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
        """Judge step size and harm together, each optimizer's for itself; then what shorter steps did."""
        if not optimizer_groups:
            raise NotJudged("no update of a kernel was recorded; record updates and weights")
        each = (
            self._overshot(run, group, loss_trend, nonfinite=nonfinite, spread=example_spread, window=window)
            or self._runaway(run, group, loss_trend)
            for group in optimizer_groups
        )
        found = (
            tuple(finding for finding in each if finding)
            or self._growing_rate(loss_trend, nonfinite, learning_rate)
            or self._killed_units(run, optimizer_groups, loss_trend)
        )
        if not (found or loss_trend.steps.size or len(optimizer_groups) > 1):
            raise NotJudged("no finite loss was recorded; record the loss")
        return found
