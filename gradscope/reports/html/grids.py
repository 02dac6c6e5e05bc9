"""From a run to the matrices that are drawn: layers x columns, where a column is one sampled step or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.reports.html.layers import ShownLayer
from gradscope.reports.html.series import PROFILE_KINDS, PROFILE_STATISTICS, Series
from gradscope.run import Run
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = [
    "FROZEN",
    "INFINITE",
    "NOT_A_NUMBER",
    "Axis",
    "Grid",
    "axis_of",
    "profile_grids",
    "progress_grid",
    "series_grid",
]

FloatArray = npt.NDArray[np.float32]

# The statistics of a series are >= 0, so that negative numbers are free to say what else a cell can be.
INFINITE, NOT_A_NUMBER, FROZEN = -1.0, -2.0, -3.0
"""Cells of a series with infinite entries, with NaN entries, and of a layer that is not trained."""

_OFTEN = 0.2  # as the rules see it: exact zeros count where fewer than a fifth of the samples are positive


@dataclass(frozen=True, eq=False)
class Axis:
    """Sampled steps put into columns of equally many consecutive ones, give or take one."""

    first: npt.NDArray[np.int64]
    """First sampled step of each column, ``[columns]``."""
    last: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]
    """Positions of the sampled steps of each column, ``[columns, most]``, filled up with -1."""


@dataclass(frozen=True, eq=False)
class Grid:
    """One matrix: float32 ``[rows, columns]``; NaN: not recorded."""

    name: str
    rows: tuple[int, ...]
    """What each row is: for layers, the index into the layers shown."""
    values: FloatArray


def axis_of(steps: npt.NDArray[np.int64], columns: int) -> Axis:
    """Put ``steps`` into at most ``columns`` columns.

    Raises:
        ValueError: ``columns`` is less than 1.
    """
    if columns < 1:
        raise ValueError(f"an axis of {columns} columns; give at least 1")
    count = min(columns, len(steps))
    starts = (np.arange(count + 1) * len(steps)) // max(count, 1)
    sizes = np.diff(starts)
    members = starts[:-1, None] + np.arange(sizes.max(initial=1))
    members = np.where(members < starts[1:, None], members, -1)
    return Axis(steps[starts[:-1]], steps[starts[1:] - 1], members)


def series_grid(run: Run, shown: Sequence[ShownLayer], series: Series, axis: Axis) -> Grid:
    """One series of all layers that have it.

    A column of several steps shows an entry that was recorded: the (lower) median; of a ``log`` series the median of
    those above zero, unless these are fewer than a fifth. NaN and infinite entries at any of the steps are never lost:
    they make the cell `NOT_A_NUMBER` or `INFINITE`.
    """
    rows = [(index, layer.row(series.kinds), layer) for index, layer in enumerate(shown)]
    rows = [(i, row, layer) for i, row, layer in rows if row is not None or (series.is_of_training and _frozen(layer))]
    column = STATISTIC_NAMES.index(series.statistic)
    values = np.full((len(rows), len(axis.first)), np.nan, np.float32)
    recorded = [(place, row) for place, (_, row, _) in enumerate(rows) if row is not None]
    if recorded and len(axis.first):
        places, tensors = (np.array(part) for part in zip(*recorded, strict=True))
        values[places] = _cells(run, tensors, column, axis, skip_zeros=series.scale == "log")
    if series.is_of_training:
        for place, (_, _, layer) in enumerate(rows):
            if _frozen(layer):
                values[place] = np.where(np.isnan(values[place]), np.float32(FROZEN), values[place])
    recorded_rows = [place for place in range(len(rows)) if not np.isnan(values[place]).all()]
    return Grid(series.name, tuple(rows[place][0] for place in recorded_rows), values[recorded_rows])


def profile_grids(run: Run, shown: Sequence[ShownLayer], axis: Axis) -> list[Grid]:
    """Quantiles of each kind for the depth profile, named ``<kind>.<statistic>``; a column shows its first step."""
    grids = []
    for kind in PROFILE_KINDS:
        rows = [(index, layer.tensors[kind]) for index, layer in enumerate(shown) if kind in layer.tensors]
        for statistic in PROFILE_STATISTICS if rows else ():
            column = STATISTIC_NAMES.index(statistic)
            tensors = [tensor for _, tensor in rows]
            values = run.values[axis.members[:, 0]][:, tensors, column].T.astype(np.float32)
            grids.append(Grid(f"{kind}.{statistic}", tuple(index for index, _ in rows), values))
    return grids


def progress_grid(run: Run, axis: Axis) -> Grid:
    """What was recorded per step (loss, learning rate, …), a row for each of ``run.step_statistics``.

    A column shows the mean of its steps, so one NaN or infinite loss shows.
    """
    names = tuple(run.step_statistics)
    values = np.full((len(names), len(axis.first)), np.nan, np.float32)
    count = np.maximum((axis.members >= 0).sum(axis=1), 1)
    for row, name in enumerate(names):
        padded = np.append(np.asarray(run.step_statistics[name], np.float64), 0.0)
        with np.errstate(invalid="ignore", over="ignore"):
            values[row] = padded[axis.members].sum(axis=1) / count
    return Grid("progress", tuple(range(len(names))), values)


def _cells(run: Run, tensors: npt.NDArray[np.int64], column: int, axis: Axis, *, skip_zeros: bool) -> FloatArray:
    cells = _levels(run.values[:, tensors, column].astype(np.float32), axis, skip_zeros=skip_zeros)
    inf, nan = (_any(run, tensors, STATISTIC_NAMES.index(name), axis) for name in ("inf_count", "nan_count"))
    cells = np.where(inf | np.isinf(cells), np.float32(INFINITE), cells)
    return np.where(nan, np.float32(NOT_A_NUMBER), cells).T


def _levels(values: FloatArray, axis: Axis, *, skip_zeros: bool) -> FloatArray:
    """``[columns, tensors]`` of ``[steps, tensors]``."""
    padded = np.append(values, np.full((1, values.shape[1]), np.nan, np.float32), axis=0)
    ordered = np.sort(padded[axis.members], axis=1)  # NaN goes to the end
    known = (~np.isnan(ordered)).sum(axis=1)
    zeros = (ordered <= 0).sum(axis=1) if skip_zeros else np.zeros_like(known)
    positive = known - zeros
    zeros = np.where(positive >= np.maximum(_OFTEN * known, 1), zeros, 0)
    middle = np.where(zeros > 0, zeros + (positive - 1) // 2, np.where(positive > 0, (known - 1) // 2, 0))
    levels: FloatArray = np.take_along_axis(ordered, np.maximum(middle, 0)[:, None], axis=1)[:, 0]
    return levels


def _any(run: Run, tensors: npt.NDArray[np.int64], column: int, axis: Axis) -> npt.NDArray[np.bool_]:
    """Whether a count is above zero anywhere in a column, ``[columns, tensors]``."""
    present = run.values[:, tensors, column] > 0
    padded = np.append(present, np.zeros((1, len(tensors)), bool), axis=0)
    found: npt.NDArray[np.bool_] = np.any(padded[axis.members], axis=1)
    return found


def _frozen(layer: ShownLayer) -> bool:
    return layer.layer.frozen and "weight" in layer.tensors
