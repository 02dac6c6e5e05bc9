"""Sample: one sampled training step, as the recorder measured it; what the writer takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gradscope.histograms import BUCKETS
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = ["Sample"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One sampled step.

    Raises:
        ValueError: ``values`` or ``histograms`` has another shape than the tensors call for.
    """

    step: int
    """Optimizer step, 0-based; goes up from sample to sample."""
    wall_time: float
    """Seconds since the epoch."""
    tensors: tuple[TensorKey, ...]
    values: npt.NDArray[np.float32]
    """``[tensors, statistics]``, columns as in `gradscope.vocabulary.STATISTIC_NAMES`; NaN: does not apply."""
    step_statistics: Mapping[str, float] = field(default_factory=dict)
    """Those of `gradscope.vocabulary.STEP_STATISTIC_NAMES` that apply; a loss of NaN is written as NaN."""
    histograms: npt.NDArray[np.integer] | None = None
    """Counts, ``[tensors, 2048]``, zeros at `gradscope.histograms.ZERO_BUCKET`; None: not taken at this step."""

    def __post_init__(self) -> None:
        """Hold the shapes against the tensors."""
        _check_shape("values", self.values, (len(self.tensors), len(STATISTIC_NAMES)))
        if self.histograms is not None:
            _check_shape("histograms", self.histograms, (len(self.tensors), BUCKETS))

    def column(self, statistic: str, kind: str | None = None) -> npt.NDArray[np.float32]:
        """One statistic of all tensors, or of those of one kind, in recorded order; shape ``[tensors]``."""
        column = self.values[:, STATISTIC_NAMES.index(statistic)]
        return column if kind is None else column[[key.kind == kind for key in self.tensors]]


def _check_shape(name: str, array: npt.NDArray[np.generic], expected: tuple[int, int]) -> None:
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}; expected {expected}, a row for each of the tensors")
