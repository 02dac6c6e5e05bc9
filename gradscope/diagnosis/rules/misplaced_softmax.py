"""Rule misplaced-softmax."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTrend, Window
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among
from gradscope.run import Run

_KINDS = ("Dense", "Conv1D", "Conv2D", "Conv3D")


@dataclass(frozen=True)
class MisplacedSoftmax(Rule):
    """A softmax as the activation of a hidden layer, in a network that does not learn.

    ## What it detects
    Hidden dense or convolutional layers that end in a softmax.

    ## Why it matters
    The units of such a layer share the sum 1: with n units each gives about 1/n, whatever the input, so the signal and
    its gradient shrink by that factor in every such layer, and one unit can rise only where others fall.

    ## Evidence
    The activation in the model card, and the measured rms of the layer's output: about 1/n where the softmax is spread
    evenly, up to 1/√n where it decides. Gates and attention use a softmax on purpose; so it is a finding only where the
    loss is known and has not fallen by half, and of one that decides only where a layer with a kernel takes its output
    and nothing else.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> shares = {("activation", name, "rms"): 0.07 for name in ("hidden_1", "hidden_2")}
    >>> ill = toy_run(put=shares, activation="softmax", loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [MisplacedSoftmax()]).findings()]
    ['hidden_1 and hidden_2 end in a softmax: their units share the sum 1, and hardly tell one input from another']
    >>> list(diagnose(toy_run(activation="softmax"), [MisplacedSoftmax()]).findings())
    []

    ## Remedies
    ReLU, or another activation that works unit by unit; softmax belongs behind the last layer.

    ## References
    Goodfellow, Bengio & Courville 2016, Deep Learning, sections 6.2.2.3 (softmax as an output unit) and 6.3 (hidden
    units).
    """

    name: ClassVar[str] = "misplaced-softmax"
    max_decision: float = limit(
        0.5, "1", "rms of the output times √n: 1/√n where all units are alike, 1 where one wins"
    )

    def check(self, run: Run, layers: tuple[Layer, ...], window: Window, loss_trend: LossTrend) -> Iterable[Finding]:
        """Judge all hidden layers together."""
        if not run.model.layers:
            raise NotJudged(
                "the activations of the layers are unknown; record with gradscope.Recorder for a model card"
            )
        hidden = [layer for layer in layers if _is_softmax(layer) and not layer.is_output]
        decisions = {layer.name: self._decision(run, layer, window) for layer in hidden}
        # One that decides may be a gate; not so where all that is to come is told of its choice alone.
        sole = {card.inbound[0] for card in run.model.layers if card.fan_in and card.inbound and len(card.inbound) == 1}
        found = [layer for layer in hidden if decisions[layer.name] < self.max_decision or layer.name in sole]
        if not found or not loss_trend.slow:
            return
        names = [layer.name for layer in found]
        end, whose = ("ends", "its") if len(names) == 1 else ("end", "their")
        decided = min(decisions[name] for name in names) >= self.max_decision
        what = "what is behind learns only which one wins" if decided else "hardly tell one input from another"
        yield Finding(
            rule=self.name,
            title="softmax in a hidden layer",
            sentence=f"{among(names)} {end} in a softmax: {whose} units share the sum 1, and {what}",
            severity=window.cap(Severity.ERROR),
            layers=tuple(names),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=tuple(
                Measurement(
                    "rms of the output times √n", decisions[name], self.max_decision, "1", name, "ReLU: 1 to √n"
                )
                for name in names
            ),
            remedies=_remedies(found, run),
            explains=frozenset(
                {
                    "collapsed-representation",
                    "constant-output",
                    "gain-mismatch:too-small",
                    "learning-rate-too-low",
                    "loss-plateau",
                    "unchanged-weights",
                    "update-ratio-out-of-range:too-small",
                    "vanishing-gradient",
                }
            ),
        )

    def _decision(self, run: Run, layer: Layer, window: Window) -> float:
        units = layer.card.units if layer.card else None
        return window.upper(run.series("activation", layer.name, "rms")) * float(np.sqrt(units)) if units else np.nan


def _remedies(found: list[Layer], run: Run) -> tuple[Remedy, ...]:
    # Behind the last layer that learns a softmax of its own follows: then this one is one too many.
    ends = {name for card in run.model.layers if card.is_output and not card.fan_in for name in card.inbound or ()}
    last = [layer for layer in found if layer.name in ends]
    rest = [layer for layer in found if layer.name not in ends]
    return (
        *(remedies.output_activation(layer, None) for layer in last),
        *((remedies.replace_activation(rest, "relu"),) if rest else ()),
    )


def _is_softmax(layer: Layer) -> bool:
    card = layer.card
    return bool(card and card.kind in _KINDS and card.activation and card.activation.name == "softmax")
