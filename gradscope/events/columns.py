"""Columns: what other tools logged, number by number, gathered in arrays and put in order series by series."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.events.buckets import COLUMNS

__all__ = ["Columns", "Series", "first_place"]

_ROWS = 1 << 16
_SMALLEST, _STEP = 1 << 12, 1 << 19  # records for which room is made at once
_FILE = 40  # bits of a place that tell a record from the others of its file


def first_place(file: int) -> int:
    """Where the places of a file's records begin, in the order of all files."""
    return file << _FILE


@dataclass(frozen=True, eq=False)
class Series:
    """One tag's records, ascending in step."""

    steps: npt.NDArray[np.int64]
    wall_times: npt.NDArray[np.float64]
    numbers: npt.NDArray[np.float32]
    """``[records]`` of a scalar; ``[records, 9]`` of a histogram, columns as in `gradscope.events.buckets.COLUMNS`."""


@dataclass
class Columns:
    """Scalars, or statistics of histograms, in the order they were read."""

    width: int
    """Numbers per record: 1 or 9."""
    superseded: Counter[int] = field(default_factory=Counter)
    """Records that a later file or a restart replaced, by the file that replaced them; known after `series`."""

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._clear()
        self._rows: list[tuple[int, int, float, tuple[float, ...], int]] = []

    def _clear(self) -> None:
        self._columns: tuple[npt.NDArray[Any], ...] = (
            np.empty(0, np.int32),
            np.empty(0, np.int64),
            np.empty(0),
            np.empty((0, self.width), np.float32),
            np.empty(0, np.int64),
        )
        self._filled = 0

    @classmethod
    def of_scalars(cls) -> Columns:
        """Columns of one number each."""
        return cls(1)

    @classmethod
    def of_histograms(cls) -> Columns:
        """Columns of the statistics of histograms."""
        return cls(len(COLUMNS))

    def add(
        self,
        series: npt.NDArray[np.int64],
        steps: npt.NDArray[np.int64],
        wall_times: npt.NDArray[np.float64],
        numbers: npt.NDArray[np.generic],
        places: npt.NDArray[np.int64],
    ) -> None:
        """Records of many series at once; ``numbers`` is ``[records, width]``, ``places`` their order in the files."""
        first, self._filled = self._filled, self._filled + len(series)
        room = len(self._columns[0])
        if self._filled > room:
            size = max(self._filled, _SMALLEST, room + min(room, _STEP))
            for column in self._columns:
                # Large ones grow where they lie, without a copy; nothing else refers to them.
                column.resize((size, *column.shape[1:]), refcheck=False)
        added = series, steps, wall_times, numbers.reshape(-1, self.width), places
        for column, new in zip(self._columns, added, strict=True):
            column[first : self._filled] = new

    def add_one(self, series: int, step: int, wall_time: float, numbers: tuple[float, ...], place: int) -> None:
        """One record."""
        self._rows.append((series, step, wall_time, numbers, place))
        if len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            series, steps, wall_times, numbers, places = zip(*self._rows, strict=True)
            self._rows = []
            with np.errstate(over="ignore"):
                values = np.array(numbers, np.float64).astype(np.float32)
            self.add(np.array(series), np.array(steps, np.int64), np.array(wall_times), values, np.array(places))

    def series(self) -> dict[int, Series]:
        """All records by series.

        A step that comes again, or a lower one, replaces all from there on, as after a restart from a checkpoint.
        """
        self._flush()
        columns = [column[: self._filled] for column in self._columns]
        self._clear()
        if not len(columns[0]):
            return {}
        order = _order(columns[0], columns[-1])
        # Each in one piece, and one after the other: fresh memory takes as long as the sorting.
        series, steps, wall_times, numbers, places = (columns.pop(0)[order] for _ in range(len(columns)))
        bounds = [0, *(np.flatnonzero(np.diff(series)) + 1).tolist(), len(series)]
        result = {}
        for start, end in pairwise(bounds):
            mine: slice | npt.NDArray[np.int64] = slice(start, end)
            kept = self._unreplaced(steps[mine], places[mine])
            if not kept.all():
                mine = start + np.flatnonzero(kept)
            result[int(series[start])] = Series(steps[mine], wall_times[mine], numbers[mine])
        return result

    def _unreplaced(self, steps: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        least_behind = np.minimum.accumulate(steps[::-1])[::-1]
        kept = np.append(steps[:-1] < least_behind[1:], True)
        if not kept.all():
            # The record that replaces another is the next one with a step not above its own.
            later = places[1:][np.diff(steps) <= 0]
            self.superseded[int(later[-1]) >> _FILE] += int((~kept).sum())
        return kept


def _order(series: npt.NDArray[np.int32], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """By series, then by place."""
    if series.max() < 1 << 16 and (np.diff(places) > 0).all():
        return np.argsort(series.astype(np.uint16), kind="stable")  # three times as fast
    return np.lexsort((places, series))
