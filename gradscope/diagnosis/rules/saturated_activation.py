"""Rule saturated-activation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Flow, Kernel, Layer, LossTrend, Travel, Window
from gradscope.diagnosis.evidence.layers import without_activations
from gradscope.diagnosis.evidence.travel import farthest
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among, shares
from gradscope.run import Run
from gradscope.vocabulary import SATURATION_BOUND

_MOSTLY = 0.8
_LESS = 5  # times less far than the farthest
_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "disconnected-variable:zero",
        "loss-plateau",
        "unchanged-weights",
        "update-ratio-out-of-range:too-small",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class SaturatedActivation(Rule):
    """Hidden units of sigmoid, tanh and their kin that sit where the activation is flat.

    ## What it detects
    Hidden layers with a bounded activation most of whose entries lie on its flat ends.

    ## Why it matters
    There the derivative is almost zero: the gradient does not pass, and the units answer alike to every input.

    ## Evidence
    The share of entries where |f'(z)| is below 5 % of its maximum, from the derivative of the layer's own activation.
    Nearly all of them are an error if the loss stands still or the gradient that passes is weak: less than a tenth of
    it arrives at the layer below, or, for the first layer, its kernel hardly moves; most of them if the loss is known
    and has not fallen by half, or if the layer stays as it was drawn while others go far. Layers that were nearly all
    saturated for a tenth of the run, and recovered, are noted. Output layers are meant to saturate and are not judged.
    ReLU is judged by dead-units.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> put = {("activation", "hidden_2", "saturation_fraction"): 0.97}
    >>> ill = toy_run({("activation_gradient", "hidden_1"): 1e-2}, put, activation="tanh", loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [SaturatedActivation()]).findings()]
    ['97 % of the entries of hidden_2 are saturated, on both sides']
    >>> list(diagnose(toy_run(activation="tanh"), [SaturatedActivation()]).findings())
    []

    ## Remedies
    Glorot initialisation; batch normalisation; ReLU instead; standardised input.

    ## References
    Glorot & Bengio 2010 (figures 2 to 4); limits of peers: TheDeepChecker and DeepDiagnosis judge layers with more than
    50 % saturated entries.
    """

    name: ClassVar[str] = "saturated-activation"
    max_saturation_fraction: float = limit(0.5, "1", "most entries; used by TheDeepChecker and DeepDiagnosis too")
    error_saturation_fraction: float = limit(0.9, "1", "nearly all entries")
    max_arriving_loss: float = limit(0.5, "1", "of a constant answer's loss, as many steps later: it learns")
    slow_saturation_fraction: float = limit(0.7, "1", "where the loss is known and has not fallen by half")
    max_distance: float = limit(0.1, "1", "of a kernel's norm over the whole run, others going five times as far")
    min_stuck_loss: float = limit(0.2, "1", "of a constant answer's loss, where the saturated layers do not move")
    min_passed_share: float = limit(0.1, "1", "of the steps, for a note where it passed")
    min_gradient_passed: float = limit(0.1, "1", "gradient norm at the layer below over that at this layer")
    min_update_to_weight_ratio: float = limit(1e-5, "1", "a hundredth of the healthy 1e-3")

    def check(
        self,
        *,
        run: Run,
        layers: tuple[Layer, ...],
        kernels: tuple[Kernel, ...],
        flow: Flow,
        travel: tuple[Travel, ...],
        window: Window,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """Judge each hidden layer with a bounded activation."""
        if not any(layer.shape for layer in layers):
            raise NotJudged(without_activations(run))
        judged = [layer for layer in layers if layer.shape == "bounded" and not layer.is_output and not layer.frozen]
        series = {layer.name: run.series("activation", layer.name, "saturation_fraction") for layer in judged}
        if judged and not any(np.isfinite(values).any() for values in series.values()):
            raise NotJudged("saturation_fraction was not recorded; record activations")
        stuck = self._stuck(travel, loss_trend)
        groups: dict[bool, list[Layer]] = {}
        for layer in judged:
            level = window.lower(series[layer.name])
            if level > self.max_saturation_fraction:
                hurts = loss_trend.at_rest or self._is_weak(layer, kernels, flow, window)
                grave = level > self.error_saturation_fraction and hurts
                arrives = loss_trend.ahead < self.max_arriving_loss * loss_trend.constant
                arrives &= level <= self.error_saturation_fraction
                grave |= level > self.slow_saturation_fraction and loss_trend.slow and not arrives
                grave |= layer.name in stuck
                groups.setdefault(grave, []).append(layer)
            elif (past := self._past(series[layer.name], window)) is not None:
                yield self._passed(layer, past, run, window)
        for grave, found in groups.items():
            harmful = not loss_trend.falling or any(layer.name in stuck for layer in found)
            severity = window.cap(Severity.ERROR) if grave and harmful else _mildly(loss_trend, grave=grave)
            yield self._finding(found, series, run, window, grave=grave, severity=severity)

    def _stuck(self, travel: tuple[Travel, ...], trend: LossTrend) -> set[str]:
        """The layers that are as they were drawn while others are not, where much of the loss is left."""
        if not (trend.knows_constant and trend.remaining > self.min_stuck_loss):
            return set()
        most = min(self.max_distance, farthest(travel) / _LESS)
        return {path.kernel.layer.name for path in travel if path.distance < most}

    def _past(self, series: npt.NDArray[np.floating], window: Window) -> tuple[int, int] | None:
        with np.errstate(invalid="ignore"):
            ill = series > self.error_saturation_fraction
        ill &= window.usable
        if not ill.any():
            return None
        first, last = window.span(ill, lasting=False)
        reach = int(window.steps[window.usable][-1] - window.steps[window.usable][0])
        within = window.usable & (window.steps >= first) & (window.steps <= last)
        lasted = last - first >= self.min_passed_share * reach > 0 and ill[within].mean() > _MOSTLY
        return (first, last) if lasted else None

    def _passed(self, layer: Layer, past: tuple[int, int], run: Run, window: Window) -> Finding:
        first, last = past
        then = window.usable & (window.steps >= first) & (window.steps <= last)
        level = median(run.series("activation", layer.name, "saturation_fraction")[then])
        side = _side(layer, median(run.series("activation", layer.name, "mean")[then]))
        return Finding(
            rule=self.name,
            title="saturated activation",
            sentence=f"{shares([level])} of the entries of {layer.name} were saturated for a while, {side}",
            severity=Severity.NOTE,
            layers=(layer.name,),
            first_step=first,
            last_step=last,
            measurements=(_measured(layer, level, self.error_saturation_fraction),),
            variant="passed",
            phase="forward",
        )

    def _finding(
        self,
        found: list[Layer],
        series: dict[str, npt.NDArray[np.floating]],
        run: Run,
        window: Window,
        *,
        grave: bool,
        severity: Severity,
    ) -> Finding:
        levels = [window.lower(series[layer.name]) for layer in found]
        with np.errstate(invalid="ignore"):
            ill = np.any([series[layer.name] > self.max_saturation_fraction for layer in found], axis=0)
        first, last = window.span(ill)
        sides = {_side(layer, window.lower(run.series("activation", layer.name, "mean"))) for layer in found}
        where = f", {sides.pop()}" if len(sides) == 1 else ""
        names = [layer.name for layer in found]
        bounds = (self.error_saturation_fraction, self.slow_saturation_fraction) if grave else ()
        bound = next((bound for bound in bounds if min(levels) > bound), self.max_saturation_fraction)
        return Finding(
            rule=self.name,
            title="saturated activation",
            sentence=f"{shares(levels)} of the entries of {among(names)} are saturated{where}",
            severity=severity,
            layers=tuple(names),
            first_step=first,
            last_step=last,
            measurements=tuple(_measured(layer, level, bound) for layer, level in zip(found, levels, strict=True)),
            remedies=(
                *remedies.initialise_others(found, run),
                remedies.normalise(found, run),
                remedies.replace_activation(found, "relu"),
                *remedies.scale_input_if_off(run),
            ),
            phase="forward",
            explains=_EXPLAINS if grave else frozenset(),
        )

    def _is_weak(self, layer: Layer, kernels: tuple[Kernel, ...], flow: Flow, window: Window) -> bool:
        names = [below.name for below in flow.layers]
        if layer.name in names[1:]:
            column = names.index(layer.name)
            here = flow.level(flow.gradient[:, column], window)
            return bool(flow.level(flow.gradient[:, column - 1], window) < self.min_gradient_passed * here)
        ratios = [window.upper(k.update_to_weight_ratio) for k in kernels if k.layer.name == layer.name]
        return any(ratio < self.min_update_to_weight_ratio for ratio in ratios)


def _mildly(trend: LossTrend, *, grave: bool) -> Severity:
    return Severity.WARNING if trend.slow or (grave and not trend.fallen) else Severity.NOTE


def _measured(layer: Layer, level: float, bound: float) -> Measurement:
    what = f"saturation_fraction (|f'| below {SATURATION_BOUND:.0%} of its maximum)"
    return Measurement(what, level, bound, "1", layer.name, "below 0.3")


def _side(layer: Layer, mean: float) -> str:
    low, high = (0.25, 0.75) if "sigmoid" in layer.activation else (-0.5, 0.5)
    return "on the lower side" if mean < low else "on the upper side" if mean > high else "on both sides"
