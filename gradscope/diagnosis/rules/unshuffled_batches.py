"""Rule unshuffled-batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossTerm, LossTrend
from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_MOST = 1e6
_ROUNDING = 1e-6  # of float32
_EXPLAINS = frozenset(
    {
        "badly-scaled-target:outliers",
        "constant-output",
        "dead-units",
        "diverging-loss",
        "learning-rate-too-high",
        "loss-plateau",
    }
)


@dataclass(frozen=True)
class UnshuffledBatches(Rule):
    """Batches whose examples are alike, while one batch differs from the next.

    ## What it detects
    Data that is shown in the order it was stored in, sorted by its targets: a batch holds a single class, or targets of
    one size.

    ## Why it matters
    Each stretch of batches teaches the network to answer one thing and to forget the last. The loss is small at most
    steps and leaps where the data changes; what is left in the end is the answer of the last stretch.

    ## Evidence
    The standard deviation, over the sampled steps, of the mean target of a batch, over the rms of the standard
    deviations of the targets within them. Of n examples drawn at random it is 1/√n; of sorted ones it exceeds 1. It is
    an error where the loss has not fallen by half. Of batches of next to nothing but one class the loss says little: it
    is an error too unless it is down to a tenth, and then a warning. Else it is a note, as time series are often shown
    in order. One-hot
    targets have the same mean whatever the class, and are not judged.

    ## Example
    >>> import numpy as np
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> sizes = {"example_count": 32}
    >>> put = {("target", "target", "mean"): np.arange(30) // 10, ("target", "target", "example_std"): 0.1}
    >>> ill = toy_run(put=put, loss=1.0, step=sizes)
    >>> [f.sentence for f in diagnose(ill, [UnshuffledBatches()]).findings()]
    ['the targets differ 8.2 times as much from batch to batch as within one: the data is not shuffled']
    >>> list(diagnose(toy_run(step=sizes), [UnshuffledBatches()]).findings())
    []

    ## Remedies
    Shuffle the examples, with a buffer as large as the data.

    ## References
    Bottou 2012, Stochastic gradient descent tricks, section 4.2 (randomly shuffle the training examples).
    """

    name: ClassVar[str] = "unshuffled-batches"
    max_spread_between: float = limit(
        1.0, "1", "of the spread within a batch; 1/√n at random, at most 0.5 in recorded runs"
    )
    max_classes_apart: float = limit(3.0, "1", "likewise, of classes: nine tenths of the variance lies between batches")
    min_examples: float = limit(8, "examples", "smaller batches differ by chance")
    min_samples: float = limit(8, "samples", "fewer show no spread")

    def check(self, run: Run, loss_trend: LossTrend, loss_terms: tuple[LossTerm, ...]) -> Iterable[Finding]:
        """Judge each target."""
        if not run.names("target"):
            raise NotJudged("the targets were not recorded; record fit(), or a wrapped loop with a Keras loss")
        if example_count(run) < self.min_examples:
            raise NotJudged(f"batches of {example_count(run):g} differ by chance; only larger ones can be judged")
        ratios = {name: self._ratio(run, name) for name in run.names("target")}
        name, ratio = max(ratios.items(), key=lambda item: np.nan_to_num(item[1]))
        if not ratio > self.max_spread_between:
            return
        much = f"{number(ratio)} times as much from batch to batch as within one"
        much = much if np.isfinite(ratio) else "from batch to batch alone"
        severity = self._severity(ratio, loss_trend, classes=all("crossentropy" in term.name for term in loss_terms))
        yield Finding(
            rule=self.name,
            title="batches not shuffled",
            sentence=f"the targets differ {much}: the data is not shuffled",
            severity=severity,
            layers=(),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(
                Measurement(
                    f"spread of {name} between batches over that within them",
                    min(ratio, _MOST),
                    self.max_spread_between,
                    "1",
                    "",
                    "0.1 to 0.4",
                ),
            ),
            remedies=(remedies.shuffle_examples(),),
            explains=_EXPLAINS if severity > Severity.NOTE else frozenset(),
        )

    def _severity(self, ratio: float, trend: LossTrend, *, classes: bool) -> Severity:
        if trend.slow:
            return Severity.ERROR
        apart = classes and ratio > self.max_classes_apart
        return (Severity.WARNING if trend.fallen else Severity.ERROR) if apart else Severity.NOTE

    def _ratio(self, run: Run, name: str) -> float:
        mean = run.series("target", name, "mean").astype(np.float64)
        within = run.series("target", name, "example_std").astype(np.float64)
        known = np.isfinite(mean) & np.isfinite(within)
        if known.sum() < self.min_samples:
            return float("nan")
        between, inside = float(mean[known].std()), float(np.sqrt(np.mean(within[known] ** 2)))
        if inside > 0 or np.isnan(example_count(run)):  # within a batch of one example nothing differs
            return between / inside if inside > 0 else float("nan")
        return float("inf") if between > _ROUNDING * np.abs(mean[known]).max() else 0.0
