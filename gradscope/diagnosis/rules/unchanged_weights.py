"""Rule unchanged-weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.enclosing import is_part_of_attention
from gradscope.diagnosis.evidence import Clipping, LearningRate, LossTrend, Standstill
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number, shares
from gradscope.model_card import HALF_FORMATS
from gradscope.run import Run

_EXPLAINS = frozenset(
    {
        "constant-output",
        "learning-rate-too-low",
        "loss-plateau",
        "update-ratio-out-of-range:too-small",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class UnchangedWeights(Rule):
    """Weights that have a gradient and are trainable, and yet stay exactly as they are.

    ## What it detects
    Variables that the optimizer was handed together with a gradient, and that its steps leave unchanged bit for bit.

    ## Why it matters
    The gradient is there and is thrown away: the learning rate is zero, the step is too small for the variable's number
    format to hold, or clipping has left nothing of it.

    ## Evidence
    The share of entries whose update is exactly zero among those whose gradient is not, at every sample. Frozen
    variables and such without a gradient are left out, so are unused rows of an embedding; a warm-up that begins at
    zero and a schedule that ends there stand still for a part of the run only. A model without any trainable variable
    is found too.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> still = {("update", f"{name}/kernel", "zero_fraction"): 1.0 for name in ("hidden_1", "hidden_2", "output")}
    >>> [f.sentence for f in diagnose(toy_run(put=still, loss=1.0), [UnchangedWeights()]).findings()]
    ['100 % of the entries of hidden_1/kernel, hidden_2/kernel and output/kernel that have a gradient never change']
    >>> list(diagnose(toy_run(), [UnchangedWeights()]).findings())
    []

    ## Remedies
    A learning rate above zero; variables in float32 under a mixed policy; looser clipping.

    ## References
    Micikevicius et al. 2018, Mixed precision training: updates below 2^-11 of the weight are lost in float16, so that a
    float32 master copy is needed (2^-8 in bfloat16, 2^-24 in float32).
    """

    name: ClassVar[str] = "unchanged-weights"
    min_unmoved_fraction: float = limit(0.9, "1", "of the entries with a gradient; 0 to 0.1 in recorded healthy runs")
    min_step_fraction: float = limit(0.9, "1", "of the samples: not only a warm-up's start or a schedule's end")
    error_variable_fraction: float = limit(0.5, "1", "of the kernels, or of all variables where there is no kernel")
    min_steps: float = limit(100, "steps", "a run that has only begun may not have come to its first update")
    min_samples: float = limit(5, "samples", "a warm-up may begin with steps of zero")

    def check(
        self,
        run: Run,
        standstill: tuple[Standstill, ...],
        learning_rate: LearningRate,
        clipping: Clipping,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """Judge every variable over the whole run."""
        if run.model.variables and not any(variable.trainable for variable in run.model.variables):
            yield self._all_frozen(run, loss_trend)
            return
        if (count := optimizer_settings(run).accumulated) > run.steps[-1] + 1 and loss_trend.reach >= self.min_steps:
            yield self._never_applied(run, count)
            return
        if not standstill:
            raise NotJudged("no variable has both its gradient and its update in the log; record both")
        judged = [one for one in standstill if len(one.steps) >= self.min_samples]
        if not judged:
            raise NotJudged(f"too few samples with a gradient; record at least {self.min_samples:g}")
        still = [one for one in judged if self._is_still(one)]
        kernels = [one for one in judged if one.is_kernel] or judged
        share = sum(one in still for one in kernels) / len(kernels)
        if not still or (not any(one.is_kernel for one in still) and share < self.error_variable_fraction):
            return
        grave = share >= self.error_variable_fraction and not loss_trend.fallen
        yield self._standing(still, run, learning_rate, clipping, Severity.ERROR if grave else Severity.WARNING)

    def _standing(
        self,
        still: list[Standstill],
        run: Run,
        learning_rate: LearningRate,
        clipping: Clipping,
        severity: Severity,
    ) -> Finding:
        levels = [median(one.unmoved_fraction) for one in still]
        names = [one.variable.name for one in still]
        return Finding(
            rule=self.name,
            title="unchanged weights",
            sentence=f"{shares(levels)} of the entries of {among(names)} that have a gradient never change"
            + self._reason(still, learning_rate, clipping),
            severity=severity,
            layers=tuple(dict.fromkeys(one.variable.layer for one in still)),
            first_step=int(min(one.steps[0] for one in still)),
            last_step=int(max(one.steps[-1] for one in still)),
            measurements=tuple(
                Measurement(
                    f"share of entries of {one.variable.name} with a gradient and without an update",
                    level,
                    self.min_unmoved_fraction,
                    "1",
                    one.variable.layer,
                    "about 0",
                )
                for one, level in zip(still, levels, strict=True)
            ),
            remedies=_remedies(still, run, learning_rate, clipping),
            explains=_EXPLAINS,
        )

    def _all_frozen(self, run: Run, loss_trend: LossTrend) -> Finding:
        return Finding(
            rule=self.name,
            title="nothing is trainable",
            sentence="every variable of the model is frozen, so training changes nothing",
            severity=Severity.ERROR if loss_trend.at_rest else Severity.WARNING,
            layers=tuple(dict.fromkeys(variable.layer for variable in run.model.variables)),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(
                Measurement(
                    "share of the variables that are frozen", 1.0, self.min_unmoved_fraction, "1", "", "below 1"
                ),
            ),
            remedies=(remedies.unfreeze_head(run.model.layers),),
            variant="all-frozen",
            explains=_EXPLAINS,
        )

    def _never_applied(self, run: Run, count: int) -> Finding:
        steps = int(run.steps[-1]) + 1
        return Finding(
            rule=self.name,
            title="gradients never applied",
            sentence=f"gradients are accumulated over {count:,} steps, of {steps:,} in all: no weight was ever changed",
            severity=Severity.ERROR,
            layers=(),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(Measurement("gradient_accumulation_steps", count, steps, "steps", "", "2 to 64"),),
            remedies=(remedies.accumulate_less(steps),),
            variant="never-applied",
            phase="update",
            explains=_EXPLAINS,
        )

    def _is_still(self, one: Standstill) -> bool:
        return bool((one.unmoved_fraction >= self.min_unmoved_fraction).mean() >= self.min_step_fraction)

    def _reason(self, still: list[Standstill], rate: LearningRate, clipping: Clipping) -> str:
        if rate.largest == 0:
            return ": the learning rate is 0"
        formats = sorted({one.variable.dtype for one in still} & set(HALF_FORMATS))
        if formats:
            return f": {' and '.join(formats)} cannot hold steps that small"
        if _is_clipped_away(clipping):
            return f": clipping leaves {number(median(clipping.kept))} of the gradient"
        return ""


def _is_clipped_away(clipping: Clipping) -> bool:
    return bool(len(clipping.kept)) and median(clipping.kept) < 1e-2


def _remedies(still: list[Standstill], run: Run, rate: LearningRate, clipping: Clipping) -> tuple[Remedy, ...]:
    if rate.largest == 0:
        return (remedies.begin_to_step(rate.optimizer),)
    found = []
    if _is_clipped_away(clipping):
        found.append(remedies.loosen_clipping(median(clipping.norm)))
    if any(one.variable.dtype in HALF_FORMATS for one in still):
        found.append(remedies.keep_float32_variables())
    if all(is_part_of_attention(run.model.layer(one.variable.layer)) for one in still):
        return (*found, remedies.look_at_mask())  # the others move at this rate
    reason = "No step so far was large enough to change the weights."
    found.append(remedies.raise_learning_rate(rate.largest, 100, reason))
    return tuple(found)
