"""Rule badly-scaled-input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, log, nan
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import InputScale, Layer, LossTrend, Nonfinite
from gradscope.diagnosis.evidence.input_scale import MOST_OFFSET
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_TINY = 1e-30
_MEASURED = {
    "offset": "√(rms² - example_std²) / example_std of the input",
    "truncated": "largest number in the input",
    "uneven": "std of the column that varies most, over the median column's",
}
_HEALTHY = {"offset": "below 1", "truncated": "1 and more"}
_LARGE = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "disconnected-variable:zero",
        "diverging-loss",
        "exploding-gradient",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "loss-plateau",
        "nonfinite-values",
        "saturated-activation",
        "stale-optimizer",
        "update-ratio-out-of-range:too-large",
        "vanishing-gradient",
    }
)
_BREAKING = frozenset({"diverging-loss", "exploding-gradient", "learning-rate-too-high", "nonfinite-values"})
_SMALL = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "learning-rate-too-low",
        "linear-units",
        "loss-plateau",
        "update-ratio-out-of-range:too-small",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class BadlyScaledInput(Rule):
    """Inputs far from zero mean and unit variance.

    ## What it detects
    Inputs that are large (pixels from 0 to 255, prices, years), tiny, or nearly the same for all examples (far from
    zero compared with how they vary, scaled by rows in place of columns), or one column or a few entries of which drown
    the others, and that reach a layer with weights as they are.

    ## Why it matters
    Initialisers and usual learning rates assume inputs of about unit scale. The gradient of the first kernel grows with
    the input: the first steps overshoot, saturate the first layer, kill its ReLUs or end in NaN. A tiny input gives a
    tiny gradient, and an offset that dwarfs the differences lets all units see the offset alone. Of columns on
    different scales the network sees the largest only.

    ## Evidence
    The rms of the input, zeros left out, and what all examples share, √(rms² - σ²), over σ, the standard deviation
    across examples; where the rms jumps in the course of the run, the worse of both sides counts. Scale alone is a note
    where the loss falls all the same (Adam forgives much), a warning where it falls little or saturates the first
    layer, an error where it is extreme. It is an error too with harm to show: values that are not finite, a loss that
    stands where it began or where a constant answer stands, or a saturated first layer under a loss that falls little.
    One barely too large (pixels from 0 to 16) is a warning at most, since networks learn from it, and no input with an
    rms below 20 and no entries beyond 100 makes a run explode by itself. Where the scale as a whole is sound: the
    standard deviation of the column that varies most over the median column's, unless most entries are zero; and, where
    the loss falls little, how far single entries lie outside of all others (another unit, a code for missing values).
    What all examples share is an error from twenty times what they differ by on, where much of the loss is left after
    200 steps. Of what embeddings look up, only whether any of it reaches 1: they cut fractions off.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("input", "input"): 120.0}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [BadlyScaledInput()]).findings()]
    ['the input is large (rms 120) and reaches hidden_1 as it is']
    >>> list(diagnose(toy_run(), [BadlyScaledInput()]).findings())
    []

    ## Remedies
    Standardised inputs, all of them alike; a ``Rescaling`` or ``Normalization`` layer in front, which travels with the
    model.

    ## References
    LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.3 (normalising the inputs).
    """

    name: ClassVar[str] = "badly-scaled-input"
    max_rms: float = limit(10.0, "as the input", "ten times the scale that initialisers assume")
    error_rms: float = limit(100.0, "as the input", "a hundred times that scale: an error where the loss falls little")
    min_rms: float = limit(1e-2, "as the input", "a hundredth of that scale")
    max_offset: float = limit(7.0, "1", "shared over differing: the offset makes up 98 % of the signal's power")
    max_leading_ratio: float = limit(
        30.0, "1", "of the column that varies most over the median one: standardised columns show 1, rare marks 10"
    )
    error_leading_ratio: float = limit(100.0, "1", "the same: an error where the loss falls little")
    max_outlying: float = limit(
        50.0,
        "1",
        "distance of the farthest entry from the median over that of the outer quantile; mostly below 21",
    )
    min_breaking_rms: float = limit(20.0, "as the input", "twice max_rms: less makes no run explode by itself")
    min_breaking_entry: float = limit(100.0, "as the input", "in most batches: single examples overshoot by themselves")
    max_remaining_loss: float = limit(0.8, "1", "of a constant answer's loss: next to nothing is learnt")
    max_far_loss: float = limit(0.4, "1", "likewise where the scale is extreme: more was to be learnt")
    error_offset: float = limit(20.0, "1", "shared over differing: a thousandth of the signal's power is left")
    late_steps: float = limit(200, "steps", "by then most networks have got over an offset")
    min_first_loss: float = limit(
        5.0,
        "1",
        "of a constant answer's loss: a network that came down from there took its input in, a warning at most",
    )
    max_arrived_loss: float = limit(0.95, "1", "of a constant answer's loss, where it rests after that")
    max_late_fall: float = limit(0.05, "1", "of a constant answer's loss over the last half: it rests")
    min_token: float = limit(1.0, "as the input", "of the largest: an embedding cuts what lies below off to 0")
    max_saturation_fraction: float = limit(0.8, "1", "of the first layer: most entries")

    def check(
        self, run: Run, input_scale: tuple[InputScale, ...], loss_trend: LossTrend, nonfinite: Nonfinite
    ) -> Iterable[Finding]:
        """Judge each input."""
        if not run.names("input"):
            raise NotJudged("the input was not recorded; record with gradscope.Recorder")
        for name in dict.fromkeys(scale.name for scale in input_scale):
            # Of one that jumps from bad to worse the worse is said.
            scale = max((scale for scale in input_scale if scale.name == name), key=self._badness)
            variant, value, bound = self._off(scale)
            if variant and (variant != "outliers" or loss_trend.slow):
                saturated = any(self._saturated(run, nonfinite, layer) for layer in scale.takers)
                yield self._finding(
                    run,
                    scale,
                    Measurement(
                        _MEASURED.get(variant, "rms of the input"),
                        value,
                        bound,
                        "1",
                        "",
                        _HEALTHY.get(variant, "about 1"),
                    ),
                    variant,
                    self._severity(
                        scale, variant, loss_trend, broken=bool(nonfinite.broken.any()), saturated=saturated
                    ),
                )

    def _badness(self, scale: InputScale) -> float:
        variant, value, bound = self._off(scale)
        return abs(log(max(value, _TINY) / bound)) if variant else -1.0

    def _off(self, scale: InputScale) -> tuple[str, float, float]:
        cases = (
            (scale.constant, "offset", scale.offset, self.max_offset),
            (scale.greatest_token < self.min_token, "truncated", scale.greatest_token, self.min_token),
            (scale.rms > self.max_rms, "too-large", scale.rms, self.max_rms),
            (scale.rms < self.min_rms, "too-small", scale.rms, self.min_rms),
            (scale.offset > self.max_offset, "offset", scale.offset, self.max_offset),
            (scale.leading_ratio > self.max_leading_ratio, "uneven", scale.leading_ratio, self.max_leading_ratio),
            (scale.outlying > self.max_outlying, "outliers", scale.outlying, self.max_outlying),
        )
        return next(((name, value, bound) for off, name, value, bound in cases if off), ("", nan, nan))

    def _breaks(self, scale: InputScale) -> bool:
        return scale.rms > self.min_breaking_rms or scale.largest > self.min_breaking_entry

    def _severity(
        self, scale: InputScale, variant: str, loss_trend: LossTrend, *, broken: bool, saturated: bool
    ) -> Severity:
        far = scale.rms > self.error_rms or (variant == "uneven" and scale.leading_ratio > self.error_leading_ratio)
        grave = saturated or (far and loss_trend.slow)
        grave |= loss_trend.knows_constant and loss_trend.remaining > self.max_remaining_loss
        shifted = variant == "offset" and scale.offset > self.error_offset and loss_trend.reach >= self.late_steps
        held_up = (far or shifted) and loss_trend.knows_constant and loss_trend.remaining > self.max_far_loss
        if broken or loss_trend.at_rest or held_up:
            severity = Severity.ERROR
        elif loss_trend.falling:
            severity = Severity.WARNING if saturated and not loss_trend.fallen else Severity.NOTE
        else:
            severity = Severity.ERROR if grave else Severity.WARNING
        doubtful = not self._breaks(scale) and (broken or variant == "too-large")
        doubtful |= not broken and self._has_arrived(loss_trend)
        return min(severity, Severity.WARNING) if doubtful else severity

    def _has_arrived(self, trend: LossTrend) -> bool:
        """Whether a loss came down from far above to below a constant answer's and rests: noise may allow no less."""
        came = trend.begins_at > self.min_first_loss
        below = trend.remaining < self.max_arrived_loss
        return came and below and -trend.slope < self.max_late_fall * trend.constant

    def _saturated(self, run: Run, nonfinite: Nonfinite, layer: Layer) -> bool:
        usable = finite_window(run, nonfinite).usable
        fraction = median(run.series("activation", layer.name, "saturation_fraction")[usable])
        return layer.shape == "bounded" and not layer.is_output and fraction > self.max_saturation_fraction

    def _finding(
        self, run: Run, scale: InputScale, measurement: Measurement, variant: str, severity: Severity
    ) -> Finding:
        what = {
            "too-large": f"is large (rms {number(scale.rms)}{_since(run, scale)})",
            "too-small": f"is tiny (rms {number(scale.rms)}{_since(run, scale)})"
            if scale.rms
            else "is nothing but zeros",
            "truncated": f"lies within {number(scale.greatest_token)} of zero, where whole numbers are looked up,",
            "offset": "is nearly the same for all examples "
            f"(they share {number(scale.offset)} times what they differ by)",
            "uneven": f"has columns on different scales (column {scale.leading_column} varies "
            f"{number(scale.leading_ratio)} times as much as the median one)",
            "outliers": f"has single entries {number(scale.outlying)} times as far from the middle as 96 % of them",
        }[variant]
        what = "is the same for all examples" if variant == "offset" and scale.offset >= MOST_OFFSET else what
        explained = _SMALL if variant == "too-small" else _LARGE
        explained = explained if variant == "outliers" or self._breaks(scale) else explained - _BREAKING
        return Finding(
            rule=self.name,
            title="badly scaled input",
            sentence=f"the {scale.name.replace('_', ' ')} {what} and reaches {scale.takers[0].name} as it is",
            severity=severity,
            layers=(scale.takers[0].name,),
            first_step=scale.first_step,
            last_step=scale.last_step,
            measurements=(measurement,),
            remedies=(_remedy(scale, variant),),
            variant=variant,
            explains=explained if severity > Severity.NOTE else frozenset(),
        )


def _remedy(scale: InputScale, variant: str) -> Remedy:
    if variant == "uneven":
        return remedies.scale_columns(scale.leading_column)
    if variant == "truncated":
        return remedies.keep_tokens_whole()
    if scale.constant or not scale.rms:
        return remedies.look_at_input()
    return remedies.scale_input() if isnan(scale.rms_elsewhere) else remedies.scale_alike(scale.rms_elsewhere)


def _since(run: Run, scale: InputScale) -> str:
    if isnan(scale.rms_elsewhere):
        return ""
    if scale.first_step > run.steps[0]:
        return f" from step {scale.first_step:,} on, {number(scale.rms_elsewhere)} before"
    return f" up to step {scale.last_step:,}, {number(scale.rms_elsewhere)} after it"
