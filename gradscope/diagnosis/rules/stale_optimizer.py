"""Rule stale-optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import EffectiveStep, LearningRate, LossTrend
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_NEVER_FORGETS = ("Adagrad",)
_ADAPTIVE = ("Adagrad", "Adam", "AdamW", "Nadam", "Adamax", "RMSprop", "Lamb")


@dataclass(frozen=True)
class StaleOptimizer(Rule):
    """An optimizer whose memory of past gradients has made its steps too small.

    ## What it detects
    Steps that shrink by orders of magnitude though neither the learning rate nor the gradient does, as with AdaGrad,
    whose denominator only grows; or an adaptive optimizer whose steps are far below its learning rate all along,
    because its denominator began far above the gradients; or weights that their own moving average overwrites so often
    that next to nothing of a step stays. In all the loss is far from solved.

    ## Why it matters
    The gradient still says where to go, but the optimizer no longer goes there; raising the learning rate helps for a
    while only.

    ## Evidence
    g = ‖update‖ / ‖gradient‖ over all kernels, late over early; the same of the updates and of the learning rate. An
    update that shrinks with its gradient is convergence, one that shrinks with the learning rate a schedule. For
    adaptive optimizers also the updates' root mean square over the learning rate, which is 0.03 to 1 for sound ones.
    The elasticity ‖∂loss/∂w‖·‖w‖ / loss tells a gradient worth following from one that vanished.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> import numpy as np
    >>> names = ("hidden_1", "hidden_2", "output")
    >>> fading = {("update", f"{name}/kernel"): np.geomspace(1, 1e-4, 30) for name in names}
    >>> ill = toy_run(fading, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [StaleOptimizer()]).findings()]
    ["the optimizer's step per unit of gradient has shrunk to 0.00067 of what it was, at a constant learning rate"]
    >>> list(diagnose(toy_run(), [StaleOptimizer()]).findings())
    []

    ## Remedies
    RMSprop or Adam, which forget old gradients; the usual epsilon where it is large.

    ## References
    Duchi et al. 2011, Adaptive subgradient methods; Tieleman & Hinton 2012 (RMSprop).
    """

    name: ClassVar[str] = "stale-optimizer"
    max_shrinkage: float = limit(0.02, "1", "of the early step; AdaGrad's 1/√t reaches it after 2,500 steps")
    max_relative_step: float = limit(
        0.01,
        "1",
        "root mean square of the updates over the learning rate, adaptive optimizers; 0.03 to 1 in sound ones",
    )
    max_drowned_step: float = limit(0.1, "1", "the same where epsilon was set far above the usual 1e-7")
    min_drowned_loss: float = limit(0.3, "1", "of a constant answer's loss or of the start, there")
    min_late_share: float = limit(0.5, "1", "of all that the loss fell, by the last half: it does not slow down")
    min_averaged_step: float = limit(0.1, "1", "share of a step that the average keeps which overwrites the weights")
    min_elasticity: float = limit(0.02, "1", "0.4 to 160 in networks that learn, below 2e-3 where gradients vanished")
    min_gradient_kept: float = limit(0.2, "1", "of the early gradient: less is convergence")
    min_remaining_loss: float = limit(0.5, "1", "of a constant answer's loss or of the start")
    max_coming_loss: float = limit(0.3, "1", "of the same, as many steps later at its pace: it only takes longer")
    min_rate_kept: float = limit(0.3, "1", "of the largest learning rate: less is a schedule")
    min_steps: float = limit(100, "steps", "earlier no learning is to be expected of small steps")
    min_unforgotten_steps: float = limit(250, "steps", "sums of squares that are large at first may yet be enough")
    min_samples: float = limit(8, "samples", "fewer show no trend")

    def check(
        self,
        run: Run,
        effective_step: EffectiveStep,
        elasticity: dict[str, float],
        learning_rate: LearningRate,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """Judge the shrinking, then the level."""
        steps = effective_step.steps
        if not len(steps):
            raise NotJudged("no kernel has both its gradient and its update in the log; record both")
        if not loss_trend.is_known:
            raise NotJudged("the loss was not recorded; record it to see how far it has to fall")
        if len(steps) < self.min_samples or steps[-1] - steps[0] < self.min_steps:
            raise NotJudged(
                f"{len(steps)} samples over {steps[-1] - steps[0]} steps show no trend; record at least "
                f"{self.min_samples:g} over {self.min_steps:g}"
            )
        if self._has_far_to_go(run, elasticity, learning_rate, loss_trend):
            yield from self._short_steps(run, effective_step, learning_rate)

    def _has_far_to_go(
        self, run: Run, elasticity: dict[str, float], learning_rate: LearningRate, loss_trend: LossTrend
    ) -> bool:
        """Whether the loss is high, the gradients could lower it, and neither a schedule nor its pace settles that."""
        drowned = self._is_drowned(run, learning_rate)
        usable = median(np.array(list(elasticity.values())))
        # With a huge epsilon set by hand it is known why the loss is still on its way.
        far = loss_trend.is_far(self.min_remaining_loss) or (drowned and self._is_on_its_way(loss_trend))
        if not far or learning_rate.falls_to < self.min_rate_kept or not usable >= self.min_elasticity:
            return False
        soon = loss_trend.ahead < self.max_coming_loss * loss_trend.level and not drowned
        return not (soon and loss_trend.remaining < 1)

    def _short_steps(self, run: Run, effective_step: EffectiveStep, learning_rate: LearningRate) -> Iterable[Finding]:
        steps = effective_step.steps
        late = steps >= steps[-1] - (steps[-1] - steps[0]) / 3
        first = slice(0, 3)
        shrinkage = median(effective_step.gain[late]) / median(effective_step.gain[first])
        gradient = effective_step.update / effective_step.gain
        kept = median(gradient[late]) / median(gradient[first])
        averaged = optimizer_settings(run).kept_by_average
        relative = median((effective_step.update / effective_step.learning_rate)[late])
        if averaged < self.min_averaged_step:
            yield _finding(
                f"the weights are overwritten by their average, of which a step makes up {number(averaged)}",
                Measurement("share of a step that stays", averaged, self.min_averaged_step, "1", "", "about 1"),
                steps,
                learning_rate,
                (remedies.average_apart(),),
            )
        elif max(shrinkage, shrinkage * kept) < self.max_shrinkage and kept > self.min_gradient_kept:
            yield _finding(
                f"the optimizer's step per unit of gradient has shrunk to {number(shrinkage)} of what it was, "
                "at a constant learning rate",
                Measurement("effective step, late over early", shrinkage, self.max_shrinkage, "1", "", "0.1 to 10"),
                steps[late],
                learning_rate,
            )
        elif relative < self._most_relative(run, learning_rate) and (
            (learning_rate.optimizer in _NEVER_FORGETS and steps[-1] - steps[0] >= self.min_unforgotten_steps)
            or (learning_rate.optimizer in _ADAPTIVE and kept > self.min_gradient_kept)
        ):
            settings = optimizer_settings(run)
            large = remedies.lower_epsilon(settings)
            denominator = f"epsilon of {settings.epsilon:g}" if large else "denominator"
            yield _finding(
                f"{learning_rate.optimizer}'s steps are {number(relative)} of its learning rate, for its {denominator} "
                "is far above the gradients",
                Measurement("update rms over learning rate", relative, self.max_relative_step, "1", "", "0.03 to 1"),
                steps,
                learning_rate,
                large,
            )

    def _most_relative(self, run: Run, learning_rate: LearningRate) -> float:
        return self.max_drowned_step if self._is_drowned(run, learning_rate) else self.max_relative_step

    def _is_drowned(self, run: Run, learning_rate: LearningRate) -> bool:
        return learning_rate.optimizer in _ADAPTIVE and bool(remedies.lower_epsilon(optimizer_settings(run)))

    def _is_on_its_way(self, trend: LossTrend) -> bool:
        return trend.remaining > self.min_drowned_loss and trend.late_share > self.min_late_share


def _finding(
    sentence: str,
    measurement: Measurement,
    steps: npt.NDArray[np.int64],
    learning_rate: LearningRate,
    first: tuple[Remedy, ...] = (),
) -> Finding:
    return Finding(
        rule=StaleOptimizer.name,
        title="stale optimizer",
        sentence=sentence,
        severity=Severity.ERROR,
        layers=(),
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        measurements=(measurement,),
        remedies=(
            *first,
            *(remedies.use_optimizer(name) for name in ("RMSprop", "Adam") if name != learning_rate.optimizer),
        ),
        explains=frozenset({"learning-rate-too-low", "loss-plateau", "update-ratio-out-of-range:too-small"}),
    )
