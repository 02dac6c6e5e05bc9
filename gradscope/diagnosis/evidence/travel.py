"""How far the steps of a run may have carried each kernel, in units of the kernel's own norm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.kernels import Kernel
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, over_steps
from gradscope.run import Run

__all__ = ["Travel", "farthest", "travel"]

_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Travel:
    """The path of one kernel."""

    kernel: Kernel
    distance: float
    """Sum of ‖update‖ / ‖weight‖ over all steps, those between samples at the value of their neighbours: the kernel
    cannot have moved farther. In units of Glorot's norm for one that begins at zero."""
    steps: npt.NDArray[np.int64]
    """The sampled steps at which the update is known."""
    sizes: npt.NDArray[np.floating]
    """‖update‖ at each of them, over ‖weight‖, or over Glorot's norm where the weights are smaller: a step that is
    large for weights which were far too small may be a sound one."""

    growth: npt.NDArray[np.floating]
    """Rms of the weights at each of the steps over the first, or over Glorot's where that is larger; NaN if Glorot's
    is unknown."""

    @property
    def largest(self) -> float:
        """The largest of the sizes."""
        return float(self.sizes.max())


def travel(run: Run, kernels: tuple[Kernel, ...], nonfinite: Nonfinite) -> tuple[Travel, ...]:
    """The paths of the kernels whose updates were recorded, in forward order; up to the first step not finite."""
    usable = finite_window(run, nonfinite).usable
    found = []
    for kernel in kernels:
        ratio = kernel.update_to_weight_ratio
        known = usable & np.isfinite(ratio)
        if known.any():
            steps, sizes = run.steps[known], ratio[known].astype(np.float64)
            fair = sizes * np.minimum(1, kernel.weight_rms[known] / max(_usual_rms(kernel), _TINY))
            path = fair if _begins_at_zero(kernel) else sizes
            distance = over_steps(steps, path) + float(path[0] + path[-1]) / 2
            found.append(Travel(kernel, distance, steps, fair, _growth(kernel, known)))
    return tuple(found)


def farthest(paths: Iterable[Travel]) -> float:
    """The distance of the path that led farthest; NaN where there is none."""
    return max((path.distance for path in paths), default=nan)


def _begins_at_zero(kernel: Kernel) -> bool:
    first = kernel.weight_rms[np.isfinite(kernel.weight_rms)][:1]
    return bool(len(first)) and float(first[0]) == 0


def _usual_rms(kernel: Kernel) -> float:
    if not kernel.fan_in:
        return 0.0
    return sqrt(2 / (kernel.fan_in + (kernel.fan_out or kernel.fan_in)))


def _growth(kernel: Kernel, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
    rms = kernel.weight_rms[known].astype(np.float64)
    usual = _usual_rms(kernel)
    return rms / max(float(rms[0]), usual if usual > 0 else nan)
