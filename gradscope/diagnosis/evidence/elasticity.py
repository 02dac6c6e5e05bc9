"""How strongly the loss answers to each kernel, free of scale: what a larger step could do."""

from __future__ import annotations

import numpy as np

from gradscope.diagnosis.evidence.kernels import Kernel
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.run import Run

__all__ = ["elasticity"]


def elasticity(run: Run, kernels: tuple[Kernel, ...], nonfinite: Nonfinite) -> dict[str, float]:
    """``{kernel: ‖∂loss/∂w‖ · ‖w‖ / |loss|}``, the median over the samples where all three are known.

    By how many per cent the loss changes, to first order, where the kernel changes by one per cent along its gradient:
    0.4 to 160 in simulated and recorded networks that learn, below 2e-3 where the gradient vanished or all units died.
    """
    usable = finite_window(run, nonfinite).usable
    loss = np.abs(np.asarray(run.step_statistics.get("loss", np.full(len(run.steps), np.nan)), dtype=np.float64))
    found = {}
    for kernel in kernels:
        sizes = [run.series(kind, kernel.name, "norm").astype(np.float64) for kind in ("gradient", "weight")]
        with np.errstate(all="ignore"):
            ratio = sizes[0] * sizes[1] / loss
        level = median(ratio[usable])
        if np.isfinite(level):
            found[kernel.name] = level
    return found
