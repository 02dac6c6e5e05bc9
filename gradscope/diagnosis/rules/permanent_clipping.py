"""Rule permanent-clipping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Clipping, LearningRate, LossTrend, Travel
from gradscope.diagnosis.evidence.travel import farthest
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number


@dataclass(frozen=True)
class PermanentClipping(Rule):
    """Clipping that takes nearly all of the gradient at nearly every step.

    ## What it detects
    Gradients of which clipping leaves less than a tenth at nine steps out of ten, in a run that hardly moves and has
    not learnt.

    ## Why it matters
    Clipping is for the rare step far above the usual. Where it cuts every step it sets the step length in the
    gradient's stead, and a limit far below the usual norm brings training to a standstill.

    ## Evidence
    The global norm after clipping over that before, at every sample; the distance that the kernels travelled, the
    sum over all steps of ‖update‖ / ‖weight‖; the late loss against the start or, where it is known, against that
    of a constant answer. A gradient that was clipped before the optimizer is handed it shows by its norm, or its
    greatest entry, which is the same at every sample to a ten-thousandth though the loss is not; where most entries
    are at that limit and SGD gets little but signs, it is a warning under a loss that has not fallen to a tenth.
    Else clipping under which the network learns is no finding, nor is it with Adam and its kin, which make up for
    the size of the gradient.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> slow = {("update", f"{name}/kernel"): 1e-3 for name in ("hidden_1", "hidden_2", "output")}
    >>> clipped = {"global_gradient_norm": 1.0, "global_clipped_gradient_norm": 1e-3}
    >>> ill = toy_run(slow, loss=1.0, step=clipped)
    >>> [f.sentence for f in diagnose(ill, [PermanentClipping()]).findings()]
    ['clipping leaves 0.1 % of the gradient at 100 % of the steps, so no kernel moved beyond 0.029 % of its size']
    >>> list(diagnose(toy_run(step=clipped), [PermanentClipping()]).findings())
    []

    ## Remedies
    A limit above the gradient's usual norm; no clipping.

    ## References
    Pascanu et al. 2013, On the difficulty of training recurrent networks: a limit of half to ten times the usual norm.
    """

    name: ClassVar[str] = "permanent-clipping"
    max_kept_fraction: float = limit(0.1, "1", "Pascanu et al. find limits down to half of the usual norm harmless")
    min_clipped_fraction: float = limit(0.9, "1", "of the samples: nearly every step")
    max_distance: float = limit(0.1, "1", "of a kernel's norm over the whole run, as for learning-rate-too-low")
    max_sgd_distance: float = limit(
        1.0, "1", "the same with SGD, whose every step is as long as the clipped gradient says; 3 in those that learn"
    )
    min_remaining_loss: float = limit(0.5, "1", "of a constant answer's loss or of the start")
    min_filled: float = limit(0.7, "1", "rms over the greatest entry: half of the entries are at the limit")
    min_variation: float = limit(1e-3, "1", "of the loss: steps at which the gradient must differ too")
    min_steps: float = limit(50, "steps", "earlier no learning is to be expected")

    def check(
        self, clipping: Clipping, travel: tuple[Travel, ...], loss_trend: LossTrend, learning_rate: LearningRate
    ) -> Iterable[Finding]:
        """Judge clipping together with what came of it."""
        if not len(clipping.steps):
            raise NotJudged("no gradient norm was recorded; record gradients")
        if not travel or not loss_trend.is_known:
            raise NotJudged("updates of kernels or the loss were not recorded; record both")
        if loss_trend.reach < self.min_steps:
            raise NotJudged(f"only {loss_trend.reach} steps lie in the log; record at least {self.min_steps:g}")
        matrices = [path for path in travel if path.kernel.role != "embeddings"] or travel
        distance = farthest(matrices)
        least = self.max_sgd_distance if learning_rate.optimizer == "SGD" else self.max_distance
        if not distance < least or not loss_trend.is_far(self.min_remaining_loss):
            if self._leaves_signs(clipping) and learning_rate.optimizer == "SGD" and not loss_trend.fallen:
                yield self._signs(clipping)
            return
        moved = Measurement("distance travelled by the farthest kernel", distance, least, "1")
        cut = clipping.kept < self.max_kept_fraction
        if cut.mean() >= self.min_clipped_fraction:
            kept = median(clipping.kept)
            measured = Measurement(
                "global gradient norm after clipping over before", kept, self.max_kept_fraction, "1", "", "about 1"
            )
            what = f"clipping leaves {number(100 * kept)} % of the gradient at {100 * cut.mean():.0f} % of the steps"
            yield self._finding(what, clipping.steps[cut], (measured, moved), median(clipping.norm))
        elif clipping.held_fraction >= self.min_clipped_fraction and self._varies(loss_trend):
            share = clipping.held_fraction
            measured = Measurement(
                "share of the steps at the same limit", share, self.min_clipped_fraction, "1", "", "about 0"
            )
            limit_seen = number(clipping.held_at)
            what = f"the gradient is clipped to {limit_seen} at {100 * share:.0f} % of the steps, before the optimizer"
            yield self._finding(what, clipping.steps, (measured, moved), nan)

    def _leaves_signs(self, clipping: Clipping) -> bool:
        return clipping.filled > self.min_filled and clipping.held_fraction >= self.min_clipped_fraction

    def _signs(self, clipping: Clipping) -> Finding:
        return Finding(
            rule=self.name,
            title="permanent clipping",
            sentence=f"the gradient is clipped to {number(clipping.held_at)} before the optimizer at "
            f"{100 * clipping.held_fraction:.0f} % of the steps, and most entries are at that limit: little but their "
            "signs is left",
            severity=Severity.WARNING,
            layers=(),
            first_step=int(clipping.steps[0]),
            last_step=int(clipping.steps[-1]),
            measurements=(
                Measurement(
                    "rms of the gradients over their greatest entry",
                    clipping.filled,
                    self.min_filled,
                    "1",
                    "",
                    "about 0.2",
                ),
            ),
            remedies=(remedies.loosen_clipping(nan),),
            variant="signs",
        )

    def _varies(self, loss_trend: LossTrend) -> bool:
        # The same batch, shown to a network that stands still, has the same gradient again.
        return bool(np.ptp(loss_trend.loss) > self.min_variation * np.abs(loss_trend.loss).max())

    def _finding(
        self, what: str, steps: npt.NDArray[np.int64], measured: tuple[Measurement, Measurement], norm: float
    ) -> Finding:
        return Finding(
            rule=self.name,
            title="permanent clipping",
            sentence=f"{what}, so no kernel moved beyond {number(100 * measured[1].value)} % of its size",
            severity=Severity.ERROR,
            layers=(),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=measured,
            remedies=(remedies.loosen_clipping(norm),),
            explains=frozenset(
                {
                    "learning-rate-too-low",
                    "loss-plateau",
                    "stale-optimizer",
                    "unchanged-weights",
                    "update-ratio-out-of-range:too-small",
                    "vanishing-gradient",
                }
            ),
        )
