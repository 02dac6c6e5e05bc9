"""Rule learning-rate-too-low."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis.evidence import CalledLoss, LearningRate, LossTrend, OptimizerGroup, Travel
from gradscope.diagnosis.short_steps import DividedLoss, FewUpdates, LeftBehind, Schedule, ShortDistance
from gradscope.diagnosis.verdict import Finding
from gradscope.run import Run


@dataclass(frozen=True)
class LearningRateTooLow(Schedule, FewUpdates, DividedLoss, LeftBehind, ShortDistance):
    """Steps in the right direction, but so short that training does not get anywhere.

    ## What it detects
    Sound gradients, a loss far from solved, and updates so small everywhere that all steps of the run together could
    not have moved any kernel by a tenth of its size; a loss that comes down in a straight line of which the run shows
    but the beginning; a warm-up that outlasts the run; a loss that is divided once too often; or a schedule that is
    over before anything is learnt.

    ## Why it matters
    The loss falls, if only just, so nothing looks broken; the run ends long before the network has learnt.

    ## Evidence
    Distance: the sum over all steps of ‖update‖ / ‖weight‖, per kernel; the farthest counts. Elasticity ‖∂loss/∂w‖·‖w‖
    / loss, the greatest of all kernels, tells a gradient that larger steps could use from one that vanished. Far from
    solved: the late loss against the loss of a constant answer, where the loss function and the targets tell it (ln C
    for C classes, the variance for squared errors), else against the start. A fine-tuned network starts near its goal
    and is left in peace; without that level, only a network whose biases begin at zero is taken for a new one. A
    warning where as many steps again, at the pace of the last half, would bring the loss well below. Where the last
    half of the steps brought about half of all the fall, and as many again would still leave most of it, a thousandth
    of a kernel's size per step is too little; so too, in shorter runs, where the loss makes at least half of the
    descent that the gradients promise, ⟨∂loss/∂w, update⟩ summed over the last half (Nocedal & Wright's actual over
    predicted reduction): along such steps it is a straight line and would bear longer ones. Of several optimizers each
    is judged by the kernels it trains. One that leaves new layers as they were while another trains its own is found
    whatever the loss does, for that of rivals says little. A schedule that is over by half of the run is an error where
    the loss was still falling when the rate came down, or is far from solved; accumulated gradients are judged by how
    many updates they leave, a loop's loss by what share of the called loss functions' it is, where steps are
    proportional to the gradient.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> slow = {("update", f"{name}/kernel"): 1e-2 for name in ("hidden_1", "hidden_2", "output")}
    >>> ill = toy_run(slow, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [LearningRateTooLow()]).findings()]
    ["291 steps together moved no kernel by more than 0.29 % of its size; the loss is at 100 % of a constant answer's"]
    >>> list(diagnose(toy_run(), [LearningRateTooLow()]).findings())
    []

    ## Remedies
    A learning rate that brings the measured update-to-weight ratio to 1e-3, at most a hundred times the present one at
    a time; an adaptive optimizer; a schedule that decays later.

    ## References
    Karpathy, CS231n notes (update-to-weight ratio about 1e-3); Smith 2017, Cyclical learning rates (range test);
    Nocedal & Wright 2006, Numerical Optimization, (4.4).
    """

    name: ClassVar[str] = "learning-rate-too-low"

    def check(
        self,
        *,
        run: Run,
        loss_trend: LossTrend,
        travel: tuple[Travel, ...],
        optimizer_groups: tuple[OptimizerGroup, ...],
        elasticity: dict[str, float],
        learning_rate: LearningRate,
        reduction_ratio: float,
        called_loss: CalledLoss,
        fresh_start: bool | None,
    ) -> Iterable[Finding]:
        """Judge the whole run at once: why its steps are short, where that shows, comes before how short they are."""
        return (
            self._schedule(run, loss_trend, travel, learning_rate)
            or self._few_updates(run, loss_trend)
            or self._divided_loss(run, loss_trend, travel, called_loss)
            or self._left_behind(run, loss_trend, optimizer_groups, learning_rate)
            or self._short_distance(
                run,
                loss_trend,
                optimizer_groups,
                learning_rate,
                elasticity=elasticity,
                reduction_ratio=reduction_ratio,
                fresh_start=fresh_start,
            )
        )
