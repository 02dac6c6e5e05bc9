"""The rows of the view: layers in forward order, each with the tensor that stands for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradscope.diagnosis.evidence.layers import Layer, layers
from gradscope.run import Run, TensorKey
from gradscope.vocabulary import KINDS, STATISTIC_NAMES

__all__ = ["ShownLayer", "shown_layers"]


@dataclass(frozen=True)
class ShownLayer:
    """A layer and, per kind, the row of ``Run.tensors`` that is shown of it."""

    layer: Layer
    tensors: dict[str, int] = field(default_factory=dict)
    """``{kind: row}``; of variables that with the most entries (the kernel), of layers the first call."""

    @property
    def name(self) -> str:
        """The layer's name, as recorded."""
        return self.layer.name

    def row(self, kinds: tuple[str, ...]) -> int | None:
        """The row of the first of ``kinds`` that was recorded, or None."""
        return next((self.tensors[kind] for kind in kinds if kind in self.tensors), None)


def shown_layers(run: Run) -> tuple[ShownLayer, ...]:
    """The layers of which anything was recorded, in forward order."""
    found = [ShownLayer(layer) for layer in layers(run)]
    by_name = {shown.name: shown for shown in found}
    sizes = _sizes(run)
    for row, key in enumerate(run.tensors):
        shown = by_name.get(key.layer)
        if shown is not None and _stands_for(key, row, shown, sizes):
            shown.tensors[key.kind] = row
    return tuple(shown for shown in found if shown.tensors)


def _stands_for(key: TensorKey, row: int, shown: ShownLayer, sizes: np.ndarray) -> bool:
    if key.kind not in shown.tensors:
        return True
    is_variable = key.kind in KINDS and KINDS[key.kind].per == "variable"
    return bool(is_variable and sizes[row] > sizes[shown.tensors[key.kind]])


def _sizes(run: Run) -> np.ndarray:
    """Entries of each tensor, ``[tensors]``; 0 where unknown."""
    if not len(run.steps):
        return np.zeros(len(run.tensors))
    counts = np.nan_to_num(run.values[:, :, STATISTIC_NAMES.index("count")])
    sizes: np.ndarray = counts.max(axis=0)
    return sizes
