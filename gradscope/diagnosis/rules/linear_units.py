"""Rule linear-units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTrend, Window
from gradscope.diagnosis.evidence.layers import without_activations
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among, number, shares
from gradscope.run import Run

# ELU, GELU and their kin bend at zero, sigmoid and tanh farther out.
_LINEAR_UP_TO = {"bounded": 1.0, "half_saturating": 0.05}
_WEIGHTED = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D")
_LINEAR_KINDS = (
    "Add",
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
)
_FAR_ABOVE = 2.0  # of a constant answer's loss: something else is wrong
_OFF = "zero_fraction, without dead units"


@dataclass(frozen=True)
class LinearUnits(Rule):
    """Units whose activation function works as a straight line.

    ## What it detects
    Networks all of whose nonlinear layers stay in the linear part of their activation, although training goes on.

    ## Why it matters
    A stack of linear layers computes what one linear layer computes: the depth is for nothing. It is the second of the
    two diseases that Glorot and Bengio watch for, beside saturation.

    ## Evidence
    The 2 % and 98 % quantiles of the pre-activation z, lately: with |z| below 0.2, tanh and sigmoid deviate from their
    tangent by less than 2 %. A ReLU layer is linear where none of its entries is off; where much of the loss is left
    and it still comes down, also where next to none is off but those of dead units: then each unit is on for all
    examples or off for all, which is an error too. Every nonlinear hidden layer must be linear, since one that is not
    suffices. A network of several layers none of which has an activation function is an error where the loss has not
    fallen by half; a single one that has more units than inputs where the loss is that of a constant answer. It is an
    error where the loss stands where it began, a warning where it has hardly fallen, and a note where it falls: then
    the task may ask for no more.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> small = {("preactivation", f"hidden_{i}", f"quantile_{q}"): 0.01 for i in (1, 2) for q in ("02", "98")}
    >>> [f.sentence for f in diagnose(toy_run(put=small, activation="tanh", loss=1.0), [LinearUnits()]).findings()]
    ['hidden_1 and hidden_2 work as linear layers (98 % of their pre-activations are within ±0.01)']
    >>> list(diagnose(toy_run(activation="tanh"), [LinearUnits()]).findings())
    []

    ## Remedies
    Larger initial weights, suited to the activation; standardised inputs; batch normalisation before the activation.

    ## References
    Glorot & Bengio 2010, section 3 (units that are too linear); LeCun et al. 1998, Efficient BackProp, section 4.4.
    """

    name: ClassVar[str] = "linear-units"
    max_preactivation: float = limit(0.2, "1", "tanh deviates from its tangent by 1.3 % there, the sigmoid by 0.3 %")
    max_bare_layers: float = limit(1, "layers", "one linear layer may be a projection; two in a row are one")
    max_off_fraction: float = limit(5e-3, "1", "share of entries of a ReLU layer that are off")
    max_slow_off_fraction: float = limit(
        0.1, "1", "the same without dead units where much of the loss is left; 0.2 to 0.5 in healthy networks there"
    )
    max_dead_unit_fraction: float = limit(0.3, "1", "of a layer: one with more of them is dead rather than linear")
    min_slow_loss: float = limit(0.6, "1", "of a constant answer's loss: much of it is left")
    min_fall: float = limit(3.0, "standard errors", "of the loss over the last half, there: it plainly falls")
    min_late_fall: float = limit(0.05, "1", "of a constant answer's loss, by the last half: there is more to be learnt")
    min_steps: float = limit(100, "steps", "earlier much of the loss may be left")

    def check(self, run: Run, layers: tuple[Layer, ...], window: Window, loss_trend: LossTrend) -> Iterable[Finding]:
        """Judge all nonlinear hidden layers together."""
        if not any(layer.shape for layer in layers):
            raise NotJudged(without_activations(run))
        stack = _linear_stack(layers)
        # A layer that has more units than inputs projects nothing.
        idle = loss_trend.answers_constantly and any(_widens(layer) for layer in stack)
        if idle or (len(stack) > self.max_bare_layers and loss_trend.slow):
            yield self._bare(stack, window)
            return
        nonlinear = [layer for layer in layers if layer.shape not in ("", "linear") and not layer.is_output]
        stays = self._stays(loss_trend)
        measured = [self._reach(run, layer, window, stays=stays) for layer in nonlinear]
        measurements = tuple(reach for reach in measured if reach is not None and reach.value < reach.limit)
        if not nonlinear or len(measurements) < len(nonlinear) or loss_trend.remaining > _FAR_ABOVE:
            return
        names = [layer.name for layer in nonlinear]
        bends = [reach.value for reach in measurements if "zero_fraction" not in reach.statistic]
        its, work = ("its", "works as a linear layer") if len(names) == 1 else ("their", "work as linear layers")
        why = f"98 % of {its} pre-activations are within ±{number(max(bends))}" if bends else _never_off(measurements)
        steps = window.steps[window.usable]
        severity = Severity.NOTE if loss_trend.falling else Severity.WARNING
        yield Finding(
            rule=self.name,
            title="linear units",
            sentence=f"{among(names)} {work} ({why})",
            severity=window.cap(Severity.ERROR) if loss_trend.at_rest or (stays and not bends) else severity,
            layers=tuple(names),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=measurements,
            remedies=(
                *remedies.initialise_others(nonlinear, run, positive_bias=False),
                *remedies.scale_input_if_off(run),
                remedies.normalise(nonlinear, run),
            ),
        )

    def _stays(self, trend: LossTrend) -> bool:
        """Whether much of the loss is left when it need not be."""
        left = trend.knows_constant and trend.is_far(self.min_slow_loss)
        return left and trend.reach >= self.min_steps and self._comes_down(trend)

    def _comes_down(self, trend: LossTrend) -> bool:
        """Whether there is more to be learnt; where the loss rests, the noise of the data may allow no less."""
        return -trend.significance > self.min_fall and -trend.slope > self.min_late_fall * trend.constant

    def _bare(self, stack: list[Layer], window: Window) -> Finding:
        names = [layer.name for layer in stack]
        steps = window.steps[window.usable]
        return Finding(
            rule=self.name,
            title="no activation function",
            sentence=f"{among(names)} {'has' if len(names) == 1 else 'have'} no activation function, nor has anything "
            "else in front of the output: it is one linear map",
            severity=window.cap(Severity.ERROR),
            layers=tuple(names),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=(
                Measurement(
                    "hidden layers without activation",
                    len(names),
                    min(self.max_bare_layers, len(names) - 1),
                    "layers",
                    "",
                    "0",
                ),
            ),
            remedies=(remedies.replace_activation(stack, "relu"),),
            variant="no-activation",
            explains=frozenset({"loss-plateau"}),
        )

    def _reach(self, run: Run, layer: Layer, window: Window, *, stays: bool) -> Measurement | None:
        """How far the layer reaches into the bent part of its activation; None if unknown."""
        if layer.shape == "rectifier":
            return self._off(run, layer, window, stays=stays)
        ends = [
            window.upper(np.abs(run.series("preactivation", layer.name, f"quantile_{q}").astype(np.float64)))
            for q in ("02", "98")
        ]
        if layer.shape not in _LINEAR_UP_TO or not np.isfinite(ends).all():
            return None
        bound = self.max_preactivation * _LINEAR_UP_TO[layer.shape]
        return Measurement("greatest |quantile| of the pre-activation", max(ends), bound, "1", layer.name, "about 1")

    def _off(self, run: Run, layer: Layer, window: Window, *, stays: bool) -> Measurement | None:
        zeros = run.series("activation", layer.name, "zero_fraction")
        if not stays:
            off, most, what = window.upper(zeros), self.max_off_fraction, "zero_fraction"
        else:
            dead = np.nan_to_num(run.series("activation", layer.name, "dead_unit_fraction"))
            if window.upper(dead) > self.max_dead_unit_fraction:
                return None
            off, most = window.upper(np.maximum(zeros - dead, 0.0)), self.max_slow_off_fraction
            what = _OFF if dead.any() else "zero_fraction"
        return Measurement(what, off, most, "1", layer.name, "about 0.5") if np.isfinite(off) else None


def _never_off(measurements: tuple[Measurement, ...]) -> str:
    most = max(measurement.value for measurement in measurements)
    if any(measurement.statistic == _OFF for measurement in measurements):
        return f"of units that are not dead {shares([most])} of the entries are off"
    return f"{shares([most])} of the entries are off" if most else "no entry is ever off"


def _widens(layer: Layer) -> bool:
    card = layer.card
    return card is not None and bool(card.units and card.fan_in) and (card.units or 0) > (card.fan_in or 0)


def _linear_stack(layers: tuple[Layer, ...]) -> list[Layer]:
    """The hidden layers with weights of a network without anything nonlinear; empty if there is anything."""
    cards = [layer.card for layer in layers]
    # Where it is not known what a layer takes, an operation in front of it may bend the signal.
    bare = {layer.name for layer in layers if layer.shape == "linear"}  # LeakyReLU with a slope of 1
    if any(
        card is None or card.inbound is None or not (card.kind in (*_WEIGHTED, *_LINEAR_KINDS) or card.name in bare)
        for card in cards
    ):
        return []
    weighted = [layer for layer in layers if layer.card and layer.card.kind in _WEIGHTED and not layer.is_output]
    return weighted if all(layer.shape == "linear" for layer in weighted) else []
