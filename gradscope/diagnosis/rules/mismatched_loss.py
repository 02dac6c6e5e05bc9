"""Rule mismatched-loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis.evidence import LearningRate, LossTerm, LossTrend, Nonfinite
from gradscope.diagnosis.mismatch import LossAndOutput, LossAndTargets, Mismatch, OutputAndTargets
from gradscope.diagnosis.rule import NotJudged
from gradscope.diagnosis.verdict import Finding, Severity
from gradscope.run import Run

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
class MismatchedLoss(LossAndTargets, OutputAndTargets, LossAndOutput):
    """An output activation, a loss and targets that do not fit each other.

    ## What it detects
    Probabilities taken for logits, logits taken for probabilities or cut off at zero, a softmax over a single unit or
    for several labels at once, targets that the output's activation cannot reach, a ReLU output that falls silent, the
    absolute error of a softmax, or a squared one that learns nothing, errors in per cent of targets near zero, rates
    that are not above zero, logarithms of targets below zero, weights of the examples that leave the rare class out,
    smoothed labels that are all alike, errors that are cut off far below the targets' deviation, and targets that the
    loss is not defined for.

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

    def check(
        self,
        *,
        run: Run,
        loss_terms: tuple[LossTerm, ...],
        loss_trend: LossTrend,
        nonfinite: Nonfinite,
        learning_rate: LearningRate,
    ) -> Iterable[Finding]:
        """Judge each term of the loss; the first mismatch of a term is the one reported."""
        if not any(term.output or np.isfinite(term.targets.least) for term in loss_terms):
            raise NotJudged(
                "which loss judges which output is unknown; record a compiled model's fit() with gradscope.Recorder"
            )
        broken = bool(nonfinite.broken.any())
        for term in loss_terms:
            mismatch = next(self._mismatches(term, loss_trend, learning_rate.optimizer, broken=broken), None)
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

    def _mismatches(self, term: LossTerm, loss_trend: LossTrend, optimizer: str, *, broken: bool) -> Iterator[Mismatch]:
        if term.output is not None and term.samples:
            yield from self._broadcast(term, term.output)
            yield from self._single_category(term, term.output)
            yield from self._single_unit(term, term.output)
            yield from self._several_labels(term, term.output)
            if term.name.startswith("binary"):  # whatever the output gives, targets that are no labels do not fit
                yield from self._labels(term, broken=broken)
            yield from self._logits(term, term.output, loss_trend, broken=broken)
            # A loss below zero weighs its errors, by an advantage say: what it compares with is no target.
            if loss_trend.nonnegative or not loss_trend.steps.size:
                yield from self._reach(term, term.output)
            yield from self._shares(term, term.output, loss_trend)
            yield from self._percentages(term, term.output, loss_trend)
            yield from self._rates(term, term.output)
            yield from self._logarithms(term, term.output)
            yield from self._smoothing(term, term.output)
            yield from self._bend(term, term.output, loss_trend, optimizer)
            yield from self._silence(term, term.output, loss_trend)
        yield from self._weights(term, loss_trend)
        yield from self._labels(term, broken=broken)
