"""What comes back of the gradient to the beginning of the sequences that recurrent layers go through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.run import Run

__all__ = ["Memory", "memories"]


@dataclass(frozen=True, eq=False)
class Memory:
    """One recurrent layer: how far back through its sequences the gradient reaches."""

    layer: Layer
    gradient: npt.NDArray[np.floating]
    """``[steps]``: ∂loss/∂s of the initial state over ∂loss/∂a of the last step of what the layer gives; NaN where
    unknown."""


def memories(run: Run, layers: tuple[Layer, ...]) -> tuple[Memory, ...]:
    """The recurrent layers of which that was recorded, in forward order.

    There are none where some go through their sequences forwards and others backwards: then each end of a sequence is
    near to one of them.
    """
    series = [(layer, run.series("activation_gradient", layer.name, "time_gradient_ratio")) for layer in layers]
    found = tuple(Memory(layer, ratio) for layer, ratio in series if np.isfinite(ratio).any())
    directions = {bool(memory.layer.card and memory.layer.card.arguments.get("go_backwards")) for memory in found}
    return found if len(directions) == 1 else ()
