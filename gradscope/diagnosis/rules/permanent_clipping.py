"""Rule permanent-clipping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Clipping, LossTrend, Travel
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
    The global norm after clipping over that before, at every sample; the distance that the kernels travelled, the sum
    over all steps of ‖update‖ / ‖weight‖; the late loss against the start or, where it is known, against that of a
    constant answer. Clipping under which the network learns is no finding, nor is it with Adam and its kin, which make
    up for the size of the gradient.

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
    min_remaining_loss: float = limit(0.5, "1", "of a constant answer's loss or of the start")
    min_steps: float = limit(50, "steps", "earlier no learning is to be expected")

    def check(self, clipping: Clipping, travel: tuple[Travel, ...], loss_trend: LossTrend) -> Iterable[Finding]:
        """Judge clipping together with what came of it."""
        if not len(clipping.steps):
            raise NotJudged("no gradient norm was recorded; record gradients")
        if not travel or not loss_trend.is_known:
            raise NotJudged("updates of kernels or the loss were not recorded; record both")
        if loss_trend.reach < self.min_steps:
            raise NotJudged(f"only {loss_trend.reach} steps lie in the log; record at least {self.min_steps:g}")
        cut = clipping.kept < self.max_kept_fraction
        share, kept = float(cut.mean()), median(clipping.kept)
        farthest = max(path.distance for path in travel if path.kernel.role != "embeddings" or len(travel) == 1)
        stuck = farthest < self.max_distance and loss_trend.is_far(self.min_remaining_loss)
        if share < self.min_clipped_fraction or not stuck:
            return
        yield Finding(
            rule=self.name,
            title="permanent clipping",
            sentence=f"clipping leaves {number(100 * kept)} % of the gradient at {100 * share:.0f} % of the steps, "
            f"so no kernel moved beyond {number(100 * farthest)} % of its size",
            severity=Severity.ERROR,
            layers=(),
            first_step=int(clipping.steps[cut][0]),
            last_step=int(clipping.steps[cut][-1]),
            measurements=(
                Measurement(
                    "global gradient norm after clipping over before", kept, self.max_kept_fraction, "1", "", "about 1"
                ),
                Measurement("distance travelled by the farthest kernel", farthest, self.max_distance, "1"),
            ),
            remedies=(remedies.loosen_clipping(median(clipping.norm)),),
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
