"""Columns: what other tools logged, number by number, gathered in arrays and put in order series by series."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gradscope.events.buckets import COLUMNS

__all__ = ["Columns", "Series"]

_CHUNK = 1 << 16


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
        self._chunks: list[tuple[npt.NDArray[np.generic], ...]] = []
        self._rows: list[tuple[int, int, float, tuple[float, ...], int]] = []
        self._file = 0

    @classmethod
    def of_scalars(cls) -> Columns:
        """Columns of one number each."""
        return cls(1)

    @classmethod
    def of_histograms(cls) -> Columns:
        """Columns of the statistics of histograms."""
        return cls(len(COLUMNS))

    def begin_file(self, number: int) -> None:
        """What is added from now on comes from the file with that number."""
        self._flush()
        self._file = number

    def add(
        self,
        series: npt.NDArray[np.int64],
        steps: npt.NDArray[np.int64],
        wall_times: npt.NDArray[np.float64],
        numbers: npt.NDArray[np.generic],
        places: npt.NDArray[np.int64],
    ) -> None:
        """Records of many series at once; ``numbers`` is ``[records, width]``, ``places`` their order in the files."""
        self._append(series, steps, wall_times, numbers, places)

    def add_one(self, series: int, step: int, wall_time: float, numbers: tuple[float, ...], place: int) -> None:
        """One record."""
        self._rows.append((series, step, wall_time, numbers, place))
        if len(self._rows) >= _CHUNK:
            self._flush()

    def _append(self, *columns: npt.NDArray[np.generic]) -> None:
        series, steps, wall_times, numbers, places = columns
        files = np.full(len(series), self._file, np.int32)
        values = numbers.astype(np.float32, copy=False).reshape(-1, self.width)
        self._chunks.append((series.astype(np.int32), steps, wall_times, values, files, places))

    def _flush(self) -> None:
        if self._rows:
            series, steps, wall_times, numbers, places = zip(*self._rows, strict=True)
            self._rows = []
            with np.errstate(over="ignore"):
                values = np.array(numbers, np.float64).astype(np.float32)
            self._append(np.array(series), np.array(steps, np.int64), np.array(wall_times), values, np.array(places))

    def series(self) -> dict[int, Series]:
        """All records by series.

        A step that comes again, or a lower one, replaces all from there on, as after a restart from a checkpoint.
        """
        self._flush()
        if not self._chunks:
            return {}
        columns = [np.concatenate(column) for column in zip(*self._chunks, strict=True)]
        self._chunks = []
        series, steps, wall_times, numbers, files, places = columns
        order = _order(series, places)
        bounds = np.flatnonzero(np.diff(series[order])) + 1
        result = {}
        for mine in np.split(order, bounds):
            kept = self._unreplaced(steps[mine], files[mine])
            mine = mine[kept]  # noqa: PLW2901  the rest is superseded
            result[int(series[mine[0]])] = Series(steps[mine], wall_times[mine], numbers[mine])
        return result

    def _unreplaced(self, steps: npt.NDArray[np.int64], files: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        least_behind = np.minimum.accumulate(steps[::-1])[::-1]
        kept = np.append(steps[:-1] < least_behind[1:], True)
        if not kept.all():
            # The record that replaces another is the next one with a step not above its own.
            later = files[1:][np.diff(steps) <= 0]
            self.superseded[int(later[-1])] += int((~kept).sum())
        return kept


def _order(series: npt.NDArray[np.int32], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """By series, then by place."""
    if series.max() < 1 << 16 and (np.diff(places) > 0).all():
        return np.argsort(series.astype(np.uint16), kind="stable")  # three times as fast
    return np.lexsort((places, series))
