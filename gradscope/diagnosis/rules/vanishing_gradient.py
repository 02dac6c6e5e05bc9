"""Rule vanishing-gradient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import (
    Branch,
    ExampleSpread,
    Flow,
    Kernel,
    Layer,
    LossTrend,
    Memory,
    OptimizerGroup,
    Sibling,
    Window,
)
from gradscope.diagnosis.partly_vanishing import EXPLAINS, PartlyVanishing, keep_gradient, update_ratios
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_VERY_DEEP = 8  # layers of which none need lose much
_DEEP = 3  # layers whose rates tell a rate per layer from a single weak one


@dataclass(frozen=True)
class VanishingGradient(PartlyVanishing):
    """Gradients that shrink from the output towards the input until the first layers stand still.

    ## What it detects
    A back-propagated gradient that reaches the first layers as a tiny fraction of what left the output, while the
    kernels there hardly move. Through time: one of which as good as nothing reaches the first steps of a recurrent
    layer's sequences, while nothing is learnt.

    ## Why it matters
    The first layers keep their random weights; all the layers behind them see is a random projection of the input.

    ## Evidence
    ‖∂loss/∂a‖ of each layer over that of the output: a ratio, so neither loss reduction nor batch size matters. The
    trainable layers that stand first behind the input are judged, by the best connected of them (where the connections
    are unknown: of the input-side third), so that a side branch or a skip connection raises no alarm; a branch does
    whose first layer stands still and whose end is the same for all examples. Starvation: the median ‖update‖ /
    ‖weight‖ of the kernels there is tiny, or far below that of the other kernels. Without starvation (Adam makes up for
    small gradients) it is a note as long as the loss falls; what was only seen early and passed is a note too, unless
    the loss is still most of a constant answer's after 200 steps. Where the loss stands still, a gradient that shrinks
    at the same large rate from layer to layer counts before it is that small: Adam makes up for its size, not for what
    is lost in it. Where activation gradients are missing those of the biases stand in; where updates are missing (a log
    of another tool), starvation means that the first layers' weights drifted far less than those that moved most.

    Within a layer it is the gradient of one kernel beside that of another: queries and keys whose scores saturate the
    softmax of an attention get none, while its values still learn.

    Of several optimizers it is the gradient that one of them is handed, late over early, while another one goes on.

    Through time it is ∂loss/∂s of the state that a recurrent layer begins with, over ∂loss/∂a of what it gives, in the
    layer where most comes back. New recurrent layers forget, and many a task needs no long memory, so it counts
    only where the loss stands still and nothing else accounts for that.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("activation_gradient", "hidden_1"): 1e-6, ("update", "hidden_1/kernel"): 1e-6})
    >>> [f.sentence for f in diagnose(ill, [VanishingGradient()]).findings()]
    ["the gradient vanishes (1e-06 of the output's at hidden_1)"]
    >>> list(diagnose(toy_run(), [VanishingGradient()]).findings())
    []

    ## Remedies
    An initialiser that suits the activation; ReLU or its kin instead of sigmoid and tanh; batch normalisation; skip
    connections.

    ## References
    Glorot & Bengio 2010 (figure 7); He et al. 2015; Pascanu et al. 2013. Limits of peers: SageMaker Debugger mean
    absolute gradient < 1e-7, AUTOTRAINER first over last gradient < 1e-3.
    """

    name: ClassVar[str] = "vanishing-gradient"
    min_gradient_ratio_at_rest: float = limit(
        1e-2,
        "1",
        "where the loss stands still, and each layer passes less than min_layer_ratio or the signal fades too",
    )
    min_layer_ratio: float = limit(
        0.4, "1 per layer", "sigmoid layers pass at most 0.25 times their gain, tanh and ReLU with fitting weights 1"
    )
    max_signal_loss: float = limit(
        100.0, "1", "of the first layers' signal over the last one's, in eight layers or more: then it fades both ways"
    )
    error_gradient_ratio: float = limit(1e-4, "1", "ten times below the warning")
    min_update_to_weight_ratio: float = limit(1e-5, "1", "a hundredth of the healthy 1e-3: 1e5 steps to move by 100 %")
    min_gradient_through_time: float = limit(
        1e-7, "1", "float32 resolves no smaller share; learning networks show 3e-6 to 3,000, those that forget 1e-22"
    )
    min_gradient_of_alike: float = limit(1e-4, "1", "the same where the states at their ends are all alike")
    late_steps: float = limit(200, "steps", "what passed soon has been made up for by then")
    max_held_up_loss: float = limit(
        0.6, "1", "of a constant answer's loss, so late: recorded networks that got over it are below 0.2"
    )
    min_relative_drift: float = limit(
        3e-2,
        "1",
        "drift of the weights over that of what moved most: 0.014 in a failing log, 0.99 in a learning one",
    )

    def check(
        self,
        *,
        run: Run,
        flow: Flow,
        memories: tuple[Memory, ...],
        siblings: tuple[Sibling, ...],
        example_spread: ExampleSpread,
        branches: tuple[Branch, ...],
        optimizer_groups: tuple[OptimizerGroup, ...],
        kernels: tuple[Kernel, ...],
        window: Window,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """Judge sequences by the layer that remembers best, depth by the best connected of the first layers."""
        if loss_trend.at_rest:
            young = loss_trend.reach < self.error_steps
            severity = Severity.WARNING if young else Severity.ERROR
            yield from self._through_time(run, memories, window, example_spread, severity)
        yield from self._of_rivals(run, optimizer_groups, loss_trend)
        inside = tuple(self._within_layers(run, siblings, window, loss_trend))
        if memories and flow.missing:
            yield from inside
            return
        flow.require()
        across = tuple(self._across_depth(run, flow, kernels, window, loss_trend))
        # What comes to a layer at all is the more, what becomes of it there the less.
        yield from (
            across or inside or self._in_branches(run, flow, branches, kernels, example_spread, window, loss_trend)
        )

    def _through_time(
        self,
        run: Run,
        memories: tuple[Memory, ...],
        window: Window,
        example_spread: ExampleSpread,
        severity: Severity,
    ) -> Iterable[Finding]:
        column, value = _best({i: window.upper(memory.gradient) for i, memory in enumerate(memories)})
        layers = [memory.layer for memory in memories]
        name = layers[column].name if layers else ""
        # Where all sequences end in one state, whatever they began with, a little more is still nothing.
        alike = name in example_spread.hidden and window.upper(example_spread.hidden[name]) < self.max_alike
        least = self.min_gradient_of_alike if alike else self.min_gradient_through_time
        if not value < least:
            return
        ill = np.array([memory.gradient for memory in memories])
        first, last = window.span(np.nan_to_num(ill).max(axis=0) < least)
        yield Finding(
            rule=self.name,
            title="gradient that vanishes through time",
            sentence=f"no gradient comes back to the first steps of the sequences ({number(value)} of the last step's "
            f"in {name})",
            severity=window.cap(severity),
            layers=tuple(layer.name for layer in layers),
            first_step=int(run.steps[0]) if alike else first,
            last_step=last,
            measurements=(Measurement("time_gradient_ratio", value, least, "1", name, "3e-6 to 3,000"),),
            remedies=(*remedies.mask_padding(run), *remedies.remember(layers), remedies.reach_further_back(layers)),
            variant="through-time",
            confidence="medium",
        )

    def _across_depth(
        self, run: Run, flow: Flow, kernels: tuple[Kernel, ...], window: Window, loss_trend: LossTrend
    ) -> Iterable[Finding]:
        late = {i: flow.level(flow.gradient[:, i], window) for i in flow.head}
        early = {i: flow.level(flow.gradient[:, i], window, early=True) for i in flow.head}
        column, value = _best(late)
        fades = self._fades(flow, window)
        bound = self._bound(value, flow, loss_trend, fades=fades)
        lasting = value < bound
        if not lasting:
            column, value = _best(early)
            bound = self.min_gradient_ratio_at_rest if loss_trend.at_rest and fades else self.min_gradient_ratio
        if not value < bound:
            return
        head = tuple(flow.layers[i] for i in flow.head)
        own, rest = update_ratios(kernels, head, window)
        name = flow.layers[column].name
        # The best connected head layer is the measure; samples without a gradient say nothing.
        known = np.where(np.isfinite(flow.gradient[:, list(flow.head)]), flow.gradient[:, list(flow.head)], 0.0)
        first, last = window.span(known.max(axis=1) < bound, lasting=lasting)
        where = _affected(flow, window, bound, early=not lasting) or head
        severity = self._severity(
            value, own, rest, loss_trend, window, lasting=lasting, still=self._still(kernels, head)
        )
        measurements = [
            Measurement(
                f"gradient ratio of {name} to the output",
                value,
                bound,
                "1",
                name,
                "0.01 to 100",
            )
        ]
        if np.isfinite(own):
            measurements.append(
                Measurement("update_to_weight_ratio", own, self.min_update_to_weight_ratio, "1", name, "about 1e-3")
            )
        ratio = f"{number(value)} of the output's at {name}" if value else f"none of the output's reaches {name}"
        yield Finding(
            rule=self.name,
            title="vanishing gradient",
            sentence=f"the gradient vanishes ({ratio})" if lasting else f"the gradient was weak at first ({ratio})",
            severity=severity,
            layers=tuple(layer.name for layer in where),
            first_step=first,
            last_step=last,
            measurements=tuple(measurements),
            remedies=keep_gradient(where, run),
            confidence="high" if np.isfinite(own) and flow.measured == "activation gradients" else "medium",
            explains=EXPLAINS if lasting or severity == Severity.ERROR else frozenset(),
        )

    def _fades(self, flow: Flow, window: Window) -> bool:
        """Whether the signal, too, is lost on its way through many layers at first."""
        if len(flow.layers) < _VERY_DEEP or not flow.head:
            return False
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = flow.signal[:, list(flow.head)] / flow.signal[:, [-1]]
        levels = [flow.level(lost[:, i], window, early=True) for i in range(len(flow.head))]
        return any(level > self.max_signal_loss for level in levels)

    def _bound(self, value: float, flow: Flow, loss_trend: LossTrend, *, fades: bool) -> float:
        deep = len(flow.layers) >= _DEEP and value ** (1 / len(flow.layers)) < self.min_layer_ratio
        deep |= fades
        return self.min_gradient_ratio_at_rest if deep and loss_trend.at_rest else self.min_gradient_ratio

    def _still(self, kernels: tuple[Kernel, ...], head: tuple[Layer, ...]) -> bool:
        """Whether the first layers kept their weights while something else moved; for logs without updates."""
        names = {layer.name for layer in head}
        mine = [kernel for kernel in kernels if kernel.layer.name in names]
        return bool(mine) and all(kernel.drift < self.min_relative_drift * kernel.largest_drift for kernel in mine)

    def _severity(
        self,
        value: float,
        own: float,
        rest: float,
        loss_trend: LossTrend,
        window: Window,
        *,
        lasting: bool,
        still: bool,
    ) -> Severity:
        extreme = value < self.error_gradient_ratio / 100
        if np.isfinite(own):
            starved = own < self.min_update_to_weight_ratio or own < self.min_relative_update * rest
        else:
            starved = extreme or still
        if not lasting:
            held_up = loss_trend.reach >= self.late_steps and loss_trend.remaining > self.max_held_up_loss
            severity = Severity.ERROR if held_up and loss_trend.knows_constant else Severity.WARNING
            return severity if loss_trend.slow else Severity.NOTE
        if loss_trend.at_rest:
            return window.cap(Severity.ERROR, extreme=extreme)
        if not starved:
            return Severity.WARNING if not np.isfinite(own) else Severity.NOTE
        if value >= self.error_gradient_ratio or (loss_trend.fallen and not extreme):
            return Severity.WARNING
        return window.cap(Severity.ERROR, extreme=extreme)


def _best(levels: dict[int, float]) -> tuple[int, float]:
    known = {column: level for column, level in levels.items() if np.isfinite(level)}
    return max(known.items(), key=lambda item: item[1]) if known else (-1, float("nan"))


def _affected(flow: Flow, window: Window, bound: float, *, early: bool) -> tuple[Layer, ...]:
    levels: npt.NDArray[np.float64] = np.array(
        [flow.level(flow.gradient[:, i], window, early=early) for i in range(len(flow.layers))]
    )
    return tuple(layer for layer, level in zip(flow.layers, levels, strict=True) if level < bound)
