"""The output against the targets: whether it can give what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTerm, LossTrend
from gradscope.diagnosis.evidence.reach import RANGES
from gradscope.diagnosis.mismatch.comparison import ERRORS_OF_VALUES, Comparison, Mismatch
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Measurement, Severity
from gradscope.diagnosis.wording import number

__all__ = ["OutputAndTargets"]


@dataclass(frozen=True)
class OutputAndTargets(Comparison):
    """Axes that differ, several labels for one softmax, targets out of the activation's reach, a silent ReLU."""

    max_silent: float = limit(0.1, "1", "of the examples: answers of 0 where another is asked for, and no gradient")
    max_labels: float = limit(1.2, "labels", "of an example: shares that sum to 1 can stand for one of them")

    def _broadcast(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        if term.broadcast and term.name in ERRORS_OF_VALUES:
            yield Mismatch(
                "broadcast",
                f"the targets have other axes than the answers of {output.name}: every answer is compared with every "
                "target",
                None,
                Measurement("targets are broadcast (1: yes)", 1.0, 0.0, "", output.name, "0"),
                (remedies.align_shapes(),),
            )

    def _several_labels(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        labels = term.targets.mean * (term.units or 0)
        several = term.activation == "softmax" and term.name.startswith("binary") and labels > self.max_labels
        if several and term.targets.least >= 0 and term.targets.greatest <= 1:
            yield Mismatch(
                "several-labels",
                f"examples have {number(labels)} labels on average, but the softmax of {output.name} shares out only 1",
                None,
                Measurement("labels of an example", labels, self.max_labels, "1", output.name, "1"),
                (remedies.output_activation(output, "sigmoid"),),
            )

    def _reach(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        low, high = RANGES.get(term.activation, (-inf, inf))
        share = term.targets.unreachable(low, high) if term.name in ERRORS_OF_VALUES else 0.0
        if share > self.min_unreachable:
            grave = share > self.error_unreachable
            most = self.error_unreachable if grave else self.min_unreachable
            bounds = f"{low:g} and {high:g}" if high < inf else f"{low:g} and infinity"
            yield Mismatch(
                "unreachable-targets",
                f"the targets reach from {number(term.targets.least)} to {number(term.targets.greatest)}, but "
                f"{term.activation} at {output.name} gives values between {bounds}",
                Severity.ERROR if grave else Severity.WARNING,
                Measurement("share of the targets' variance out of reach", share, most, "1", output.name, "0"),
                (remedies.compare_classes(),)
                if _are_classes(term)
                else (remedies.output_activation(output, None), remedies.scale_targets()),
            )

    def _silence(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[Mismatch]:
        if output.shape == "rectifier" and term.silent > self.max_silent and loss_trend.at_rest:
            what = "zeros among the answers beyond those asked for"
            yield Mismatch(
                "silent-output",
                f"{output.name} ends in {term.activation} and gives 0 for more examples than have a target of 0 "
                f"({number(100 * term.silent)} % of all): no gradient passes there",
                None,
                Measurement(what, term.silent, self.max_silent, "1", output.name, "0"),
                (remedies.output_activation(output, None),),
            )


def _are_classes(term: LossTerm) -> bool:
    """Whether a softmax of several units is asked for numbers of that many classes."""
    least, greatest = term.targets.least, term.targets.greatest
    whole = least == 0 and greatest > 1 and float(greatest).is_integer()
    return term.activation == "softmax" and whole and greatest < (term.units or 0)
