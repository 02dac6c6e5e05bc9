"""How far the kernels ought to have come, by the way the loss came down: farther where it would bear longer steps."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis.evidence import LossTrend
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.short_steps.unlearnt import Unlearnt

__all__ = ["Descent"]


@dataclass(frozen=True)
class Descent(Unlearnt):
    """A loss that crawls, falls in a straight line far from its end, or as fast as the gradients promise."""

    max_long_distance: float = limit(
        0.25, "1", "max_distance of line_steps or more that leave most of a constant answer's loss, and would again"
    )
    max_crawling_distance: float = limit(
        0.3, "1", "the same where the loss falls without a doubt and is still that of a constant answer"
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
    line_steps: float = limit(300, "steps", "earlier a plain deep network may yet begin to learn")

    def _is_unbent(self, trend: LossTrend, reduction_ratio: float) -> bool:
        """Whether the loss is a straight line along the very steps, and far from its end even after as many again."""
        plain = trend.knows_constant and trend.bounded and trend.reach >= self.error_steps
        plain &= -trend.significance > self.min_fall and reduction_ratio >= self.min_reduction_ratio
        return plain and trend.is_far(self.min_short_line_loss) and trend.ahead > self.min_unbent_ahead * trend.constant

    def _least_distance(self, trend: LossTrend, *, unbent: bool) -> float:
        """The distance, in units of a kernel's norm, below which the steps of the run were too short."""
        if trend.answers_constantly and trend.has_fallen:
            return self.max_crawling_distance
        least = max(self.max_distance, self.max_unbent_step * trend.reach) if unbent else self.max_distance
        if not (trend.knows_constant and trend.bounded and trend.reach >= self.line_steps):
            return least
        if trend.is_far(self.error_remaining_loss) and trend.ahead > self.min_remaining_loss * trend.constant:
            least = max(least, self.max_long_distance)
        if not (-trend.significance > self.min_fall and trend.late_share > self.min_late_share):
            return least
        ahead = trend.ahead / trend.constant
        if trend.is_far(self.min_line_loss) and ahead > self.error_remaining_loss:
            return max(least, self.max_line_step * trend.reach)
        if trend.is_far(self.min_short_line_loss) and ahead > self.min_short_line_ahead:
            return max(least, self.max_short_line_step * trend.reach)
        return least
