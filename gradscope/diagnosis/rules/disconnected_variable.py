"""Rule disconnected-variable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Disconnection, Layer, LossTrend, Window
from gradscope.diagnosis.evidence.fresh_start import is_fresh
from gradscope.diagnosis.evidence.half_precision import computes_in_float16
from gradscope.diagnosis.evidence.loss_terms import loss_entries
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.run import Run

_FIRST = 5  # samples
_RANK = 2  # examples and units; an axis more may be positions that a mask leaves out
_EXPLAINS = frozenset(
    {"collapsed-representation", "constant-output", "loss-plateau", "unchanged-weights", "vanishing-gradient"}
)


@dataclass(frozen=True)
class DisconnectedVariable(Rule):
    """Trained variables that the loss does not depend on.

    ## What it detects
    Layers that were to be trained but get no gradient, or one that is exactly zero at every sampled step; losses that
    have no slope for most of the answers.

    ## Why it matters
    They keep their initial weights for ever. Keras says so once, in a warning, and trains what is left; nothing says so
    where a loop drops what has no gradient.

    ## Evidence
    The gradient of all variables of the layer is None, as handed to the optimizer or as a tape gave it to a loop that
    hands on the others, or has norm 0 at every sampled step; a small gradient is not zero, and a layer of which one
    variable gets a gradient at any of them is connected. It is an error where the layer stands first behind the input,
    is an output, or leads to one, and a warning for a side branch that nothing uses where the loss has fallen by half
    all the same. A layer that comes with biases other than zero was trained before: where the loss falls it is cut off
    on purpose, and noted. Exact zeros may follow from something else (dead units, zero weights, float16 underflow);
    what explains them is reported as the cause. Where a gradient arrives at a layer's output, and that of its bias is
    exactly zero all the same, the step lost it on the way to the optimizer. Of an output, the share of the entries of
    the back-propagated gradient that are exactly zero, where the loss does not fall: one that is clipped, or compared
    behind a threshold, looks at the others only. Outputs of one unit are judged so; among several a loss may choose.
    Frozen layers are meant to stand still and are not judged.

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

    max_flat_share: float = limit(0.8, "1", "of an output's entries: next to none are looked at")
    max_first_share: float = limit(0.5, "1", "likewise at first: sure answers of a softmax come later")
    flat_steps: float = limit(100, "steps", "before, hardly anything has been learnt anyway")

    def check(
        self,
        *,
        run: Run,
        layers: tuple[Layer, ...],
        disconnections: tuple[Disconnection, ...],
        window: Window,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """One finding for the layers without a gradient, one for those whose gradient is zero, by severity."""
        if not run.model.variables:
            raise NotJudged("which variables are trained is unknown; record with gradscope.Recorder for a model card")
        samples = int(window.usable.sum())
        whole_branch = any(found.layer.is_output for found in disconnections)
        groups: dict[tuple[str, Severity], list[Disconnection]] = {}
        # In front of a layer at which a gradient arrives, and is lost, zeros need no other reason.
        lost = [place for place, found in enumerate(disconnections) if _arrives(run, found.layer, window)]
        for place, found in enumerate(disconnections):
            if found.absent or samples >= self.min_samples:
                certain = found.absent or ((whole_branch or found.idle) and samples >= self.error_samples)
                severity = self._severity(found, run, loss_trend, certain=certain)
                variant = "absent" if found.absent else "erased" if lost and place <= lost[-1] else "zero"
                groups.setdefault((variant, severity), []).append(found)
        for (variant, severity), members in groups.items():
            yield self._finding(members, run, window, severity, variant)
        cut_off = {found.layer.name for found in disconnections}
        for output in (layer for layer in layers if _is_single(layer) and layer.name not in cut_off):
            yield from self._flat_loss(run, output, window, loss_trend)

    def _flat_loss(self, run: Run, output: Layer, window: Window, loss_trend: LossTrend) -> Iterable[Finding]:
        zeros = run.series("activation_gradient", output.name, "zero_fraction")
        share, first = window.upper(zeros), median(zeros[window.usable][:_FIRST])
        flat = share > self.max_flat_share and first > self.max_first_share
        if not flat or loss_trend.falling or loss_trend.reach < self.flat_steps:
            return
        yield Finding(
            rule=self.name,
            title="loss without a slope",
            sentence=f"the loss gives no gradient to {number(100 * share)} % of what {output.name} answers",
            severity=window.cap(Severity.ERROR),
            layers=(output.name,),
            first_step=int(window.steps[window.usable][0]),
            last_step=int(window.steps[window.usable][-1]),
            measurements=(
                Measurement(
                    "share of the output's gradient that is exactly zero",
                    share,
                    self.max_flat_share,
                    "1",
                    output.name,
                    "0 to 0.5",
                ),
            ),
            remedies=(remedies.give_slope(output),),
            variant="flat-loss",
            explains=_EXPLAINS,
        )

    def _severity(self, found: Disconnection, run: Run, loss_trend: LossTrend, *, certain: bool) -> Severity:
        if loss_trend.falling and is_fresh(run, found.layer.name) is False:
            return Severity.NOTE  # trained before, and cut off on purpose
        # A branch that nothing uses may be left over, or be what the rest does without.
        beside = not (found.matters or found.idle)
        if (beside and not loss_trend.slow) or (not certain and loss_trend.fallen):
            return Severity.WARNING
        return Severity.ERROR

    def _finding(
        self, found: list[Disconnection], run: Run, window: Window, severity: Severity, variant: str
    ) -> Finding:
        layers = [entry.layer for entry in found]
        names = [layer.name for layer in layers]
        is_are, its = ("is", "its") if len(names) == 1 else ("are", "their")
        steps = window.steps[window.usable]
        state = {
            "absent": "trainable, but the loss does not depend on "
            f"{'it' if len(names) == 1 else 'them'}: no gradient arrives",
            "zero": f"trained, but {its} gradient is exactly zero at every sampled step",
            "erased": f"trained, but the gradient that arrives at {names[-1]} never comes to the optimizer, which is "
            "handed zeros",
        }[variant]
        return Finding(
            rule=self.name,
            title="no gradient",
            sentence=f"{among(names)} {is_are} {state}",
            severity=severity,
            layers=tuple(names),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=tuple(
                Measurement("gradient norm, greatest over all samples", 0.0, 0.0, "1", name, "above 0")
                for name in names
            ),
            remedies=(remedies.hand_on_gradients(),) if variant == "erased" else _connections(layers, run),
            variant=variant,
            explains=_EXPLAINS if severity == Severity.ERROR else frozenset(),
        )


def _is_single(layer: Layer) -> bool:
    """Whether the layer answers each example with one number: of several, a loss may look at one by turns."""
    card = layer.card
    return layer.is_output and card is not None and card.units == 1 and len(card.output_shape) <= _RANK


def _connections(layers: list[Layer], run: Run) -> tuple[Remedy, ...]:
    judged = {entry.get("output") for entry in loss_entries(run)}
    heads = [layer for layer in layers if layer.is_output and layer.name not in judged]
    return (
        *((remedies.judge_output(heads),) if heads else ()),
        *((remedies.pass_gradient(layers[-1]),) if len(heads) < len(layers) else ()),
        remedies.freeze(layers),
    )


def _arrives(run: Run, layer: Layer, window: Window) -> bool:
    """Whether a gradient arrives at the output of a layer with a bias, which then has one too.

    What stands between the two, an activation that is flat, would be another reason.
    """
    if computes_in_float16(run):
        return False  # it may be too small there
    biased = any(card.layer == layer.name and card.role == "bias" for card in run.model.variables)
    kinds = ("preactivation_gradient", *(("activation_gradient",) if layer.activation == "linear" else ()))
    return biased and any(median(run.series(kind, layer.name, "rms")[window.usable]) > 0 for kind in kinds)
