"""What all ways of stepping too far have in common: the loss that is left, the steps that were large, the remedies."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossTrend, OptimizerGroup
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.rule import Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number, of_layers
from gradscope.run import Run

__all__ = ["EXPLAINS", "LargeSteps", "last_loss", "less_momentum"]

_LAST = 2  # samples

EXPLAINS = frozenset(
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


@dataclass(frozen=True)
class LargeSteps(Rule):
    """The limits that more than one of the ways holds to."""

    max_step: float = limit(0.3, "1", "of a kernel's norm in one step; recorded healthy runs stay below 0.25")
    max_leaping_step: float = limit(0.1, "1", "the same where the loss leapt up, and is no better than at first since")
    min_killing_growth: float = limit(1.5, "1", "times the first size, of the weights, where shorter steps count")
    min_remaining_loss: float = limit(0.9, "1", "of a constant answer's loss, or of the start where that is unknown")
    min_loss_regained: float = limit(1.5, "1", "times the lowest level: what was learnt is lost again")
    min_slope: float = limit(2.0, "standard errors", "of the loss over the last half: it plainly rises")
    min_samples: float = limit(5, "samples", "a loss that is not yet lower after fewer says nothing")

    def _large_steps(
        self, run: Run, group: OptimizerGroup, most: float, harm: str, *, grave: bool, growth: float = nan
    ) -> Finding:
        """That the steps of one optimizer are larger than ``most``, and what came of it; ``harm`` may be empty.

        Args:
            run: whose settings say how the optimizer steps.
            group: the optimizer's kernels; the largest steps of half of them or more are above ``most``.
            most: in units of a kernel's norm.
            harm: what came of it, to stand behind "and".
            grave: an error, else a warning.
            growth: by what the loss is multiplied per step where it explodes, else NaN.
        """
        large = [
            int(path.steps[path.sizes > most / 3][i]) for path in group.paths if path.largest > most for i in (0, -1)
        ]
        step = group.largest_step
        what = "largest step in units of the weight, median over the kernels"
        return Finding(
            rule=self.name,
            title="learning rate too high",
            sentence=f"single steps change the weights{of_layers(group.layers)} by {_size(step)} (median over the "
            f"kernels){' and ' if harm else ''}{harm}",
            severity=Severity.ERROR if grave else Severity.WARNING,
            layers=group.layers,
            first_step=min(large),
            last_step=max(large),
            measurements=(Measurement(what, step, most, "1", "", "1e-3"),),
            remedies=(
                *remedies.average_loss(run),
                *less_momentum(run, group),
                *_shorten_steps(run, group, growth),
                remedies.clip_gradients(),
            ),
            phase="update",
            explains=EXPLAINS,
        )

    def _has_samples(self, trend: LossTrend) -> bool:
        return len(trend.loss) >= self.min_samples

    def _comes_back(self, trend: LossTrend) -> bool:
        """Whether the loss climbs again and ends well above its lowest level."""
        return last_loss(trend) > self.min_loss_regained * trend.best and trend.significance > self.min_slope


def last_loss(trend: LossTrend) -> float:
    """The mean of the last two samples."""
    return float(trend.loss[-_LAST:].mean())


def less_momentum(run: Run, group: OptimizerGroup) -> tuple[Remedy, ...]:
    """A lower momentum for one optimizer; none where it is not high."""
    return remedies.lower_high_momentum(optimizer_settings(run, group.paths[0].kernel.name))


def _shorten_steps(run: Run, group: OptimizerGroup, growth: float) -> tuple[Remedy, Remedy]:
    """A lower rate, and a warm-up that rises to it."""
    settings, rate = optimizer_settings(run, group.paths[0].kernel.name), group.learning_rate
    if growth > 1 and settings.name == "SGD" and not settings.momentum > 0:
        lower = remedies.stable_learning_rate(rate, growth)
        return lower, remedies.warm_up(rate * remedies.stable_factor(growth))
    lower = remedies.set_learning_rate(rate, group.largest_step)
    return lower, remedies.warm_up(rate * remedies.healthy_factor(group.largest_step))


def _size(step: float) -> str:
    return f"{number(100 * step)} %" if step < 10 else f"{number(step)} times their size"
