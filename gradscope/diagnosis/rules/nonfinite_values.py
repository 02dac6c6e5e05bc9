"""Rule nonfinite-values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossTrend, Nonfinite, Occurrence, Travel
from gradscope.diagnosis.evidence.half_precision import computes_in_float16
from gradscope.diagnosis.evidence.loss_terms import loss_entries
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.run import Run

_GREATEST_FLOAT16 = 65504.0
_PLACES = {
    "weight": "the weights of {}",
    "input": "the input",
    "target": "the targets",
    "preactivation": "the pre-activation of {}",
    "activation": "the output of {}",
    "loss": "the loss",
    "activation_gradient": "the back-propagated gradient at {}",
    "preactivation_gradient": "the back-propagated gradient at {}",
    "gradient": "the gradient of {}",
    "clipped_gradient": "the clipped gradient of {}",
    "update": "the update of {}",
}
_PASSES = {
    "input": "as it is fed",
    "target": "as they are fed",
    "forward": "forward pass",
    "loss": "of finite answers",
    "backward": "backward pass",
}


@dataclass(frozen=True)
class NonfiniteValues(Rule):
    """NaN or infinite values in the loss, weights, activations or gradients.

    ## What it detects
    The first sampled step at which a NaN or an infinity occurs, and the tensor where it began, in the order in which a
    training step computes: weights, input, targets, layers forwards, loss, gradients backwards, updates.

    ## Why it matters
    A NaN spreads to every weight within a step or two, and no later step can mend it.

    ## Evidence
    Exact counts of NaN and infinite entries of every recorded tensor. Steps that an optimizer with float16 loss scaling
    leaves out (gradients overflow, weights and loss stay finite) are normal and not counted. Infinite activations
    beside a finite loss and finite gradients (masks) are a warning. Targets that were not finite before, and broke
    nothing, are masked.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(put={("gradient", "hidden_2/kernel", "nan_count"): 3})
    >>> [f.sentence for f in diagnose(ill, [NonfiniteValues()]).findings()]
    ['NaN appears first at step 0 in the gradient of hidden_2/kernel (backward pass)']
    >>> list(diagnose(toy_run(), [NonfiniteValues()]).findings())
    []

    ## Remedies
    Clean the data (NaN in the input or the targets); guard what a layer divides by or takes logarithms of (NaN in its
    output); compute the loss from logits, or guard it (NaN in the loss); clip gradients, lower the learning rate or
    warm it up (NaN in gradients or weights); keep the weights in float32 (NaN in the update of float16 weights).

    ## References
    Micikevicius et al. 2018, Mixed Precision Training (loss scaling skips steps); Pascanu et al. 2013 (clipping).
    """

    name: ClassVar[str] = "nonfinite-values"
    max_nonfinite_count: float = limit(0, "entries", "a single NaN reaches every weight within two steps")
    max_calm_step: float = limit(0.1, "1", "of a kernel's norm: after shorter steps weights do not overflow by growth")
    max_calm_rise: float = limit(3.0, "1", "times the start of the loss: beyond it something grew before it broke")

    def check(
        self, run: Run, nonfinite: Nonfinite, travel: tuple[Travel, ...], loss_trend: LossTrend
    ) -> Iterable[Finding]:
        """Report the first occurrence."""
        if not nonfinite.recorded:
            raise NotJudged("no loss and no count of NaN was recorded; record with gradscope.Recorder")
        first = nonfinite.first
        if first is None or first.nan_count + first.inf_count <= self.max_nonfinite_count:
            return
        what = "NaN" if first.nan_count else "an infinite value"
        place = _PLACES[first.key.kind].format(first.key.name)
        step = (
            "brought in by an earlier update" if first.key.kind == "weight" else _PASSES.get(first.phase, first.phase)
        )
        sudden = first.key.kind == "weight" and self._is_calm(travel, loss_trend)
        settings = optimizer_settings(run, first.key.name)
        updating = first.phase == "update"
        if updating and settings.epsilon_is_zero:
            where = " in float16" if settings.float16 else ""
            step += f", and {settings.name}'s epsilon of {settings.epsilon:g} is zero{where}"
        step += ", without a large step or loss before it" if sudden else ""
        largest = _largest_input(run, first.step)
        overflows = computes_in_float16(run) and first.phase == "forward" and largest > _GREATEST_FLOAT16
        step += f", where the input reaches {largest:,.0f} and float16 {_GREATEST_FLOAT16:,.0f}" if overflows else ""
        broken = bool(nonfinite.broken.any())
        yield Finding(
            rule=self.name,
            title="values that are not finite",
            sentence=f"{what} appears first at step {first.step:,} in {place} ({step})",
            severity=Severity.ERROR if broken else Severity.WARNING,
            layers=(first.key.layer,) if first.key.layer else (),
            first_step=first.step,
            last_step=int(run.steps[np.flatnonzero(nonfinite.broken)[-1]]) if broken else first.step,
            measurements=(
                Measurement(
                    f"NaN and infinite entries of {place}" if first.phase != "loss" else "losses that are not finite",
                    first.nan_count + first.inf_count,
                    self.max_nonfinite_count,
                    "entries" if first.phase != "loss" else "1",
                    first.key.layer,
                    "none",
                ),
            ),
            remedies=(
                *((remedies.scale_input(),) if overflows else ()),
                *((remedies.keep_float32_optimizer(settings),) if updating and settings.float16 else ()),
                *(
                    (remedies.raise_epsilon(settings),)
                    if updating and settings.epsilon_is_zero and not settings.float16
                    else _remedies(first, run, sudden=sudden)
                ),
            ),
            variant=first.phase,
        )

    def _is_calm(self, travel: tuple[Travel, ...], loss_trend: LossTrend) -> bool:
        return (
            bool(travel and loss_trend.is_known)
            and max(float(path.sizes[-1]) for path in travel) < self.max_calm_step
            and float(loss_trend.loss[-1]) < self.max_calm_rise * loss_trend.start
        )


def _largest_input(run: Run, step: int) -> float:
    at = int(np.searchsorted(run.steps, step))
    ends = [abs(float(run.series("input", name, end)[at])) for name in run.names("input") for end in ("min", "max")]
    return max((end for end in ends if np.isfinite(end)), default=0.0)


def _remedies(first: Occurrence, run: Run, *, sudden: bool) -> tuple[Remedy, ...]:
    rate = run.step_statistics.get("learning_rate")
    known = float(rate[0]) if rate is not None and len(rate) else float("nan")
    if first.phase == "input":
        return (remedies.check_input(),)
    if first.phase == "target":
        return (remedies.drop_targets(),)
    guard = _guard(first, run)
    if first.step == 0:  # before any update neither clipping nor a lower rate would have helped
        return (guard,)
    calm = (remedies.clip_gradients(), remedies.warm_up(known))
    # What comes of an operation clipping keeps as it is.
    return (guard, *calm) if sudden or first.phase in ("loss", "backward") else (*calm, guard)


def _guard(first: Occurrence, run: Run) -> Remedy:
    if first.phase == "backward":  # the loss was finite: something in it has no finite derivative
        return remedies.guard_operations()
    return remedies.guard_layer(first.key.layer) if first.phase == "forward" else _guard_of_loss(run)


def _guard_of_loss(run: Run) -> Remedy:
    names = [str(entry.get("name")) for entry in loss_entries(run)]
    of_classes = [name for name in names if name.endswith("crossentropy")]
    if names and not of_classes:
        return remedies.guard_loss()
    return remedies.stable_loss(of_classes[0] if of_classes else "")
