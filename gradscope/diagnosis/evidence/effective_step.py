"""How large a step the optimizer makes of a gradient: its effective learning rate, over the run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.kernels import Kernel
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window
from gradscope.run import Run

__all__ = ["EffectiveStep", "effective_step"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class EffectiveStep:
    """Of all kernels together, ``[samples]`` where all is known and neither gradient nor update is zero."""

    steps: npt.NDArray[np.int64]
    gain: FloatArray
    """‖update‖ / ‖gradient‖, the gradient as clipped: the learning rate itself for plain SGD."""
    update: FloatArray
    """Root mean square of the updates' entries."""
    learning_rate: FloatArray
    """NaN where it was not recorded."""


def effective_step(run: Run, kernels: tuple[Kernel, ...], nonfinite: Nonfinite) -> EffectiveStep:
    """From the norms of gradients and updates; embeddings, whose gradients are sparse, are left out."""
    names = [kernel.name for kernel in kernels if kernel.role != "embeddings"]
    count = sum((_known(run, "update", name, "count") for name in names), start=np.zeros(len(run.steps)))
    update = _together(run, "update", names)
    clipped = _together(run, "clipped_gradient", names)
    gradient = np.where(clipped > 0, clipped, _together(run, "gradient", names))
    rate = np.asarray(run.step_statistics.get("learning_rate", np.full(len(run.steps), np.nan)), dtype=np.float64)
    known = finite_window(run, nonfinite).usable & (update > 0) & (gradient > 0) & (count > 0)
    return EffectiveStep(
        run.steps[known],
        (update[known] / gradient[known]),
        update[known] / np.sqrt(count[known]),
        rate[known],
    )


def _together(run: Run, kind: str, names: list[str]) -> FloatArray:
    squares = [np.square(_known(run, kind, name, "norm")) for name in names]
    return np.asarray(np.sqrt(np.sum(squares, axis=0))) if squares else np.zeros(len(run.steps))


def _known(run: Run, kind: str, name: str, statistic: str) -> FloatArray:
    return np.nan_to_num(run.series(kind, name, statistic).astype(np.float64), posinf=0.0)
