"""The loss against the output: whether the answers are what the loss takes them for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTerm, LossTrend
from gradscope.diagnosis.mismatch.comparison import ERRORS_OF_VALUES, Comparison, Mismatch
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number

__all__ = ["LossAndOutput"]

_CLOSE = 0.2
_ONE_SIDED = ("relu", "relu6", "softplus", "exponential")


@dataclass(frozen=True)
class LossAndOutput(Comparison):
    """Shares of one class, logits and probabilities taken for each other, rates of zero, errors of a softmax."""

    max_slope: float = limit(1.0, "1", "per answer: -log p has a slope of 1/p, the logarithm of a softmax below 1")
    min_samples: float = limit(5, "samples", "fewer outputs may lie in [0, 1] by chance")

    def _single_category(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        if term.name in ("categorical_crossentropy", "categorical_focal_crossentropy") and term.units == 1:
            yield Mismatch(
                "single-category",
                f"{term.name} compares shares of classes, but {output.name} has a single unit, whose share is always 1",
                Severity.ERROR,
                Measurement("units of the output", 1.0, 2.0, "units", output.name, "one for each class"),
                (remedies.compare_yes_and_no(output, term.name),),
            )

    def _single_unit(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        if term.activation == "softmax" and term.units == 1 and term.least > 1 - self.max_excess:
            yield Mismatch(
                "single-unit-softmax",
                f"a softmax over the single unit of {output.name} is 1 whatever the input",
                Severity.ERROR,
                Measurement("least output", term.least, 1 - self.max_excess, "1", output.name, "between 0 and 1"),
                (_answer_of_one(term, output),),
            )

    def _logits(self, term: LossTerm, output: Layer, loss_trend: LossTrend, *, broken: bool) -> Iterator[Mismatch]:
        if term.name.endswith("crossentropy"):
            yield from self._squashed_twice(term, output, loss_trend)
            yield from self._one_sided(term, output)
            yield from self._taken_for_probabilities(term, output, broken=broken)

    def _squashed_twice(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[Mismatch]:
        squashed = term.activation in ("softmax", "sigmoid")
        if term.from_logits and self._is_probability(term) and (squashed or term.samples >= self.min_samples):
            yield Mismatch(
                "squashed-twice",
                f"{term.name} expects logits (from_logits=True), but {output.name} gives probabilities"
                f"{'; Keras noticed and used the logits' if term.from_preactivation else ''}",
                Severity.NOTE if term.from_preactivation else Severity.ERROR,
                Measurement("greatest output", term.greatest, 1 + self.max_excess, "1", output.name, "logits exceed 1"),
                (remedies.set_from_logits(term.name, from_logits=False),),
            )
        elif term.from_logits is None and squashed and not term.from_preactivation and self._is_flat(term, loss_trend):
            yield Mismatch(
                "squashed-twice",
                f"the gradient at {output.name} is that of a loss which expects logits, but {output.name} gives "
                "probabilities",
                Severity.ERROR,
                Measurement("steepest slope at the output", term.steepest, self.max_slope, "1", output.name, "above 1"),
                (remedies.set_from_logits(term.name, from_logits=False),),
            )

    def _is_probability(self, term: LossTerm) -> bool:
        return term.least >= -self.max_excess and term.greatest <= 1 + self.max_excess

    def _is_flat(self, term: LossTerm, loss_trend: LossTrend) -> bool:
        # A loss of another kind begins elsewhere. -log p has the slope -1/p, at least 1; the logarithm of a softmax or
        # sigmoid at most 1.
        level = log(max(2, term.units or 0))
        begins = abs(loss_trend.start / level - 1) < _CLOSE
        return begins and term.samples >= self.min_samples and 0 < term.steepest < self.max_slope

    def _one_sided(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        activation = term.activation if term.from_logits else term.logits_activation
        if activation in _ONE_SIDED:
            whose = "expects logits of both signs" if term.from_logits else "needs logits of both signs"
            yield Mismatch(
                "one-sided-logits",
                f"{term.name} {whose}, but what makes those of {output.name} ends in {activation}",
                None,
                Measurement("least output", term.least, 0.0, "1", output.name, "logits fall below 0"),
                (remedies.output_activation(output if term.from_logits else term.logits or output, None),),
            )

    def _taken_for_probabilities(self, term: LossTerm, output: Layer, *, broken: bool) -> Iterator[Mismatch]:
        inside = self._is_probability(term)
        # Where all breaks down at once the outputs had no time to leave the range.
        unfit = broken and term.activation in _ONE_SIDED
        if term.from_logits is False and not term.from_preactivation and (unfit or not inside):
            span = f"it lies between {number(term.least)} and {number(term.greatest)}"
            worst, bound = (term.least, 0.0) if -term.least > term.greatest - 1 else (term.greatest, 1.0)
            yield Mismatch(
                "logits-as-probabilities",
                f"{term.name} takes what {output.name} gives for probabilities, but "
                f"{f'{term.activation} gives none' if inside else span}",
                None,
                Measurement("output farthest outside [0, 1]", worst, bound, "1", output.name, "0 to 1"),
                (
                    remedies.fix_labels(term.name, term.units, term.targets, linear=True)
                    if self._asks_for_amounts(term)
                    else remedies.set_from_logits(term.name, from_logits=True),
                ),
            )

    def _asks_for_amounts(self, term: LossTerm) -> bool:
        """Whether the targets lie outside what any probability can be."""
        outside = term.targets.least < -self.max_excess or term.targets.greatest > 1 + self.max_excess
        return outside and not term.name.startswith("sparse")

    def _rates(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        if term.name == "poisson" and term.least <= 0:
            yield Mismatch(
                "rates-of-zero" if term.least == 0 else "logits-as-probabilities",
                f"poisson takes the logarithm of what {output.name} gives for a rate, but that goes down to "
                f"{number(term.least)}",
                None,
                Measurement("least output", term.least, 0.0, "1", output.name, "above 0"),
                (remedies.output_activation(output, "softplus"),),
            )

    def _shares(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[Mismatch]:
        units, targets = term.units or 0, term.targets
        one_hot = abs(targets.mean * units - 1) < self.max_excess and (targets.least, targets.greatest) == (0.0, 1.0)
        if units <= 1 or not one_hot or term.activation != "softmax":
            return
        if term.name == "mean_absolute_error" and loss_trend.slow:
            yield Mismatch(
                "absolute-error-of-shares",
                f"mean_absolute_error pulls the shares that {output.name} gives alike whether they are right or "
                "wrong: answering with one class costs no more than not knowing",
                None,
                Measurement("absolute error of a softmax (1: yes)", 1.0, 0.0, "", output.name, "0"),
                (remedies.compare_shares(),),
            )
        elif term.name == "mean_squared_error" and loss_trend.at_rest:
            yield Mismatch(
                "squared-error-of-shares",
                f"mean_squared_error has next to no slope where the {units} shares that {output.name} gives are "
                "alike, or wrong and sure",
                None,
                Measurement("squared error of a softmax (1: yes)", 1.0, 0.0, "", output.name, "0"),
                (remedies.compare_shares(),),
            )


def _answer_of_one(term: LossTerm, output: Layer) -> Remedy:
    """What a single unit is to answer with: a sigmoid for yes or no, itself for values."""
    if term.name.startswith("binary"):
        return remedies.output_activation(output, "sigmoid")
    if term.name in ERRORS_OF_VALUES and not (term.targets.least >= 0 and term.targets.greatest <= 1):
        return remedies.output_activation(output, None)
    return remedies.compare_yes_and_no(output, term.name)
