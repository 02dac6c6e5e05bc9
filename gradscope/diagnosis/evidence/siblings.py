"""How gradient and updates are shared among the kernels of one layer: queries, keys and values, input and state."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.kernels import Kernel
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, largest
from gradscope.run import Run

__all__ = ["Sibling", "siblings"]

_FIRST = 3
_FEW = 2


@dataclass(frozen=True, eq=False)
class Sibling:
    """One kernel of a layer that has several; each share is of the largest among them, NaN where not recorded."""

    kernel: Kernel
    first_gradient: float
    """Share of the rms of the gradients' entries, the largest of the first three samples."""
    gradient: float
    """The same lately."""
    update: float
    """Share of ‖update‖ / ‖weight‖ lately."""


def siblings(run: Run, kernels: tuple[Kernel, ...], nonfinite: Nonfinite) -> tuple[Sibling, ...]:
    """The kernels of all layers with two or more, in forward order."""
    window = finite_window(run, nonfinite)
    found: list[Sibling] = []
    for name in dict.fromkeys(kernel.layer.name for kernel in kernels):
        inside = [kernel for kernel in kernels if kernel.layer.name == name]
        if len(inside) < _FEW:
            continue
        gradients = [run.series("gradient", kernel.name, "rms")[window.usable] for kernel in inside]
        shares = zip(
            inside,
            _shares([_first(series) for series in gradients]),
            _shares([window.upper(run.series("gradient", kernel.name, "rms")) for kernel in inside]),
            _shares([window.upper(kernel.update_to_weight_ratio) for kernel in inside]),
            strict=True,
        )
        found.extend(Sibling(*share) for share in shares)
    return tuple(found)


def _first(series: npt.NDArray[np.floating]) -> float:
    known = series[np.isfinite(series)][:_FIRST]
    return float(known.max()) if len(known) else nan


def _shares(levels: list[float]) -> list[float]:
    most = largest(levels)
    return [level / most if most > 0 else nan for level in levels]
