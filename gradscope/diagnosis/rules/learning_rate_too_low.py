"""Rule learning-rate-too-low."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LearningRate, LossTrend, OptimizerGroup, Travel
from gradscope.diagnosis.evidence.fresh_start import is_fresh
from gradscope.diagnosis.evidence.median_line import median_line
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number, of_layers
from gradscope.model_card import HALF_FORMATS
from gradscope.run import Run

_HARDLY = 10  # times less than what is too little, while another optimizer's layers go far
_UTTERLY = 100  # times less than what is too little


@dataclass(frozen=True)
class LearningRateTooLow(Rule):
    """Steps in the right direction, but so short that training does not get anywhere.

    ## What it detects
    Sound gradients, a loss far from solved, and updates so small everywhere that all steps of the run together could
    not have moved any kernel by a tenth of its size; a loss that comes down in a straight line of which the run shows
    but the beginning; a warm-up that outlasts the run; or a schedule that is over before anything is learnt.

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
    many updates they leave.

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
    max_distance: float = limit(
        0.1, "1", "of a kernel's norm over the whole run; recorded healthy runs of 100 to 1,500 steps show 0.3 to 40"
    )
    max_long_distance: float = limit(
        0.25, "1", "the same of line_steps or more that leave most of a constant answer's loss, and would again"
    )
    max_crawling_distance: float = limit(
        0.3, "1", "the same where the loss falls without a doubt and is still that of a constant answer"
    )
    min_remaining_loss: float = limit(
        0.5, "1", "of a constant answer's loss or of the start: half of the way is still to go"
    )
    error_remaining_loss: float = limit(
        0.6, "1", "of a constant answer's loss or of the start: as many steps again would not get far either"
    )
    max_line_step: float = limit(
        1e-3, "1", "the same per step where the loss falls in a straight line to the end, and is far from it"
    )
    min_line_loss: float = limit(0.75, "1", "of a constant answer's loss: a straight line is far from its end")
    max_short_line_step: float = limit(5e-4, "1", "likewise where the line leads a little farther")
    min_short_line_loss: float = limit(0.7, "1", "of a constant answer's loss, there")
    min_short_line_ahead: float = limit(0.4, "1", "the same, as many steps later")
    min_reduction_ratio: float = limit(
        0.5, "1", "of the descent that the gradients promise: noise and curvature leave less where steps are long"
    )
    max_unbent_step: float = limit(7e-4, "1", "of a kernel's norm per step, there: the healthy 1e-3 is not called low")
    min_unbent_ahead: float = limit(
        0.35, "1", "of a constant answer's loss, as many steps later, where the loss makes what is promised"
    )
    min_late_share: float = limit(0.4, "1", "of all that the loss fell, by the last half: half of a straight line")
    min_fall: float = limit(3.0, "standard errors", "of the loss over the last half: it plainly falls")
    line_steps: float = limit(400, "steps", "earlier a plain deep network may yet begin to learn")
    min_elasticity: float = limit(5e-3, "1", "0.4 to 160 in networks that learn, below 2e-3 where gradients vanished")
    max_ended_rate: float = limit(0.01, "1", "of the largest, by half of the run: the rest of it trains nothing")
    max_wasted_rate: float = limit(1e-4, "1", "the same: what is left of it changes next to nothing")
    min_wasted_loss: float = limit(0.2, "1", "of a constant answer's loss: there was more to be learnt")
    error_cut_loss: float = limit(0.3, "1", "of a constant answer's loss, which was falling when the rate came down")
    min_cut_fall: float = limit(0.1, "1", "of the late loss, in the second half of the steps before that")
    max_ended_step: float = limit(2e-4, "1", "of a kernel's norm in the last step: a fifth of what is usual")
    max_warming_distance: float = limit(0.5, "1", "of a kernel's norm over a run that ends before its warm-up does")
    min_updates: float = limit(50, "updates", "where gradients are accumulated: no learning is to be expected of fewer")
    min_steps: float = limit(50, "steps", "earlier no learning is to be expected")
    error_steps: float = limit(100, "steps", "healthy networks have learnt something by then")
    late_steps: float = limit(200, "steps", "a loss that is above a constant answer's even then came down too slowly")

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
        fresh_start: bool | None,
    ) -> Iterable[Finding]:
        """Judge the whole run at once, each optimizer for itself."""
        if self._ended(loss_trend, travel, learning_rate):
            yield self._over(loss_trend, learning_rate)
            return
        if self._warms_up(loss_trend, travel, learning_rate):
            yield self._warming(run, loss_trend, travel, learning_rate)
            return
        updates = self._updates(run, loss_trend)
        if 1 <= updates < self.min_updates and loss_trend.is_far(self.min_remaining_loss):
            yield self._few_updates(run, loss_trend, updates)
            return
        behind = [group for group in optimizer_groups if self._is_behind(group, optimizer_groups, run, loss_trend)]
        for group in behind:
            yield self._left_behind(group, run, learning_rate)
        if behind:
            return
        self._require(loss_trend, travel)
        # On its way down from far above a network may learn; where it still is after so many steps it has not begun to.
        late = loss_trend.knows_constant and loss_trend.remaining > 1 and loss_trend.reach >= self.late_steps
        if not (late or loss_trend.is_far(self.min_remaining_loss)):
            return
        # Without a level to reach, a network that was trained before may be near its goal from the start.
        sure = bool(loss_trend.knows_constant or fresh_start)
        unbent = self._is_unbent(loss_trend, reduction_ratio)
        least = self._least_distance(loss_trend, unbent=unbent)
        for group in optimizer_groups:
            farthest = group.farthest
            # Behind a branch that begins at zero the first gradients are zero as they should be.
            names = [path.kernel.name for path in group.paths] if group.layers else elasticity
            usable = max((elasticity[name] for name in names if name in elasticity), default=float("nan"))
            moves = learning_rate.largest > 0 or farthest.distance > 0
            if not (moves and farthest.distance < least and usable >= self.min_elasticity):
                continue
            yield Finding(
                rule=self.name,
                title="learning rate too low",
                sentence=f"{loss_trend.reach:,} steps together moved no kernel{of_layers(group.layers)} by more than "
                f"{number(100 * farthest.distance)} % of its size; the loss is at {self._place(loss_trend)}",
                severity=Severity.ERROR if unbent else self._severity(loss_trend, farthest, sure=sure),
                layers=group.layers,
                first_step=int(loss_trend.steps[0]),
                last_step=int(loss_trend.steps[-1]),
                measurements=(
                    self._distance(farthest, least),
                    self._remaining(loss_trend),
                    Measurement("elasticity of the loss", usable, self.min_elasticity, "1", "", "0.4 to 160"),
                    *self._promised(reduction_ratio, unbent=unbent),
                ),
                remedies=_remedies(
                    replace(learning_rate, largest=group.learning_rate), farthest.distance / loss_trend.reach
                ),
                confidence="high" if sure else "medium",
                phase="run",
                explains=_explains(run),
            )

    def _is_behind(self, group: OptimizerGroup, groups: tuple[OptimizerGroup, ...], run: Run, trend: LossTrend) -> bool:
        """Whether an optimizer leaves new layers as they were while another one trains its own."""
        distance, long = group.farthest.distance, run.steps[-1] - run.steps[0] >= self.error_steps
        most = max(other.farthest.distance for other in groups)
        new = all(is_fresh(run, layer) is not False for layer in group.layers)
        still = 0 < distance < self.max_distance / _HARDLY and distance < most / _UTTERLY
        return len(groups) > 1 and long and still and new and not trend.fallen

    def _left_behind(self, group: OptimizerGroup, run: Run, learning_rate: LearningRate) -> Finding:
        farthest, steps = group.farthest, int(run.steps[-1] - run.steps[0])
        return Finding(
            rule=self.name,
            title="learning rate too low",
            sentence=f"{steps:,} steps together moved no kernel{of_layers(group.layers)} by more than "
            f"{number(100 * farthest.distance)} % of its size, while another optimizer trains the rest",
            severity=Severity.ERROR,
            layers=group.layers,
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(self._distance(farthest, self.max_distance),),
            remedies=_remedies(replace(learning_rate, largest=group.learning_rate), farthest.distance / steps),
            phase="run",
            explains=_explains(run),
        )

    def _updates(self, run: Run, loss_trend: LossTrend) -> float:
        """How many updates the steps of a long run make where gradients are accumulated; infinitely many elsewhere."""
        accumulated = optimizer_settings(run).accumulated
        long = accumulated > 1 and loss_trend.is_known and loss_trend.reach >= self.error_steps
        return loss_trend.reach / accumulated if long else inf

    def _few_updates(self, run: Run, loss_trend: LossTrend, updates: float) -> Finding:
        accumulated = optimizer_settings(run).accumulated
        return self._unlearnt(
            run,
            loss_trend,
            "few-updates",
            f"gradients are accumulated over {accumulated} batches: {loss_trend.reach:,} steps make {updates:.0f} "
            "updates",
            Measurement("updates of the run", updates, self.min_updates, "updates", "", "hundreds"),
            remedies.accumulate_less(loss_trend.reach),
        )

    def _unlearnt(  # noqa: PLR0917  what the kinds differ in
        self, run: Run, trend: LossTrend, variant: str, what: str, measured: Measurement, change: Remedy
    ) -> Finding:
        known = trend.knows_constant and trend.remaining > self.error_remaining_loss
        return Finding(
            rule=self.name,
            title="too few updates" if variant == "few-updates" else "learning rate too low",
            sentence=f"{what}; the loss is at {self._place(trend)}",
            severity=Severity.ERROR if known or trend.at_rest else Severity.WARNING,
            layers=(),
            first_step=int(trend.steps[0]),
            last_step=int(trend.steps[-1]),
            measurements=(measured, self._remaining(trend)),
            remedies=(change,),
            variant=variant,
            phase="run",
            explains=_explains(run),
        )

    def _remaining(self, trend: LossTrend) -> Measurement:
        return Measurement("remaining loss", trend.remaining, self.min_remaining_loss, "1", "", "falling to 0")

    def _distance(self, path: Travel, least: float) -> Measurement:
        return Measurement(
            f"distance travelled by {path.kernel.name}, the farthest",
            path.distance,
            least,
            "1",
            path.kernel.layer.name,
            "above 0.3",
        )

    def _promised(self, ratio: float, *, unbent: bool) -> tuple[Measurement, ...]:
        what = "descent of the loss over what the gradients promise"
        return (Measurement(what, ratio, self.min_reduction_ratio, "1", "", "below a half"),) if unbent else ()

    def _is_unbent(self, trend: LossTrend, reduction_ratio: float) -> bool:
        """Whether the loss is a straight line along the very steps, and far from its end even after as many again."""
        plain = trend.knows_constant and trend.bounded and trend.reach >= self.error_steps
        plain &= -trend.significance > self.min_fall and reduction_ratio >= self.min_reduction_ratio
        return plain and trend.is_far(self.min_short_line_loss) and trend.ahead > self.min_unbent_ahead * trend.constant

    def _least_distance(self, trend: LossTrend, *, unbent: bool) -> float:
        if trend.answers_constantly and trend.has_fallen:
            return self.max_crawling_distance
        least = max(self.max_distance, self.max_unbent_step * trend.reach) if unbent else self.max_distance
        long = trend.knows_constant and trend.bounded and trend.reach >= self.line_steps
        if long and trend.is_far(self.error_remaining_loss) and trend.ahead > self.min_remaining_loss * trend.constant:
            least = max(least, self.max_long_distance)
        straight = -trend.significance > self.min_fall and trend.late_share > self.min_late_share
        if not (long and straight):
            return least
        ahead = trend.ahead / trend.constant
        if trend.is_far(self.min_line_loss) and ahead > self.error_remaining_loss:
            least = max(least, self.max_line_step * trend.reach)
        elif trend.is_far(self.min_short_line_loss) and ahead > self.min_short_line_ahead:
            least = max(least, self.max_short_line_step * trend.reach)
        return least

    def _severity(self, trend: LossTrend, farthest: Travel, *, sure: bool) -> Severity:
        # On its way down from a constant answer's loss, as many steps again may be all it needs.
        where = trend.ahead / trend.level if trend.remaining < 1 else trend.remaining
        long = trend.reach >= self.error_steps or farthest.distance < self.max_distance / _UTTERLY
        slow = trend.reach >= self.line_steps and trend.remaining > self.error_remaining_loss
        enough = self.min_remaining_loss if slow else self.error_remaining_loss
        return Severity.ERROR if sure and long and where > enough else Severity.WARNING

    def _ended(self, loss_trend: LossTrend, travel: tuple[Travel, ...], learning_rate: LearningRate) -> bool:
        over = learning_rate.midway <= self.max_ended_rate * learning_rate.peak and learning_rate.peak > 0
        long = loss_trend.is_known and loss_trend.reach >= self.error_steps
        # A rate that was huge at first may still be large enough.
        still = bool(travel) and max(path.sizes[-1] for path in travel) < self.max_ended_step
        # What stands still from early on for good wastes the rest of the run, whatever was learnt.
        wasted = learning_rate.midway <= self.max_wasted_rate * learning_rate.peak and not loss_trend.fallen
        wasted &= loss_trend.knows_constant and loss_trend.remaining > self.min_wasted_loss
        return over and long and still and (loss_trend.is_far(self.min_remaining_loss) or wasted)

    def _cut_short(self, trend: LossTrend, rate: LearningRate) -> bool:
        """Whether the loss was on its way down when the rate came down to a tenth."""
        before = (trend.steps <= rate.fell_at) & (trend.steps >= rate.fell_at / 2)
        slope, significance = median_line(trend.steps[before], trend.loss[before])
        return -significance > self.min_fall and -slope > self.min_cut_fall * trend.late

    def _over(self, loss_trend: LossTrend, learning_rate: LearningRate) -> Finding:
        half = int(loss_trend.steps[0]) + loss_trend.reach // 2
        far = loss_trend.is_far(self.min_remaining_loss) or (
            loss_trend.remaining > self.error_cut_loss and self._cut_short(loss_trend, learning_rate)
        )
        return Finding(
            rule=self.name,
            title="learning rate too low",
            sentence=f"the learning rate is down to {number(learning_rate.midway)} by half of the run; the loss stays "
            f"at {self._place(loss_trend)}",
            severity=Severity.ERROR if (far and loss_trend.knows_constant) or loss_trend.at_rest else Severity.WARNING,
            layers=(),
            # What nothing was learnt of is as it was from the start.
            first_step=int(loss_trend.steps[0]) if loss_trend.at_rest else half,
            last_step=int(loss_trend.steps[-1]),
            measurements=(
                Measurement(
                    "learning rate by half of the run, over its largest before",
                    learning_rate.midway / learning_rate.peak,
                    self.max_ended_rate,
                    "1",
                    "",
                    "above 0.1",
                ),
                self._remaining(loss_trend),
            ),
            remedies=(remedies.decay_later(learning_rate.peak),),
            variant="ended",
            phase="run",
            explains=frozenset({"loss-plateau", "unchanged-weights", "update-ratio-out-of-range:too-small"}),
        )

    def _warms_up(self, loss_trend: LossTrend, travel: tuple[Travel, ...], learning_rate: LearningRate) -> bool:
        long = loss_trend.is_known and loss_trend.reach >= self.error_steps
        near = bool(travel) and max(path.distance for path in travel) < self.max_warming_distance
        return learning_rate.rising and long and near and loss_trend.is_far(self.min_remaining_loss)

    def _warming(
        self, run: Run, loss_trend: LossTrend, travel: tuple[Travel, ...], learning_rate: LearningRate
    ) -> Finding:
        return self._unlearnt(
            run,
            loss_trend,
            "warming-up",
            f"the learning rate still rises at the last of {loss_trend.reach:,} steps, where it is "
            f"{number(learning_rate.last)}",
            self._distance(max(travel, key=lambda path: path.distance), self.max_warming_distance),
            remedies.warm_up_sooner(loss_trend.reach),
        )

    def _require(self, trend: LossTrend, travel: tuple[Travel, ...]) -> None:
        if not travel:
            raise NotJudged("no update of a kernel was recorded; record updates and weights")
        if not trend.is_known:
            raise NotJudged("the loss was not recorded; record it to see how far it has to fall")
        if not trend.nonnegative:
            raise NotJudged("the loss is negative at times, so it does not tell how much is still to be learnt")
        if trend.reach < self.min_steps:
            raise NotJudged(f"only {trend.reach} steps lie in the log; record at least {self.min_steps:g}")

    def _place(self, trend: LossTrend) -> str:
        whole = "a constant answer's" if trend.knows_constant else "its start"
        return f"{100 * trend.remaining:.0f} % of {whole}"


def _explains(run: Run) -> frozenset[str]:
    found = frozenset({"update-ratio-out-of-range:too-small", "loss-plateau"})
    # A step that float32 rounds away is too short; one that only float16 rounds away asks for another format.
    half = any(variable.trainable and variable.dtype in HALF_FORMATS for variable in run.model.variables)
    return found if half else found | {"unchanged-weights"}


def _remedies(rate: LearningRate, ratio: float) -> tuple[Remedy, ...]:
    found = [remedies.set_learning_rate(rate.largest, ratio)]
    if rate.falls_to < 0.1:
        found.append(remedies.decay_later(rate.largest))
    if rate.optimizer in ("", "SGD"):
        found.append(remedies.use_optimizer("Adam"))
    return tuple(found)
