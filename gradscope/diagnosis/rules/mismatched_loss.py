"""Rule mismatched-loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, log
from typing import ClassVar, NamedTuple

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTerm, LossTrend, Nonfinite
from gradscope.diagnosis.evidence.reach import RANGES
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_ERRORS_OF_VALUES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "huber",
    "log_cosh",
    "logcosh",
)
_CLOSE = 0.2
_ONE_SIDED = ("relu", "relu6", "softplus", "exponential")
_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "loss-plateau",
        "dead-units",
        "disconnected-variable",
        "exploding-gradient",
        "diverging-loss",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "linear-units",
        "nonfinite-values",
        "saturated-activation",
        "update-ratio-out-of-range",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class MismatchedLoss(Rule):
    """An output activation, a loss and targets that do not fit each other.

    ## What it detects
    Probabilities taken for logits, logits taken for probabilities or cut off at zero, a softmax over a single unit or
    for several labels at once, targets that the output's activation cannot reach, a ReLU output that falls silent, the
    absolute error of a softmax, or a squared one that learns nothing, errors in per cent of targets near zero, rates
    that are not above zero, logarithms of targets below zero, weights of the examples that leave the rare class out,
    and targets that the loss is not defined for.

    ## Why it matters
    The loss then has no minimum where the answers are right: training runs and the figures move, but towards nothing.

    ## Evidence
    The loss function and its ``from_logits`` from the model card, held against the *measured* range of the output and
    of the targets. A softmax or sigmoid output with ``from_logits=True`` is a note where Keras noticed and computed the
    loss from the logits all the same, which the recorded gradients show, and an error where the activation was applied
    twice. Of regression targets, the share of their variance that lies outside the range of the output's activation is
    estimated from their quantiles. What the loss learns to live with is a warning. In a loop of one's own the loss is
    known by the Keras losses it calls, the operations it is made of or the value it begins with: a slope at the
    probabilities that never exceeds 1 is that of a loss which expects logits, and targets with an axis less than the
    answers are compared with all of them.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> losses = [{"name": "categorical_crossentropy", "from_logits": False, "output": None}]
    >>> ill = toy_run(loss=2.3, settings={"losses": losses})
    >>> [f.sentence for f in diagnose(ill, [MismatchedLoss()]).findings()]
    ['categorical_crossentropy takes what output gives for probabilities, but it lies between -1.4 and 1.4']
    >>> list(diagnose(toy_run(), [MismatchedLoss()]).findings())
    []

    ## Remedies
    ``from_logits`` set to what the output gives; a sigmoid for a single unit; a linear output, or targets scaled into
    the range of its activation; labels as the loss expects them.

    ## References
    Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2 (output units and their losses); the documentation
    of ``keras.losses``.
    """

    name: ClassVar[str] = "mismatched-loss"
    max_excess: float = limit(1e-3, "1", "how far a probability may lie outside [0, 1] by rounding")
    min_unreachable: float = limit(0.01, "1", "share of the targets' variance: less is a matter of rare targets")
    error_unreachable: float = limit(0.2, "1", "standardised targets miss 15 % with tanh, 50 % with ReLU")
    max_silent: float = limit(0.1, "1", "of the examples: answers of 0 where another is asked for, and no gradient")
    max_percentage: float = limit(50.0, "%", "of the targets: half of what answering 0 costs")
    max_slope: float = limit(1.0, "1", "per answer: -log p has a slope of 1/p, the logarithm of a softmax below 1")
    max_labels: float = limit(1.2, "labels", "of an example: shares that sum to 1 can stand for one of them")
    max_rare: float = limit(0.3, "1", "of the examples: a class that is so rare is weighed up, if at all")
    max_rarer: float = limit(3.0, "1", "times rarer by its weights than it is")
    min_counted: float = limit(0.02, "1", "of all weights: what counts for less is left out")
    min_samples: float = limit(5, "samples", "fewer outputs may lie in [0, 1] by chance")

    def check(
        self, run: Run, loss_terms: tuple[LossTerm, ...], loss_trend: LossTrend, nonfinite: Nonfinite
    ) -> Iterable[Finding]:
        """Judge each term of the loss; the first mismatch of a term is the one reported."""
        if not any(term.output or np.isfinite(term.targets.least) for term in loss_terms):
            raise NotJudged(
                "which loss judges which output is unknown; record a compiled model's fit() with gradscope.Recorder"
            )
        broken = bool(nonfinite.broken.any())
        for term in loss_terms:
            mismatch = next(self._mismatches(term, loss_trend, broken=broken), None)
            if mismatch is None:
                continue
            severity = mismatch.severity
            if severity is None:
                severity = Severity.WARNING if loss_trend.fallen and not broken else Severity.ERROR
            yield Finding(
                rule=self.name,
                title="loss and output do not fit",
                sentence=mismatch.sentence,
                severity=severity,
                layers=(term.output.name,) if term.output else (),
                first_step=int(run.steps[0]),
                last_step=int(run.steps[-1]),
                measurements=(mismatch.measurement,),
                remedies=mismatch.remedies,
                variant=mismatch.variant,
                explains=_EXPLAINS if severity > Severity.NOTE else frozenset(),
            )

    def _mismatches(self, term: LossTerm, loss_trend: LossTrend, *, broken: bool) -> Iterator[_Mismatch]:
        if term.output is not None and term.samples:
            yield from self._shapes(term, term.output)
            yield from self._single_category(term, term.output)
            yield from self._single_unit(term, term.output)
            yield from self._several_labels(term, term.output)
            yield from self._logits(term, term.output, loss_trend, broken=broken)
            # A loss below zero weighs its errors, by an advantage say: what it compares with is no target.
            if loss_trend.nonnegative or not loss_trend.steps.size:
                yield from self._reach(term, term.output)
            yield from self._shares(term, term.output, loss_trend)
            yield from self._percentages(term, term.output, loss_trend)
            yield from self._rates(term, term.output)
            yield from self._logarithms(term, term.output)
            yield from self._silence(term, term.output, loss_trend)
        yield from self._weights(term, loss_trend)
        yield from self._labels(term, broken=broken)

    def _single_unit(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        if term.activation == "softmax" and term.units == 1 and term.least > 1 - self.max_excess:
            yield _Mismatch(
                "single-unit-softmax",
                f"a softmax over the single unit of {output.name} is 1 whatever the input",
                Severity.ERROR,
                Measurement("least output", term.least, 1 - self.max_excess, "1", output.name, "between 0 and 1"),
                (remedies.output_activation(output, "sigmoid"),),
            )

    def _several_labels(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        labels = term.targets.mean * (term.units or 0)
        several = term.activation == "softmax" and term.name.startswith("binary") and labels > self.max_labels
        if several and term.targets.least >= 0 and term.targets.greatest <= 1:
            yield _Mismatch(
                "several-labels",
                f"examples have {number(labels)} labels on average, but the softmax of {output.name} shares out only 1",
                None,
                Measurement("labels of an example", labels, self.max_labels, "1", output.name, "1"),
                (remedies.output_activation(output, "sigmoid"),),
            )

    def _single_category(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        if term.name in ("categorical_crossentropy", "categorical_focal_crossentropy") and term.units == 1:
            yield _Mismatch(
                "single-category",
                f"{term.name} compares shares of classes, but {output.name} has a single unit, whose share is always 1",
                Severity.ERROR,
                Measurement("units of the output", 1.0, 2.0, "units", output.name, "one for each class"),
                (remedies.output_activation(output, "sigmoid"),),
            )

    def _shapes(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        if term.broadcast and term.name in _ERRORS_OF_VALUES:
            yield _Mismatch(
                "broadcast",
                f"the targets have other axes than the answers of {output.name}: every answer is compared with every "
                "target",
                None,
                Measurement("targets are broadcast (1: yes)", 1.0, 0.0, "", output.name, "0"),
                (remedies.align_shapes(),),
            )

    def _logits(self, term: LossTerm, output: Layer, loss_trend: LossTrend, *, broken: bool) -> Iterator[_Mismatch]:
        if not term.name.endswith("crossentropy"):
            return
        inside = term.least >= -self.max_excess and term.greatest <= 1 + self.max_excess
        squashed = term.activation in ("softmax", "sigmoid")
        if term.from_logits and inside and (squashed or term.samples >= self.min_samples):
            yield _Mismatch(
                "squashed-twice",
                f"{term.name} expects logits (from_logits=True), but {output.name} gives probabilities"
                f"{'; Keras noticed and used the logits' if term.from_preactivation else ''}",
                Severity.NOTE if term.from_preactivation else Severity.ERROR,
                Measurement("greatest output", term.greatest, 1 + self.max_excess, "1", output.name, "logits exceed 1"),
                (remedies.set_from_logits(term.name, from_logits=False),),
            )
        if term.from_logits is None and squashed and not term.from_preactivation and self._is_flat(term, loss_trend):
            yield _Mismatch(
                "squashed-twice",
                f"the gradient at {output.name} is that of a loss which expects logits, but {output.name} gives "
                "probabilities",
                Severity.ERROR,
                Measurement("steepest slope at the output", term.steepest, self.max_slope, "1", output.name, "above 1"),
                (remedies.set_from_logits(term.name, from_logits=False),),
            )
        logits = term.activation if term.from_logits else term.logits_activation
        if logits in _ONE_SIDED:
            whose = "expects logits of both signs" if term.from_logits else "needs logits of both signs"
            yield _Mismatch(
                "one-sided-logits",
                f"{term.name} {whose}, but what makes those of {output.name} ends in {logits}",
                None,
                Measurement("least output", term.least, 0.0, "1", output.name, "logits fall below 0"),
                (remedies.output_activation(output, None),),
            )
        # Where all breaks down at once the outputs had no time to leave the range.
        unfit = broken and term.activation in _ONE_SIDED
        if term.from_logits is False and not term.from_preactivation and (unfit or not inside):
            worst, bound = (term.least, 0.0) if -term.least > term.greatest - 1 else (term.greatest, 1.0)
            yield _Mismatch(
                "logits-as-probabilities",
                f"{term.name} takes what {output.name} gives for probabilities, but "
                + (
                    f"{term.activation} gives none"
                    if inside
                    else f"it lies between {number(term.least)} and {number(term.greatest)}"
                ),
                None,
                Measurement("output farthest outside [0, 1]", worst, bound, "1", output.name, "0 to 1"),
                (remedies.set_from_logits(term.name, from_logits=True),),
            )

    def _is_flat(self, term: LossTerm, loss_trend: LossTrend) -> bool:
        # A loss of another kind begins elsewhere. -log p has the slope -1/p, at least 1; the logarithm of a softmax or
        # sigmoid at most 1.
        level = log(max(2, term.units or 0))
        begins = abs(loss_trend.start / level - 1) < _CLOSE
        return begins and term.samples >= self.min_samples and 0 < term.steepest < self.max_slope

    def _reach(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        low, high = RANGES.get(term.activation, (-inf, inf))
        share = term.targets.unreachable(low, high) if term.name in _ERRORS_OF_VALUES else 0.0
        if share > self.min_unreachable:
            grave = share > self.error_unreachable
            bounds = f"{low:g} and {high:g}" if high < inf else f"{low:g} and infinity"
            yield _Mismatch(
                "unreachable-targets",
                f"the targets reach from {number(term.targets.least)} to {number(term.targets.greatest)}, but "
                f"{term.activation} at {output.name} gives values between {bounds}",
                Severity.ERROR if grave else Severity.WARNING,
                Measurement(
                    "share of the targets' variance out of reach",
                    share,
                    self.error_unreachable if grave else self.min_unreachable,
                    "1",
                    output.name,
                    "0",
                ),
                (remedies.output_activation(output, None), remedies.scale_targets()),
            )

    def _shares(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[_Mismatch]:
        units, targets = term.units or 0, term.targets
        classes = units > 1 and abs(targets.mean * units - 1) < self.max_excess
        if classes and (targets.least, targets.greatest) == (0.0, 1.0) and term.activation == "softmax":
            if term.name == "mean_absolute_error" and loss_trend.slow:
                yield _Mismatch(
                    "absolute-error-of-shares",
                    f"mean_absolute_error pulls the shares that {output.name} gives alike whether they are right or "
                    "wrong: answering with one class costs no more than not knowing",
                    None,
                    Measurement("absolute error of a softmax (1: yes)", 1.0, 0.0, "", output.name, "0"),
                    (remedies.compare_shares(),),
                )
            elif term.name == "mean_squared_error" and loss_trend.at_rest:
                yield _Mismatch(
                    "squared-error-of-shares",
                    f"mean_squared_error has next to no slope where the {units} shares that {output.name} gives are "
                    "alike, or wrong and sure",
                    None,
                    Measurement("squared error of a softmax (1: yes)", 1.0, 0.0, "", output.name, "0"),
                    (remedies.compare_shares(),),
                )

    def _percentages(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[_Mismatch]:
        low, high = (float(term.targets.quantiles[place]) for place in (0, -1))
        zero = term.targets.least == 0 or low < 0 < high
        # All answers 0 have an error of 100 %.
        if term.name == "mean_absolute_percentage_error" and zero and loss_trend.late > self.max_percentage:
            yield _Mismatch(
                "percentages-of-zero",
                f"the targets of {output.name} come near zero, and an error in per cent of them has no bound there: "
                f"the loss is {number(loss_trend.late)} %, and answering 0 costs 100 %",
                None,
                Measurement("late loss", loss_trend.late, self.max_percentage, "%", output.name, "below 20 %"),
                (remedies.absolute_error(),),
            )

    def _rates(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        if term.name == "poisson" and term.least <= 0:
            yield _Mismatch(
                "rates-of-zero" if term.least == 0 else "logits-as-probabilities",
                f"poisson takes the logarithm of what {output.name} gives for a rate, but that goes down to "
                f"{number(term.least)}",
                None,
                Measurement("least output", term.least, 0.0, "1", output.name, "above 0"),
                (remedies.output_activation(output, "softplus"),),
            )

    def _logarithms(self, term: LossTerm, output: Layer) -> Iterator[_Mismatch]:
        # What lies below 0 counts as 0, for the targets and for the answers.
        share = term.targets.unreachable(0.0, inf) if term.name == "mean_squared_logarithmic_error" else 0.0
        if share > self.min_unreachable:
            yield _Mismatch(
                "logarithm-of-negatives",
                f"mean_squared_logarithmic_error takes all below 0 for 0, but the targets of {output.name} go down to "
                f"{number(term.targets.least)}",
                Severity.ERROR if share > self.error_unreachable else Severity.WARNING,
                Measurement(
                    "share of the targets' variance below 0", share, self.min_unreachable, "1", output.name, "0"
                ),
                (remedies.squared_error(),),
            )

    def _silence(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[_Mismatch]:
        if output.shape == "rectifier" and term.silent > self.max_silent and loss_trend.at_rest:
            yield _Mismatch(
                "silent-output",
                f"{output.name} ends in {term.activation} and gives 0 for more examples than have a target of 0 "
                f"({number(100 * term.silent)} % of all): no gradient passes there",
                None,
                Measurement(
                    "zeros among the answers beyond those asked for",
                    term.silent,
                    self.max_silent,
                    "1",
                    output.name,
                    "0",
                ),
                (remedies.output_activation(output, None),),
            )

    def _weights(self, term: LossTerm, loss_trend: LossTrend) -> Iterator[_Mismatch]:
        share, counts = term.targets.mean, term.weighted_share
        rare, counted = (share, counts) if share < 1 - share else (1 - share, 1 - counts)
        two = term.name == "binary_crossentropy" or (term.name.startswith("sparse") and term.units == 2)
        if not two or not 0 < rare < self.max_rare or not counted < rare / self.max_rarer:
            return
        grave = loss_trend.at_rest or counted < self.min_counted
        yield _Mismatch(
            "weights-reversed",
            f"the weights of the examples favour the common class: the rare one, {number(100 * rare)} % of them, "
            f"counts for {number(100 * counted)} %",
            Severity.ERROR if grave else Severity.WARNING,
            Measurement("share of all weights that the rare class has", counted, rare / self.max_rarer, "1"),
            (remedies.weigh_rare(share),),
        )

    def _labels(self, term: LossTerm, *, broken: bool) -> Iterator[_Mismatch]:
        least, greatest = term.targets.least, term.targets.greatest
        top, fits = 1.0, "between 0 and 1"
        if term.name.startswith("sparse"):
            # Labels that are to be ignored are outside as well; only what breaks the loss is known to be wrong.
            if term.units is None or not broken:
                return
            top, fits = term.units - 1.0, f"from 0 to {term.units - 1}"
        elif not term.name.endswith("crossentropy"):
            return
        if least < -self.max_excess or greatest > top + self.max_excess:
            worst, bound = (least, 0.0) if least < 0 else (greatest, top)
            yield _Mismatch(
                "labels-out-of-range",
                f"{term.name} wants targets {fits}, but they reach from {number(least)} to {number(greatest)}",
                Severity.ERROR if term.name.startswith("binary") else None,
                Measurement("target farthest outside", worst, bound, "1", "", fits),
                (remedies.fix_labels(term.name, term.units, greatest),),
            )


class _Mismatch(NamedTuple):
    variant: str
    sentence: str
    severity: Severity | None
    """None: an error unless the loss falls all the same."""
    measurement: Measurement
    remedies: tuple[Remedy, ...]
