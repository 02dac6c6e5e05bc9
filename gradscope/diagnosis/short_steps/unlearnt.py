"""What all ways of stepping too short have in common: the loss that is left, the way that was gone, the remedies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LearningRate, LossTrend, OptimizerGroup, Travel
from gradscope.diagnosis.rule import Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number, of_layers
from gradscope.model_card import HALF_FORMATS
from gradscope.run import Run

__all__ = ["EXPLAINS", "UTTERLY", "Unlearnt", "explains", "lengthen_steps", "moved", "place"]

EXPLAINS = frozenset({"loss-plateau", "unchanged-weights", "update-ratio-out-of-range:too-small"})

UTTERLY = 100
"""Times less than what is too little."""
_DECAYED = 0.1  # of the largest learning rate


@dataclass(frozen=True)
class Unlearnt(Rule):
    """The limits that more than one of the ways holds to."""

    max_distance: float = limit(
        0.1, "1", "of a kernel's norm over the whole run; recorded healthy runs of 100 to 1,500 steps show 0.3 to 40"
    )
    min_remaining_loss: float = limit(
        0.5, "1", "of a constant answer's loss or of the start: half of the way is still to go"
    )
    error_remaining_loss: float = limit(
        0.6, "1", "of a constant answer's loss or of the start: as many steps again would not get far either"
    )
    min_fall: float = limit(3.0, "standard errors", "of the loss over the last half: it plainly falls")
    error_steps: float = limit(100, "steps", "healthy networks have learnt something by then")

    def _unlearnt(
        self,
        run: Run,
        trend: LossTrend,
        *,
        variant: str,
        why: str,
        measured: Measurement,
        change: Remedy,
        title: str = "learning rate too low",
    ) -> Finding:
        """That the network learnt little; an error where the loss is near a constant answer's, or at rest."""
        known = trend.knows_constant and trend.remaining > self.error_remaining_loss
        return Finding(
            rule=self.name,
            title=title,
            sentence=f"{why}; the loss is at {place(trend)}",
            severity=Severity.ERROR if known or trend.at_rest else Severity.WARNING,
            layers=(),
            first_step=int(trend.steps[0]),
            last_step=int(trend.steps[-1]),
            measurements=(measured, self._remaining(trend)),
            remedies=(change,),
            variant=variant,
            phase="run",
            explains=explains(run),
        )

    def _remaining(self, trend: LossTrend) -> Measurement:
        return Measurement("remaining loss", trend.remaining, self.min_remaining_loss, "1", "", "falling to 0")

    def _distance(self, path: Travel, least: float) -> Measurement:
        what = f"distance travelled by {path.kernel.name}, the farthest"
        return Measurement(what, path.distance, least, "1", path.kernel.layer.name, "above 0.3")


def place(trend: LossTrend) -> str:
    """Where the loss is: ``72 % of a constant answer's``, or of its start where that is unknown."""
    whole = "a constant answer's" if trend.knows_constant else "its start"
    return f"{100 * trend.remaining:.0f} % of {whole}"


def moved(group: OptimizerGroup, steps: int) -> str:
    """How little that many steps did to the kernels of an optimizer, as the beginning of a sentence."""
    return (
        f"{steps:,} steps together moved no kernel{of_layers(group.layers)} by more than "
        f"{number(100 * group.farthest.distance)} % of its size"
    )


def lengthen_steps(rate: LearningRate, group: OptimizerGroup, steps: int) -> tuple[Remedy, ...]:
    """Longer steps for the kernels of one optimizer, which went where they are in that many."""
    rate = replace(rate, largest=group.learning_rate)
    found = [remedies.set_learning_rate(rate.largest, group.farthest.distance / steps)]
    if rate.falls_to < _DECAYED:
        found.append(remedies.decay_later(rate.largest))
    if rate.optimizer in ("", "SGD"):
        found.append(remedies.use_optimizer("Adam"))
    return tuple(found)


def explains(run: Run) -> frozenset[str]:
    """What comes of steps that are too short."""
    # A step that float32 rounds away is too short; one that only float16 rounds away asks for another format.
    half = any(variable.trainable and variable.dtype in HALF_FORMATS for variable in run.model.variables)
    return EXPLAINS - {"unchanged-weights"} if half else EXPLAINS
