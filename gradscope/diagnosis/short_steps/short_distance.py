"""Kernels that all steps of the run together hardly moved, while their gradients could use longer ones."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis.evidence import LearningRate, LossTrend, OptimizerGroup, Travel
from gradscope.diagnosis.rule import NotJudged, limit
from gradscope.diagnosis.short_steps.descent import Descent
from gradscope.diagnosis.short_steps.unlearnt import UTTERLY, explains, lengthen_steps, moved, place
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.run import Run

__all__ = ["ShortDistance"]


@dataclass(frozen=True)
class ShortDistance(Descent):
    """The distance travelled, against what the descent of the loss asks for."""

    min_elasticity: float = limit(5e-3, "1", "0.4 to 160 in networks that learn, below 2e-3 where gradients vanished")
    min_steps: float = limit(50, "steps", "earlier no learning is to be expected")
    late_steps: float = limit(200, "steps", "a loss that is above a constant answer's even then came down too slowly")

    def _short_distance(
        self,
        run: Run,
        trend: LossTrend,
        groups: tuple[OptimizerGroup, ...],
        rate: LearningRate,
        *,
        elasticity: dict[str, float],
        reduction_ratio: float,
        fresh_start: bool | None,
    ) -> tuple[Finding, ...]:
        """One finding for each optimizer whose kernels hardly moved.

        Raises:
            NotJudged: no update of a kernel was recorded, or the loss does not tell how much is to be learnt.
        """
        self._require(trend, groups)
        if not self._has_far_to_go(trend):
            return ()
        unbent = self._is_unbent(trend, reduction_ratio)
        least = self._least_distance(trend, unbent=unbent)
        promised = (self._promised(reduction_ratio),) if unbent else ()
        # Without a level to reach, a network that was trained before may be near its goal from the start.
        sure = bool(trend.knows_constant or fresh_start)
        return tuple(
            Finding(
                rule=self.name,
                title="learning rate too low",
                sentence=f"{moved(group, trend.reach)}; the loss is at {place(trend)}",
                severity=Severity.ERROR if unbent else self._severity(trend, group.farthest, sure=sure),
                layers=group.layers,
                first_step=int(trend.steps[0]),
                last_step=int(trend.steps[-1]),
                measurements=(
                    self._distance(group.farthest, least),
                    self._remaining(trend),
                    Measurement("elasticity of the loss", usable, self.min_elasticity, "1", "", "0.4 to 160"),
                    *promised,
                ),
                remedies=lengthen_steps(rate, group, trend.reach),
                confidence="high" if sure else "medium",
                phase="run",
                explains=explains(run),
            )
            for group in groups
            if (rate.largest > 0 or group.farthest.distance > 0)
            and group.farthest.distance < least
            and (usable := _elasticity_of(group, elasticity)) >= self.min_elasticity
        )

    def _require(self, trend: LossTrend, groups: tuple[OptimizerGroup, ...]) -> None:
        if not groups:
            raise NotJudged("no update of a kernel was recorded; record updates and weights")
        if not trend.is_known:
            raise NotJudged("the loss was not recorded; record it to see how far it has to fall")
        if not trend.nonnegative:
            raise NotJudged("the loss is negative at times, so it does not tell how much is still to be learnt")
        if trend.reach < self.min_steps:
            raise NotJudged(f"only {trend.reach} steps lie in the log; record at least {self.min_steps:g}")

    def _has_far_to_go(self, trend: LossTrend) -> bool:
        # On its way down from far above a network may learn; where it still is after so many steps it has not begun to.
        late = trend.knows_constant and trend.remaining > 1 and trend.reach >= self.late_steps
        return late or trend.is_far(self.min_remaining_loss)

    def _promised(self, reduction_ratio: float) -> Measurement:
        what = "descent of the loss over what the gradients promise"
        return Measurement(what, reduction_ratio, self.min_reduction_ratio, "1", "", "below a half")

    def _severity(self, trend: LossTrend, farthest: Travel, *, sure: bool) -> Severity:
        # On its way down from a constant answer's loss, as many steps again may be all it needs.
        where = trend.ahead / trend.level if trend.remaining < 1 else trend.remaining
        long = trend.reach >= self.error_steps or farthest.distance < self.max_distance / UTTERLY
        slow = trend.reach >= self.line_steps and trend.remaining > self.error_remaining_loss
        enough = self.min_remaining_loss if slow else self.error_remaining_loss
        return Severity.ERROR if sure and long and where > enough else Severity.WARNING


def _elasticity_of(group: OptimizerGroup, elasticity: dict[str, float]) -> float:
    """The greatest of the kernels that an optimizer trains, of all where it is the only one; NaN if unknown."""
    # Behind a branch that begins at zero the first gradients are zero as they should be.
    names = [path.kernel.name for path in group.paths] if group.layers else elasticity
    return max((elasticity[name] for name in names if name in elasticity), default=float("nan"))
