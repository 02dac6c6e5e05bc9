"""Rule disconnected-variable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Disconnection, LossTrend, Window
from gradscope.diagnosis.evidence.fresh_start import is_fresh
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among
from gradscope.run import Run

_EXPLAINS = frozenset(
    {"collapsed-representation", "constant-output", "loss-plateau", "unchanged-weights", "vanishing-gradient"}
)


@dataclass(frozen=True)
class DisconnectedVariable(Rule):
    """Trained variables that the loss does not depend on.

    ## What it detects
    Layers that were handed to the optimizer but get no gradient, or one that is exactly zero at every sampled step.

    ## Why it matters
    They keep their initial weights for ever. Keras says so once, in a warning, and trains what is left.

    ## Evidence
    The optimizer was handed None as the gradient of all variables of the layer, or their gradients have norm 0 at every
    sampled step; a small gradient is not zero, and a layer of which one variable gets a gradient is connected. It is an
    error where the layer stands first behind the input, is an output, or leads to one, and a warning for a side branch
    that nothing uses where the loss has fallen by half all the same. A layer that comes with biases other than zero was
    trained before: where the loss falls it is cut off on purpose, and noted. Exact zeros may follow from something else
    (dead units, zero weights, float16 underflow); what explains them is reported as the cause. Frozen layers are meant
    to stand still and are not judged.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("gradient", f"hidden_1/{role}"): 0.0 for role in ("kernel", "bias")}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [DisconnectedVariable()]).findings()]
    ['hidden_1 is trained, but its gradient is exactly zero at every sampled step']
    >>> list(diagnose(toy_run(), [DisconnectedVariable()]).findings())
    []

    ## Remedies
    Take out what has no derivative (``stop_gradient``, ``argmax``, rounding, casts to integers, NumPy) or pass the
    gradient by it (straight-through); give every output a loss; freeze on purpose what is meant to stand still.

    ## References
    Bengio, Léonard & Courville 2013, Estimating or Propagating Gradients Through Stochastic Neurons (straight-through).
    """

    name: ClassVar[str] = "disconnected-variable"
    min_samples: float = limit(3, "samples", "a single batch may give an exact zero by chance")
    error_samples: float = limit(
        10, "samples", "of a branch up to its output, or of all that an optimizer trains, whatever others' loss does"
    )

    def check(
        self, run: Run, disconnections: tuple[Disconnection, ...], window: Window, loss_trend: LossTrend
    ) -> Iterable[Finding]:
        """One finding for the layers without a gradient, one for those whose gradient is zero, by severity."""
        if not run.model.variables:
            raise NotJudged("which variables are trained is unknown; record with gradscope.Recorder for a model card")
        samples = int(window.usable.sum())
        whole_branch = any(found.layer.is_output for found in disconnections)
        groups: dict[tuple[bool, Severity], list[Disconnection]] = {}
        for found in disconnections:
            if found.absent or samples >= self.min_samples:
                certain = found.absent or ((whole_branch or found.idle) and samples >= self.error_samples)
                severity = self._severity(found, run, loss_trend, certain=certain)
                groups.setdefault((found.absent, severity), []).append(found)
        for (absent, severity), members in groups.items():
            yield self._finding(members, window, severity, absent=absent)

    def _severity(self, found: Disconnection, run: Run, loss_trend: LossTrend, *, certain: bool) -> Severity:
        if loss_trend.falling and is_fresh(run, found.layer.name) is False:
            return Severity.NOTE  # trained before, and cut off on purpose
        # A branch that nothing uses may be left over, or be what the rest does without.
        beside = not (found.matters or found.idle)
        if (beside and not loss_trend.slow) or (not certain and loss_trend.fallen):
            return Severity.WARNING
        return Severity.ERROR

    def _finding(self, found: list[Disconnection], window: Window, severity: Severity, *, absent: bool) -> Finding:
        layers = [entry.layer for entry in found]
        names = [layer.name for layer in layers]
        is_are, its = ("is", "its") if len(names) == 1 else ("are", "their")
        steps = window.steps[window.usable]
        state = (
            f"the loss does not depend on {'it' if len(names) == 1 else 'them'}: no gradient arrives"
            if absent
            else f"{its} gradient is exactly zero at every sampled step"
        )
        heads = [layer for layer in layers if layer.is_output]
        return Finding(
            rule=self.name,
            title="no gradient",
            sentence=f"{among(names)} {is_are} trained, but {state}",
            severity=severity,
            layers=tuple(names),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=tuple(
                Measurement("gradient norm, greatest over all samples", 0.0, 0.0, "1", name, "above 0")
                for name in names
            ),
            remedies=(
                *((remedies.judge_output(heads),) if heads else ()),
                *((remedies.pass_gradient(layers[-1]),) if len(heads) < len(layers) else ()),
                remedies.freeze(layers),
            ),
            variant="absent" if absent else "zero",
            explains=_EXPLAINS if severity == Severity.ERROR else frozenset(),
        )
