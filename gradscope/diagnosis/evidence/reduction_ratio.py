"""How much of the descent that the gradients promise the loss makes: whether it would bear longer steps."""

from __future__ import annotations

import numpy as np

from gradscope.diagnosis.evidence.loss_trend import LossTrend
from gradscope.run import Run

__all__ = ["reduction_ratio"]

_LEAST_SAMPLES = 4


def reduction_ratio(run: Run, loss_trend: LossTrend) -> float:
    """How far the loss came down over the last half of the steps, over what ⟨∂loss/∂w, update⟩ foretells, summed.

    Near 1, the loss is a straight line along all these steps: neither its curvature nor the noise of the batches has a
    say, and it would bear longer ones. Below a half where steps are as long as they may be (a quarter of the longest
    stable step gives 3/4 of what is promised on a parabola, half of it 1/2, all of it nothing), and far below that
    where batches differ. 0 where the loss does not come down; NaN where too little is known or nothing is promised.

    References:
        Nocedal & Wright 2006, Numerical Optimization, (4.4): actual over predicted reduction.
    """
    known = run.step_statistics.get("expected_loss_change")
    if known is None or not loss_trend.is_known:
        return float("nan")
    promised = np.asarray(known, dtype=np.float64)
    half = run.steps >= loss_trend.steps[0] + loss_trend.reach / 2
    taken = half & (run.steps <= loss_trend.steps[-1]) & np.isfinite(promised)
    if taken.sum() < _LEAST_SAMPLES:
        return float("nan")
    steps = run.steps[taken]
    whole = float(promised[taken].mean() * (steps[-1] - steps[0]))
    return max(0.0, loss_trend.slope / whole) if whole < 0 else float("nan")
