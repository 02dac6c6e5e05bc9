"""The loss against the targets: whether it is defined for them and made for how they are distributed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTerm, LossTrend
from gradscope.diagnosis.mismatch.comparison import Comparison, Mismatch
from gradscope.diagnosis.rule import limit
from gradscope.diagnosis.verdict import Measurement, Severity
from gradscope.diagnosis.wording import number

__all__ = ["LossAndTargets"]


@dataclass(frozen=True)
class LossAndTargets(Comparison):
    """Percentages of zero, logarithms of negatives, weights for the common class, labels all alike or out of range."""

    max_percentage: float = limit(50.0, "%", "of the targets: half of what answering 0 costs")
    error_percentage: float = limit(100.0, "%", "of the targets: worse than answering 0 to all")
    max_slight: float = limit(0.1, "1", "share of the targets' variance outside 0 to 1: most of them are shares")
    max_rare: float = limit(0.3, "1", "of the examples: a class that is so rare is weighed up, if at all")
    max_rarer: float = limit(2.0, "1", "times rarer by its weights than it is")
    min_delta: float = limit(0.1, "1", "of the targets' standard deviation: plain descent gets signs times delta")
    max_smoothing: float = limit(0.8, "1", "of the targets: 0.1 is usual, 1 makes them all alike")
    min_counted: float = limit(0.02, "1", "of all weights: what counts for less is left out")

    def _percentages(self, term: LossTerm, output: Layer, loss_trend: LossTrend) -> Iterator[Mismatch]:
        low, high = (float(term.targets.quantiles[place]) for place in (0, -1))
        zero = term.targets.least == 0 or low < 0 < high
        # All answers 0 have an error of 100 %.
        if term.name == "mean_absolute_percentage_error" and zero and loss_trend.late > self.max_percentage:
            yield Mismatch(
                "percentages-of-zero",
                f"the targets of {output.name} come near zero, and an error in per cent of them has no bound there: "
                f"the loss is {number(loss_trend.late)} %, and answering 0 costs 100 %",
                Severity.ERROR if loss_trend.late > self.error_percentage else None,
                Measurement("late loss", loss_trend.late, self.max_percentage, "%", output.name, "below 20 %"),
                (remedies.absolute_error(),),
            )

    def _logarithms(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        # What lies below 0 counts as 0, for the targets and for the answers.
        share = term.targets.unreachable(0.0, inf) if term.name == "mean_squared_logarithmic_error" else 0.0
        if share > self.min_unreachable:
            what = "share of the targets' variance below 0"
            yield Mismatch(
                "logarithm-of-negatives",
                f"mean_squared_logarithmic_error takes all below 0 for 0, but the targets of {output.name} go down to "
                f"{number(term.targets.least)}",
                Severity.ERROR if share > self.error_unreachable else Severity.WARNING,
                Measurement(what, share, self.min_unreachable, "1", output.name, "0"),
                (remedies.squared_error(),),
            )

    def _weights(self, term: LossTerm, loss_trend: LossTrend) -> Iterator[Mismatch]:
        share, counts = term.targets.mean, term.weighted_share
        classes = ((share, counts), (1 - share, 1 - counts))
        part, counted = min(classes, key=lambda one: one[1] / one[0] if one[0] > 0 else inf)
        two = term.name == "binary_crossentropy" or (term.name.startswith("sparse") and term.units == 2)
        left_out = counted < self.min_counted
        if two and part > 0 and (part < self.max_rare or left_out) and counted < part / self.max_rarer:
            against = (
                "favour the common class: the rare one" if part < 1 - part else "leave a class out: the common one"
            )
            grave = loss_trend.at_rest or left_out
            yield Mismatch(
                "weights-reversed",
                f"the weights of the examples {against}, {number(100 * part)} % of them, counts for "
                f"{number(100 * counted)} %",
                Severity.ERROR if grave else Severity.WARNING,
                Measurement("share of all weights that the class has", counted, part / self.max_rarer, "1"),
                (remedies.weigh_rare(share),),
            )

    def _bend(self, term: LossTerm, output: Layer, loss_trend: LossTrend, optimizer: str) -> Iterator[Mismatch]:
        spread = term.targets.inner_spread
        if term.name == "huber" and term.delta < self.min_delta * spread and loss_trend.slow and optimizer == "SGD":
            yield Mismatch(
                "early-bend",
                f"huber bends at {number(term.delta)}, and the targets of {output.name} deviate by {number(spread)}: "
                f"no error has a gradient above {number(term.delta)}",
                None,
                Measurement("delta over the targets' deviation", term.delta / spread, self.min_delta, "1", output.name),
                (remedies.raise_delta(spread),),
            )

    def _smoothing(self, term: LossTerm, output: Layer) -> Iterator[Mismatch]:
        if term.name.endswith("crossentropy") and term.label_smoothing > self.max_smoothing:
            yield Mismatch(
                "smoothed-away",
                f"label_smoothing={number(term.label_smoothing)} leaves next to nothing of the targets of "
                f"{output.name}: they are nearly the same for all examples",
                None,
                Measurement("label_smoothing", term.label_smoothing, self.max_smoothing, "1", output.name, "0 to 0.2"),
                (remedies.smooth_less(),),
            )

    def _labels(self, term: LossTerm, *, broken: bool) -> Iterator[Mismatch]:
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
            binary = term.name.startswith("binary")
            slight = binary and not broken and term.targets.unreachable(0.0, top) < self.max_slight
            grave = Severity.ERROR if binary else None
            yield Mismatch(
                "labels-out-of-range",
                f"{term.name} wants targets {fits}, but they reach from {number(least)} to {number(greatest)}",
                Severity.WARNING if slight else grave,
                Measurement("target farthest outside", worst, bound, "1", "", fits),
                (remedies.clip_targets() if slight else remedies.fix_labels(term.name, term.units, term.targets),),
            )
