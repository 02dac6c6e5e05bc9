"""Joins what several fetches of a TF1 session gave of one step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from gradscope.recording.collector import Layout, Measured

__all__ = ["join"]


def join(parts: Iterable[tuple[Layout, npt.NDArray[np.float32] | None]]) -> Measured:
    """What several fetches of one step gave, as one; those that were not fetched (None) are left out.

    Raises:
        ValueError: numbers do not fit their layout.
    """
    measured = []
    for layout, numbers in parts:
        if numbers is not None:
            if np.shape(numbers) != (sum(layout.sizes),):
                raise ValueError(f"fetched numbers of shape {np.shape(numbers)}, and not ({sum(layout.sizes)},)")
            measured.append(Measured.unpack(layout, np.asarray(numbers)))
    return Measured(
        Layout(
            tensors=tuple(key for part in measured for key in part.layout.tensors),
            scalars=tuple(key for part in measured for key in part.layout.scalars),
            units=tuple(units for part in measured for units in part.layout.units),
        ),
        np.concatenate([part.moments for part in measured]),
        np.concatenate([part.histograms for part in measured]),
        np.concatenate([part.scalars for part in measured]),
        np.concatenate([part.silent_units for part in measured]),
    )
