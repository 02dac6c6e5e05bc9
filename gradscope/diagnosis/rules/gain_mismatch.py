"""Rule gain-mismatch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Flow, Layer, LayerGain, LossTrend, Nonfinite, Window
from gradscope.diagnosis.evidence.window import finite_window, largest, median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number, span
from gradscope.run import Run

_NOTABLE = 1.25  # a factor that counts as a share of a mismatch of the product, or as a change
_EXPLAINS = {
    "too-small": frozenset(
        {
            "collapsed-representation",
            "constant-output",
            "dead-units",
            "disconnected-variable:zero",
            "linear-units",
            "loss-plateau",
            "update-ratio-out-of-range:too-small",
            "vanishing-gradient",
        }
    ),
    "too-large": frozenset(
        {
            "collapsed-representation",
            "constant-output",
            "disconnected-variable:zero",
            "diverging-loss",
            "exploding-gradient",
            "learning-rate-too-high",
            "learning-rate-too-low",
            "linear-units",
            "loss-plateau",
            "saturated-activation",
            "nonfinite-values",
            "update-ratio-out-of-range:too-large",
            "dead-units",
            "vanishing-gradient",
        }
    ),
}
_UNBOUNDED = ("relu", "linear", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "softplus")


@dataclass(frozen=True)
class GainMismatch(Rule):
    """Initial weights far too small or too large for their fan-in.

    ## What it detects
    Layers whose weights at the first sampled step would shrink or enlarge the signal by a large factor.

    ## Why it matters
    Signal and gradient pass through every layer: a factor of 0.01 in each of three layers is one of a million in all.

    ## Evidence
    Gain = rms(weight) · √fan_in / (√2 before ReLU and its kin, else 1), held against the usual initialisers: a gain is
    too small if it is a tenth of what the smaller of He and Glorot gives the layer, too large if ten times what the
    larger gives. The product over all layers counts as well. On its own it is a note where training has mended it, the
    loss falls, the gradient arrives all the same (skip connections), or only the last layer is concerned (often on
    purpose), and a warning otherwise: it is serious through its consequences. Weights too small are an error where the
    gradient was weak at first and the loss stood still for a fifth of the run, and is still high. Weights too large are
    an error where the loss has not fallen by half, or where half of a bounded layer stays saturated and the loss is not
    down to a tenth. Layers that a normalisation follows and depthwise kernels are not judged; of an embedding the rms
    of its vectors counts, shorter ones where the loss starts far above a constant answer's and never gets below it; of
    a recurrent layer it is the kernel of its state, whose gain acts once per step of the sequence; without gates it is
    judged for being too small as well where the loss stands still.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("weight", "hidden_1/kernel"): 1e-2})
    >>> [f.sentence for f in diagnose(ill, [GainMismatch()]).findings()]
    ['the initial weights are far too small for their fan-in (hidden_1: gain 0.0099 per layer, healthy is about 1)']
    >>> list(diagnose(toy_run(), [GainMismatch()]).findings())
    []

    ## Remedies
    He initialisation before ReLU and its kin, LeCun before SELU, Glorot otherwise; a positive bias before ReLU.

    ## References
    Glorot & Bengio 2010; He et al. 2015, Delving Deep into Rectifiers; Klambauer et al. 2017 (SELU);
    Le, Jaitly & Hinton 2015 (recurrent ReLU units that begin with the identity).
    """

    name: ClassVar[str] = "gain-mismatch"
    min_gain_ratio: float = limit(
        0.1, "1", "over the smaller of He and Glorot; RandomNormal(0.05) passes from fan-in 8 on"
    )
    max_gain_ratio: float = limit(
        10.0, "1", "over the larger of He and Glorot; RandomNormal(0.05) passes up to fan-in 4e4"
    )
    min_gain_product: float = limit(1e-3, "1", "over all layers: three decades are lost before anything is learnt")
    min_idle_gain_product: float = limit(0.05, "1", "the same where the loss stands still: what is lost was needed")
    max_delay: float = limit(
        0.2, "1", "of the steps, before the loss began to fall: they were needed to mend the weights"
    )
    max_held_up_loss: float = limit(0.4, "1", "of a constant answer's loss or of the start, after such a delay")
    max_weak_gradient: float = limit(0.1, "1", "of the output's, at first: the delay comes of it")
    error_steps: float = limit(100, "steps", "earlier no learning is to be expected")
    late_steps: float = limit(256, "steps", "earlier weights that are too small may yet grow")
    max_recurrent_gain: float = limit(
        2.5, "1 per step", "over an orthogonal matrix; acts once per step of the sequence: 1e4 in ten steps"
    )
    max_unbounded_gain: float = limit(
        1.5, "1 per step", "the same where no activation bounds the state: 60 in ten steps; Le et al. 2015 use 1"
    )
    min_recurrent_gain: float = limit(
        0.7, "1 per step", "over an orthogonal matrix, without gates: a thousandth is left after twenty steps"
    )
    min_slow_recurrent_gain: float = limit(
        0.35, "1 per step", "the same where the loss stood still for long and is high: a millionth after 13 steps"
    )
    max_gain_product: float = limit(1e3, "1", "over all layers")
    max_blown_gain_product: float = limit(10.0, "1", "the same where the loss begins above max_first_loss")
    max_first_loss: float = limit(8.0, "1", "of a constant answer's loss: the answers themselves are far too large")
    max_vector_rms: float = limit(
        2.0, "1", "of an embedding's entries; usual initialisers give 0.03 to 1, and no layer behind expects more"
    )
    max_product_rms: float = limit(
        0.2, "1", "of an embedding's entries where products of them are the answers: 0.03 is usual"
    )
    max_first_product_loss: float = limit(5.0, "1", "of a constant answer's loss: the products are far too large")
    min_late_product_loss: float = limit(0.9, "1", "of a constant answer's loss, there: nothing is learnt yet")
    min_gradient_ratio: float = limit(1e-3, "1", "a gradient that arrives within 1e-3 to 1e3 is unhurt by the mismatch")
    max_saturation_fraction: float = limit(
        0.5, "1", "of a sigmoid's or tanh's entries: what is learnt is by the others"
    )
    max_first_step: float = limit(100, "steps", "later weights are no longer the initial ones")

    def check(
        self,
        *,
        run: Run,
        gains: tuple[LayerGain, ...],
        flow: Flow,
        nonfinite: Nonfinite,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """Judge both directions."""
        if not gains:
            raise NotJudged("no layer with a kernel of known fan-in was recorded; record weights and the model card")
        if run.steps[0] > self.max_first_step:
            raise NotJudged(f"the first sampled step is {run.steps[0]:,}; record from the start of training")
        yield from self._too_small(run, gains, flow, nonfinite, loss_trend)
        yield from self._too_large(run, gains, nonfinite, loss_trend)

    def _too_small(
        self, run: Run, gains: tuple[LayerGain, ...], flow: Flow, nonfinite: Nonfinite, loss_trend: LossTrend
    ) -> Iterable[Finding]:
        fading = [gain for gain in gains if gain.recurrent and gain.shortfall(gain.initial) < self.min_recurrent_gain]
        held_up = loss_trend.delay > self.max_delay and loss_trend.remaining > self.max_held_up_loss
        held_up &= loss_trend.reach >= self.error_steps
        forgets = any(gain.shortfall(gain.initial) < self.min_slow_recurrent_gain for gain in fading)
        if fading and (loss_trend.at_rest or (held_up and forgets)):
            sure = loss_trend.knows_constant and loss_trend.reach >= self.late_steps
            yield self._finding("too-small", fading, run, Severity.ERROR if sure else Severity.WARNING)
        stack = [gain for gain in gains if not gain.recurrent]
        small = [gain for gain in stack if gain.shortfall(gain.initial) < self.min_gain_ratio]
        least = self.min_idle_gain_product if loss_trend.at_rest or held_up else self.min_gain_product
        if prod(min(1.0, gain.shortfall(gain.initial)) for gain in stack) < least:
            small = [gain for gain in stack if gain.shortfall(gain.initial) < 1 / _NOTABLE] or small
        if small:
            calm = Severity.NOTE if loss_trend.falling or self._flows(flow) else Severity.WARNING
            harm = Severity.NOTE if small == [gains[-1]] else calm
            weak = self._early(flow, finite_window(run, nonfinite)) < self.max_weak_gradient
            if held_up and weak:
                harm = Severity.ERROR if loss_trend.reach >= self.late_steps else Severity.WARNING
            yield self._finding("too-small", small, run, harm, slow=loss_trend.slow, held_up=held_up and weak)

    def _too_large(
        self, run: Run, gains: tuple[LayerGain, ...], nonfinite: Nonfinite, loss_trend: LossTrend
    ) -> Iterable[Finding]:
        large = [gain for gain in gains if gain.excess(gain.initial) > self._max_gain(gain)]
        blown_up = loss_trend.begins_at > self.max_first_loss
        blown_up &= loss_trend.reach >= self.error_steps
        most = self.max_blown_gain_product if blown_up else self.max_gain_product
        if prod(max(1.0, gain.excess(gain.initial)) for gain in gains if not gain.recurrent) > most:
            large = [gain for gain in gains if gain.excess(gain.initial) > _NOTABLE] or large
        if large:
            harm = Severity.ERROR if loss_trend.slow else Severity.NOTE if loss_trend.falling else Severity.WARNING
            if not loss_trend.fallen and any(self._is_saturated(gain.layer, run, nonfinite) for gain in large):
                harm = Severity.ERROR
            yield self._finding("too-large", large, run, harm)
        elif long := [gain for gain in gains if gain.looked_up and self._is_long(gain, loss_trend)]:
            yield self._long_vectors(long, run, loss_trend)

    def _finding(
        self,
        variant: str,
        found: list[LayerGain],
        run: Run,
        severity: Severity,
        *,
        slow: bool = False,
        held_up: bool = False,
    ) -> Finding:
        size = variant.removeprefix("too-")
        lasting = any(self._mismatched(gain, gain.late, variant) for gain in found)
        names = [gain.layer.name for gain in found]
        usual = [gain.smallest_usual if variant == "too-small" else gain.largest_usual for gain in found]
        sign = "all of one sign and " if all(gain.one_sign for gain in found) else ""
        gain_range = span([gain.initial for gain in found])
        each = "step of the sequence" if all(gain.recurrent for gain in found) else "layer"
        explained = _EXPLAINS[variant] if lasting else frozenset({"dead-units"} if slow else ())
        fan = "" if all(gain.looked_up for gain in found) else " for their fan-in"
        return Finding(
            rule=self.name,
            title=f"initial weights too {size}",
            sentence=f"the initial weights are {sign}far too {size}{fan} ({among(names)}: gain "
            f"{gain_range} per {each}, healthy is about 1)",
            severity=severity if lasting or held_up else Severity.NOTE,
            layers=tuple(names),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1] if lasting else run.steps[0]),
            measurements=tuple(
                Measurement(
                    f"gain of {gain.layer.name}",
                    gain.initial,
                    self._bound(gain, variant) * least,
                    "1",
                    gain.layer.name,
                    "about 1",
                )
                for gain, least in zip(found, usual, strict=True)
            ),
            remedies=_remedies(found, variant),
            variant=variant,
            # Until training has mended it nothing is learnt, and the first steps are large for such weights.
            explains=explained | {"learning-rate-too-low"} if held_up else explained,
        )

    def _bound(self, gain: LayerGain, variant: str) -> float:
        """What a gain is held to, by itself or, where that is met, as a part of the product of all."""
        if variant == "too-small":
            least = self._min_gain(gain)
            return least if gain.recurrent or gain.shortfall(gain.initial) < least else 1 / _NOTABLE
        most = self._max_gain(gain)
        return most if gain.recurrent or gain.excess(gain.initial) > most else _NOTABLE

    def _long_vectors(self, found: list[LayerGain], run: Run, trend: LossTrend) -> Finding:
        names = [gain.layer.name for gain in found]
        return Finding(
            rule=self.name,
            title="initial weights too large",
            sentence=f"the initial vectors of {among(names)} are far too long (rms {span([g.initial for g in found])}, "
            f"usual is 0.03): the loss starts at {number(trend.begins_at)} times a constant answer's, and "
            "has not come below it",
            severity=Severity.ERROR,
            layers=tuple(names),
            first_step=int(run.steps[0]),
            last_step=int(trend.steps[-1]),
            measurements=tuple(
                Measurement(
                    f"rms of the vectors of {name}, at first", gain.initial, self.max_product_rms, "1", name, "0.03"
                )
                for name, gain in zip(names, found, strict=True)
            ),
            remedies=_remedies(found, "too-large"),
            variant="too-large",
            explains=_EXPLAINS["too-large"],
        )

    def _min_gain(self, gain: LayerGain) -> float:
        return self.min_recurrent_gain if gain.recurrent else self.min_gain_ratio

    def _max_gain(self, gain: LayerGain) -> float:
        if gain.recurrent:
            activation = gain.layer.card.arguments.get("activation") if gain.layer.card else None
            return self.max_unbounded_gain if activation in _UNBOUNDED else self.max_recurrent_gain
        return self.max_vector_rms if gain.looked_up else self.max_gain_ratio

    def _is_long(self, vectors: LayerGain, trend: LossTrend) -> bool:
        """Whether vectors that are multiplied with each other start the loss so high that it never gets below."""
        high = trend.begins_at > self.max_first_product_loss
        late = trend.remaining > self.min_late_product_loss and trend.reach >= self.error_steps
        return high and late and vectors.initial > self.max_product_rms

    def _is_saturated(self, layer: Layer, run: Run, nonfinite: Nonfinite) -> bool:
        share = finite_window(run, nonfinite).lower(run.series("activation", layer.name, "saturation_fraction"))
        # Sure answers saturate a sigmoid, as they should; a tanh stands for values in between.
        sure = layer.is_output and layer.activation != "tanh"
        return layer.shape == "bounded" and not sure and share > self.max_saturation_fraction

    def _flows(self, flow: Flow) -> bool:
        levels = [median(flow.gradient[:, i]) for i in flow.head]
        known = [level for level in levels if np.isfinite(level)]
        return bool(known) and self.min_gradient_ratio < max(known) < 1 / self.min_gradient_ratio

    def _early(self, flow: Flow, window: Window) -> float:
        return largest(flow.level(flow.gradient[:, i], window, early=True) for i in flow.head)

    def _mismatched(self, gain: LayerGain, value: float, variant: str) -> bool:
        if variant == "too-small":
            return gain.shortfall(value) < max(self._min_gain(gain), gain.shortfall(gain.initial) * _NOTABLE)
        return gain.excess(value) > min(self._max_gain(gain), gain.excess(gain.initial) / _NOTABLE)


def _remedies(found: list[LayerGain], variant: str) -> tuple[Remedy, ...]:
    stack = [gain.layer for gain in found if not gain.recurrent]
    recurrent = [gain.layer for gain in found if gain.recurrent]
    return (
        *((remedies.initialise(stack),) if stack else ()),
        *((remedies.initialise_recurrent(recurrent),) if recurrent else ()),
        *((remedies.clip_gradients(),) if recurrent and variant == "too-large" else ()),
    )
