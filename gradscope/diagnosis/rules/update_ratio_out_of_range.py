"""Rule update-ratio-out-of-range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Kernel, LearningRate, LossTrend, Window
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, span
from gradscope.run import Run

_SCHEDULED_DOWN = 0.1  # of what it was early


@dataclass(frozen=True)
class UpdateRatioOutOfRange(Rule):
    """Steps far too large or far too small for the weights they change.

    ## What it detects
    Too large: kernels that a single step changes by a tenth or more (a note if only at the start).
    Too small: nearly all kernels stand still although the loss has not fallen.

    ## Why it matters
    Too large, and each step undoes the one before; too small, and training takes forever. Both are mostly a matter of
    the learning rate.

    ## Evidence
    ‖update‖ / ‖weight‖, both measured; the median over the last third of the steps. Biases (they start at zero) and
    frozen variables are left out. Small updates after the loss has fallen, or by a schedule that lowered the learning
    rate, are convergence and no finding; a single kernel that stands still is left to vanishing-gradient.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("update", "hidden_1/kernel"): 500}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [UpdateRatioOutOfRange()]).findings()]
    ['the updates are too large for the weights (hidden_1/kernel: 0.5 of the weight per step, healthy is about 1e-3)']
    >>> list(diagnose(toy_run(), [UpdateRatioOutOfRange()]).findings())
    []

    ## Remedies
    The learning rate that brings the measured ratio to 1e-3; warm-up; clipping.

    ## References
    Karpathy, CS231n notes (about 1e-3). Limits of peers: TheDeepChecker 1e-4 to 0.1, DeepDiagnosis 1e-5 to 0.1.
    """

    name: ClassVar[str] = "update-ratio-out-of-range"
    max_update_to_weight_ratio: float = limit(
        0.1, "1", "a hundred times the healthy 1e-3; TheDeepChecker, DeepDiagnosis"
    )
    error_update_to_weight_ratio: float = limit(1.0, "1", "each step replaces the weights")
    max_remaining_loss: float = limit(
        0.6, "1", "of a constant answer's loss or of the start: what is learnt all the same leaves a note"
    )
    min_update_to_weight_ratio: float = limit(1e-6, "1", "a thousandth of the healthy 1e-3: 1e6 steps to move by 100 %")
    min_still_fraction: float = limit(0.8, "1", "share of the kernels that must stand still")
    min_idle_fraction: float = limit(0.5, "1", "the same where the loss is known to be that of a constant answer")

    def check(
        self, run: Run, kernels: tuple[Kernel, ...], window: Window, loss_trend: LossTrend, learning_rate: LearningRate
    ) -> Iterable[Finding]:
        """Judge both directions."""
        known = [kernel for kernel in kernels if np.isfinite(kernel.update_to_weight_ratio[window.usable]).any()]
        if not known:
            raise NotJudged("no update of a kernel was recorded; record updates and weights")
        # The very first steps are naturally large; in a brief run that ends well only the extreme counts.
        first_only = window.young or (window.brief and window.cut is None)
        bound = self.error_update_to_weight_ratio if first_only else self.max_update_to_weight_ratio
        large = [k for k in known if window.lower(k.update_to_weight_ratio) > bound]
        small = [k for k in known if window.upper(k.update_to_weight_ratio) < self.min_update_to_weight_ratio]
        at_first = [k for k in known if window.early_level(k.update_to_weight_ratio) > self.max_update_to_weight_ratio]
        if large:
            yield self._too_large(large, window, loss_trend, learning_rate)
        elif len(at_first) > len(known) / 2:
            yield self._too_large(at_first, window, loss_trend, learning_rate, lasting=False)
        least = self.min_still_fraction if not loss_trend.answers_constantly else self.min_idle_fraction
        still = len(small) >= least * len(known)
        scheduled = learning_rate.late < _SCHEDULED_DOWN * learning_rate.early
        if still and loss_trend.flat and not scheduled:
            yield self._too_small(small, run, window, learning_rate)

    def _too_large(
        self,
        found: list[Kernel],
        window: Window,
        loss_trend: LossTrend,
        learning_rate: LearningRate,
        *,
        lasting: bool = True,
    ) -> Finding:
        level_of = window.lower if lasting else window.early_level
        levels = [level_of(kernel.update_to_weight_ratio) for kernel in found]
        grave = max(levels) > self.error_update_to_weight_ratio
        severity = window.cap(Severity.ERROR) if grave and not loss_trend.falling else Severity.WARNING
        mild = loss_trend.fallen or (not grave and loss_trend.remaining < self.max_remaining_loss)
        ratios = np.nan_to_num(np.stack([kernel.update_to_weight_ratio for kernel in found]))
        first, last = window.span(ratios.max(axis=0) > self.max_update_to_weight_ratio, lasting=lasting)
        bound = self.error_update_to_weight_ratio if grave else self.max_update_to_weight_ratio
        return Finding(
            rule=self.name,
            title="updates too large",
            sentence=f"the updates {'are' if lasting else 'were at first'} too large for the weights "
            f"({among([k.name for k in found])}: {span(levels)} of the weight per step, healthy is about 1e-3)",
            severity=severity if lasting and not mild else Severity.NOTE,
            layers=tuple(dict.fromkeys(kernel.layer.name for kernel in found)),
            first_step=first,
            last_step=last,
            measurements=_measured(found, levels, bound),
            remedies=(
                remedies.set_learning_rate(learning_rate.late, max(levels)),
                remedies.warm_up(learning_rate.late * remedies.healthy_factor(max(levels))),
                remedies.clip_gradients(),
            ),
            variant="too-large",
            phase="update",
            explains=frozenset(
                {
                    "dead-units",
                    "diverging-loss",
                    "exploding-gradient:over-time",
                    "learning-rate-too-high:runaway",
                    "nonfinite-values",
                    "saturated-activation",
                }
            ),
        )

    def _too_small(self, found: list[Kernel], run: Run, window: Window, learning_rate: LearningRate) -> Finding:
        levels = [window.upper(kernel.update_to_weight_ratio) for kernel in found]
        ratios = np.nan_to_num(np.stack([kernel.update_to_weight_ratio for kernel in found]))
        first, last = window.span(ratios.max(axis=0) < self.min_update_to_weight_ratio)
        typical = median(np.array(levels))
        return Finding(
            rule=self.name,
            title="updates too small",
            sentence=f"the weights stand still ({span(levels)} of the weight per step, healthy is about 1e-3)",
            severity=Severity.WARNING,
            layers=tuple(dict.fromkeys(kernel.layer.name for kernel in found)),
            first_step=first,
            last_step=last,
            measurements=_measured(found, levels, self.min_update_to_weight_ratio),
            remedies=_lengthen(found, run, typical, learning_rate),
            variant="too-small",
            phase="update",
            explains=frozenset({"loss-plateau"}),
        )


def _lengthen(found: list[Kernel], run: Run, typical: float, rate: LearningRate) -> tuple[Remedy, ...]:
    if rate.largest == 0:
        return (remedies.begin_to_step(rate.optimizer),)
    if typical > 0:
        return (remedies.set_learning_rate(rate.late, typical),)
    drawn = remedies.initialise_others([kernel.layer for kernel in found], run)
    return drawn or (remedies.pass_gradient(found[-1].layer),)


def _measured(found: list[Kernel], levels: list[float], bound: float) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(f"update_to_weight_ratio of {kernel.name}", level, bound, "1", kernel.layer.name, "about 1e-3")
        for kernel, level in zip(found, levels, strict=True)
    )
