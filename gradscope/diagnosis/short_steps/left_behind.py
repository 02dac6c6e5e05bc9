"""One of several optimizers that leaves its layers as they were, while another one trains its own."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis.evidence import LearningRate, LossTrend, OptimizerGroup
from gradscope.diagnosis.evidence.fresh_start import is_fresh
from gradscope.diagnosis.short_steps.unlearnt import UTTERLY, Unlearnt, explains, lengthen_steps, moved
from gradscope.diagnosis.verdict import Finding, Severity
from gradscope.run import Run

__all__ = ["LeftBehind"]

_HARDLY = 10  # times less than what is too little, while another optimizer's layers go far


@dataclass(frozen=True)
class LeftBehind(Unlearnt):
    """Optimizers whose layers stay behind those of another one, whatever the loss does: of rivals it says little."""

    def _left_behind(
        self, run: Run, trend: LossTrend, groups: tuple[OptimizerGroup, ...], rate: LearningRate
    ) -> tuple[Finding, ...]:
        steps = int(run.steps[-1] - run.steps[0])
        if len(groups) <= 1 or steps < self.error_steps or trend.fallen:
            return ()
        most = max(group.farthest.distance for group in groups)
        return tuple(
            Finding(
                rule=self.name,
                title="learning rate too low",
                sentence=f"{moved(group, steps)}, while another optimizer trains the rest",
                severity=Severity.ERROR,
                layers=group.layers,
                first_step=int(run.steps[0]),
                last_step=int(run.steps[-1]),
                measurements=(self._distance(group.farthest, self.max_distance),),
                remedies=lengthen_steps(rate, group, steps),
                phase="run",
                explains=explains(run),
            )
            for group in groups
            if self._stays(group, most) and all(is_fresh(run, layer) is not False for layer in group.layers)
        )

    def _stays(self, group: OptimizerGroup, most: float) -> bool:
        distance = group.farthest.distance
        return 0 < distance < self.max_distance / _HARDLY and distance < most / UTTERLY
