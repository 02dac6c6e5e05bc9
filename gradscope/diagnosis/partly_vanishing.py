"""Gradients that vanish in a part of the network only: one kernel of a layer, a branch, one of several rivals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradscope.diagnosis import remedies
from gradscope.diagnosis.enclosing import is_part_of_attention
from gradscope.diagnosis.evidence import (
    Branch,
    ExampleSpread,
    Flow,
    Kernel,
    Layer,
    LossTrend,
    OptimizerGroup,
    Sibling,
    Window,
)
from gradscope.diagnosis.evidence.window import largest
from gradscope.diagnosis.rule import Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.run import Run

__all__ = ["EXPLAINS", "PartlyVanishing", "keep_gradient", "update_ratios"]

_QUERIES_AND_KEYS = (2, 3)  # layers side by side; a third may make the values
EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "learning-rate-too-low",
        "loss-plateau",
        "unchanged-weights",
        "update-ratio-out-of-range:too-small",
    }
)


@dataclass(frozen=True)
class PartlyVanishing(Rule):
    """What `gradscope.diagnosis.rules.vanishing_gradient` looks at besides depth and time."""

    max_alike: float = limit(1e-2, "1", "standard deviation across the examples over the rms, of those states")
    min_gradient_ratio: float = limit(
        1e-3, "1", "simulated healthy networks show 0.003 to 85, the failing autoencoder 1e-6 to 2e-5"
    )
    min_sibling_gradient: float = limit(1e-3, "1", "of that of another kernel of the same layer")
    min_gradient_left: float = limit(
        0.01, "1", "of what one of several optimizers got at first; rivals that learn keep 0.1"
    )
    min_rival_pace: float = limit(0.03, "1", "of the update ratio that another optimizer gives")
    min_branch_gradient: float = limit(0.01, "1", "gradient at the head of a branch over the largest at another one's")
    min_unlearnt_loss: float = limit(0.3, "1", "of a constant answer's loss or of the start: else all have converged")
    min_relative_update: float = limit(1e-2, "1", "update ratio over that of the other kernels")
    error_steps: float = limit(100, "steps", "of sequences and rivals: a layer may yet learn to remember")

    def _within_layers(
        self, run: Run, siblings: tuple[Sibling, ...], window: Window, loss_trend: LossTrend
    ) -> Iterable[Finding]:
        if not loss_trend.remaining > self.min_unlearnt_loss or window.brief:
            return
        for layer in dict.fromkeys(sibling.kernel.layer.name for sibling in siblings):
            inside = [sibling for sibling in siblings if sibling.kernel.layer.name == layer]
            still = {
                each.kernel.name: each.gradient
                for each in inside
                if each.gradient < self.min_sibling_gradient and each.update < self.min_relative_update
            }
            weak = {e.kernel.name: e.first_gradient for e in inside if e.first_gradient < self.min_sibling_gradient}
            if shares := still or weak:
                yield self._within(run, layer, shares, loss_trend, lasting=bool(still))

    def _within(
        self, run: Run, layer: str, shares: dict[str, float], loss_trend: LossTrend, *, lasting: bool
    ) -> Finding:
        name, least = min(shares.items(), key=lambda share: share[1])
        where = f"gradient rms of {name} over the largest in {layer}"
        return self._part(
            run,
            "within-layer",
            f"{among(list(shares))} {'get' if lasting else 'got'} {number(least)} of the gradient that the rest of "
            f"{layer} {'gets, and stand still' if lasting else 'got at first'}",
            Measurement(where, least, self.min_sibling_gradient, "1", layer, "0.01 to 1"),
            (layer,),
            (remedies.scale_scores(),),
            grave=loss_trend.slow,
        )

    def _of_rivals(self, run: Run, groups: tuple[OptimizerGroup, ...], loss_trend: LossTrend) -> Iterable[Finding]:
        """What one of several optimizers trains and no longer gets a gradient, while another still learns."""
        if len(groups) <= 1 or loss_trend.fallen or run.steps[-1] - run.steps[0] < self.error_steps:
            return
        quickest = max(group.pace for group in groups)
        for group in groups:
            if not (group.gradient_left < self.min_gradient_left and group.pace < self.min_rival_pace * quickest):
                continue
            left = Measurement(
                "gradient norm, late over early", group.gradient_left, self.min_gradient_left, "1", "", "0.1 to 10"
            )
            yield self._part(
                run,
                "of-a-rival",
                f"{among(list(group.layers))} get {number(group.gradient_left)} of the gradient that they got at "
                "first, while what another optimizer trains goes on learning",
                left,
                group.layers,
                (remedies.keep_rivals_even(),),
                grave=True,
            )

    def _part(  # noqa: PLR0917  what the kinds differ in
        self,
        run: Run,
        variant: str,
        sentence: str,
        measured: Measurement,
        layers: tuple[str, ...],
        changes: tuple[Remedy, ...],
        *,
        grave: bool,
    ) -> Finding:
        return Finding(
            rule=self.name,
            title="vanishing gradient in a part",
            sentence=sentence,
            severity=Severity.ERROR if grave else Severity.WARNING,
            layers=layers,
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(measured,),
            remedies=changes,
            variant=variant,
            confidence="medium",
            explains=EXPLAINS,
        )

    def _in_branches(  # noqa: PLR0917  the evidence that it asks for
        self,
        run: Run,
        flow: Flow,
        branches: tuple[Branch, ...],
        kernels: tuple[Kernel, ...],
        example_spread: ExampleSpread,
        window: Window,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """A branch whose first layers stand still and whose end is the same for all examples."""
        for branch in branches:
            first = flow.layers[branch.column]
            value = flow.level(flow.gradient[:, branch.column], window)
            own, rest = update_ratios(kernels, (first,), window)
            ends = [window.upper(example_spread.hidden[n]) for n in branch.layers if n in example_spread.hidden]
            alike = bool(ends) and ends[-1] < self.max_alike
            others = [flow.level(flow.gradient[:, column], window) for column in flow.head if column != branch.column]
            still = value < self.min_gradient_ratio and own < self.min_relative_update * rest
            # Adam's steps are of one size whatever the gradient.
            still |= value < self.min_branch_gradient * largest(others)
            if not (alike and still):
                continue
            yield self._part(
                run,
                "branch",
                f"the gradient vanishes in the branch that begins with {first.name} ({number(value)} of the output's "
                f"there), and {branch.layers[-1]} gives the same whatever the input",
                Measurement(
                    f"gradient ratio of {first.name} to the output",
                    value,
                    self.min_gradient_ratio,
                    "1",
                    first.name,
                    "0.01 to 100",
                ),
                branch.layers,
                keep_gradient(tuple(layer for layer in flow.layers if layer.name in branch.layers), run),
                grave=loss_trend.slow,
            )


def update_ratios(kernels: tuple[Kernel, ...], head: tuple[Layer, ...], window: Window) -> tuple[float, float]:
    """The largest late ``‖update‖ / ‖weight‖`` of the kernels of these layers, and of all others; NaN if unknown."""
    names = {layer.name for layer in head}
    own = [window.upper(k.update_to_weight_ratio) for k in kernels if k.layer.name in names]
    rest = [window.upper(k.update_to_weight_ratio) for k in kernels if k.layer.name not in names]
    return largest(own), largest(rest)


def keep_gradient(layers: tuple[Layer, ...], run: Run) -> tuple[Remedy, ...]:
    """What keeps the gradient from vanishing in those layers."""
    bounded = [layer for layer in layers if layer.shape == "bounded"]
    change = (remedies.replace_activation(bounded, "relu"),) if bounded else ()
    scores = (remedies.scale_scores(),) if _make_scores(layers) else ()
    return (*scores, *change, *remedies.keep_signal(layers, run))


def _make_scores(layers: tuple[Layer, ...]) -> bool:
    """Whether the layers are two or three linear ones side by side, as what makes queries and keys is."""
    if len(layers) not in _QUERIES_AND_KEYS or any(is_part_of_attention(layer.card) for layer in layers):
        return False  # Keras' own attention scales them
    linear = all(layer.card and not layer.card.inbound and layer.activation == "linear" for layer in layers)
    return linear and len({layer.card.units for layer in layers if layer.card}) == 1
