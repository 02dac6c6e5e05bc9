"""Series with steps of their own, put onto the sampled steps of a run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from gradscope.events.columns import Series

__all__ = ["aligned", "chosen_steps", "rows_of"]

_DENSE_START = 200


def chosen_steps(steps: npt.NDArray[np.int64], most: int, kept: Iterable[int]) -> npt.NDArray[np.int64]:
    """At most about ``most`` of the steps: the first ones, then at even distances, and those of ``kept``."""
    if len(steps) <= most:
        return steps
    start = min(_DENSE_START, most // 2)
    even = np.linspace(start, len(steps) - 1, max(most - start, 1)).astype(np.int64)
    places = np.unique(np.concatenate([np.arange(start), even, np.searchsorted(steps, sorted(kept))]).astype(np.int64))
    chosen: npt.NDArray[np.int64] = steps[places[places < len(steps)]]
    return chosen


def rows_of(
    series: Series, steps: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64] | slice, npt.NDArray[np.int64] | slice]:
    """Which of the steps the series has a record of, and the positions of those records; slices where that is all."""
    if np.array_equal(series.steps, steps):
        return slice(None), slice(None)
    place = np.minimum(np.searchsorted(series.steps, steps), len(series.steps) - 1)
    found = np.flatnonzero(series.steps[place] == steps)
    return found, place[found]


def aligned(series: Series, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """A scalar at each of the steps: the latest not after it, or the first since the step before that is not finite.

    NaN where nothing was logged since the step before, unless that is all there ever was before: a scalar that is
    logged more rarely than the steps stays unknown in between.
    """
    numbers = series.numbers[:, 0]
    end = np.searchsorted(series.steps, steps, side="right")
    begin = np.append(0, end[:-1])
    result = np.full(len(steps), np.nan, np.float32)
    known = end > begin
    result[known] = numbers[end[known] - 1]
    for place in np.flatnonzero(~np.isfinite(numbers)):
        at = int(np.searchsorted(end, place, side="right"))
        if at < len(steps) and np.isfinite(result[at]):
            result[at] = numbers[place]
    return result
