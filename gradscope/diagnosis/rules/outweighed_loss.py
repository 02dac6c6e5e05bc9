"""Rule outweighed-loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossLevel, LossTerm, LossTrend, Travel, Window
from gradscope.diagnosis.evidence.output_spread import right_spread
from gradscope.diagnosis.evidence.travel import farthest
from gradscope.diagnosis.rule import NothingToJudge, NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_EXPLAINS = frozenset(
    {
        "constant-output",
        "learning-rate-too-low",
        "loss-plateau",
        "unchanged-weights",
        "update-ratio-out-of-range:too-small",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class OutweighedLoss(Rule):
    """One of several losses counts for next to nothing beside another.

    ## What it detects
    A model with several losses, one of which adds a hundredth of what another does, or less: by its ``loss_weights``,
    or because its targets are so much smaller.

    ## Why it matters
    The gradients are as unequal as the losses. The layers that both share follow the large one, and the layers of the
    small one alone hardly move; the sum of the losses falls all the same.

    ## Evidence
    What each loss has for the best constant answer, times its weight: what there is for the network to gain from it. It
    is an error where the output's own kernels stood still, where no weight was set that would tell of a purpose, or
    where it counts for less than a thousandth; else a warning. Where the answers differ from example to example at
    least half as much as they should, the small one is learnt all the same.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> loss = {"name": "sparse_categorical_crossentropy", "from_logits": True, "output": "output"}
    >>> alike = {("activation", "output", "example_std"): 0.1}
    >>> ill = toy_run(put=alike, settings={"losses": [{**loss, "weight": 1.0}, {**loss, "weight": 1e-5}]})
    >>> [f.sentence for f in diagnose(ill, [OutweighedLoss()]).findings()]
    ['the loss of output counts for 1e-05 of that of output: what both share follows output']
    >>> list(diagnose(toy_run(), [OutweighedLoss()]).findings())
    []

    ## Remedies
    Weights that make all losses about equally large at the start; targets of like scale.

    ## References
    Kendall, Gal & Cipolla 2018, Multi-task learning using uncertainty to weigh losses; Chen et al. 2018, GradNorm.
    """

    name: ClassVar[str] = "outweighed-loss"
    min_share: float = limit(1e-2, "1", "of the largest loss; recorded healthy networks have a fifteenth or more")
    min_weight: float = limit(0.1, "1", "of the other's: what was weighed down so far was meant to count for less")
    min_meant_share: float = limit(1e-3, "1", "of the largest loss: nobody means a loss to count for less")
    max_idle_distance: float = limit(0.1, "1", "of a kernel's norm over the run: it stood still")
    max_idle_share: float = limit(0.05, "1", "of the way that the farthest kernel went")
    min_learnt_spread: float = limit(0.5, "1", "of how the right answers differ: it is learnt all the same")
    error_steps: float = limit(50, "steps", "earlier no learning is to be expected")

    def check(
        self,
        *,
        run: Run,
        loss_terms: tuple[LossTerm, ...],
        loss_levels: tuple[LossLevel, ...],
        loss_trend: LossTrend,
        window: Window,
        travel: tuple[Travel, ...],
    ) -> Iterable[Finding]:
        """Judge each loss beside the largest."""
        if not loss_terms:
            raise NotJudged("the losses are unknown; record fit() of a compiled model with gradscope.Recorder")
        if len(loss_terms) == 1:
            raise NothingToJudge("there is one loss")
        if len(loss_levels) <= 1:
            raise NotJudged("how large the losses can be is unknown; record fit() of a compiled model")
        if loss_trend.reach < self.error_steps:
            return
        largest = max(loss_levels, key=lambda each: each.level)
        for small in loss_levels:
            still = self._stands_still(small.name, travel)
            # A large loss that was learnt leaves the small one its share, unless that one waits for larger steps.
            outweighed = small.level < self.min_share * (largest.level if still else largest.left)
            if outweighed and (still or not self._is_learnt(run, small, window)):
                yield self._finding(run, small, largest, still=still)

    def _finding(self, run: Run, small: LossLevel, largest: LossLevel, *, still: bool) -> Finding:
        name, other = small.name, largest.name
        share = small.level / largest.level
        meant = small.term.weight < self.min_weight * largest.term.weight
        where = "loss of a constant answer, over the largest of all"
        return Finding(
            rule=self.name,
            title="loss outweighed by another",
            sentence=f"the loss of {name} counts for {number(share)} of that of {other}: "
            + (f"{name} stood still" if still else f"what both share follows {other}"),
            severity=Severity.WARNING if meant and not still and share > self.min_meant_share else Severity.ERROR,
            layers=(name,),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(Measurement(where, share, self.min_share, "1", name, "above 0.05"),),
            remedies=(remedies.weigh_losses({name: small.term.weight / share, other: largest.term.weight}),),
            phase="run",
            explains=_EXPLAINS,
        )

    def _is_learnt(self, run: Run, small: LossLevel, window: Window) -> bool:
        spread = window.lower(run.series("activation", small.name, "example_std"))
        return spread > self.min_learnt_spread * right_spread(run, small.term)

    def _stands_still(self, output: str, travel: tuple[Travel, ...]) -> bool:
        own = farthest(path for path in travel if path.kernel.layer.name == output)
        return own < self.max_idle_distance and own < self.max_idle_share * farthest(travel)
