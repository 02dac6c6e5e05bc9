"""Stacks: arrays of one shape out of many records, laid out so that the series of each number lies end to end.

Series are judged one by one. Left as the records have them, each would cost a cache miss per step.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Stack"]

_WAITING = 512  # records that are laid out at once at first, so that a stack of few is no larger than these
_GROWTH = 4
_TILE = 128  # numbers whose series are written side by side, so that a cache holds them


class Stack:
    """The arrays of one shape that a file holds, in its order."""

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Begin with nothing; the dtype is of four bytes."""
        self.count = 0
        """How many there are."""
        self._shape = shape
        self._series: npt.NDArray[Any] = np.empty((prod(shape), 0), dtype)
        self._laid_out = 0
        self._waiting: list[npt.NDArray[Any]] = []

    def add(self, data: bytes, places: npt.NDArray[np.int64], left: int) -> None:
        """Take the arrays at these places in ``data``; at most ``left`` bytes of the file are still to come."""
        size = len(self._series) * self._series.itemsize
        if size:
            rows = np.ndarray(len(data) - size + 1, f"V{size}", data, strides=(1,))
            self._waiting.append(rows[places].view(self._series.dtype).reshape(len(places), -1))
        self.count += len(places)
        if self._laid_out or self.count >= _WAITING:
            self._lay_out(self.count + left // max(size, 1))

    def array(self) -> npt.NDArray[Any]:
        """All of them, ``[count, *shape]``; nothing may be added any more."""
        self._lay_out(self.count)
        return np.moveaxis(self._series[:, : self.count].reshape(*self._shape, self.count), -1, 0)

    def _lay_out(self, most: int) -> None:
        """Put what waits behind what is laid out, where there is room for as many as there may ever be, or a few."""
        if self._series.shape[1] < self.count:
            before = self._series[:, : self._laid_out]
            self._series = np.empty((len(before), min(most, self.count * _GROWTH)), before.dtype)
            self._series[:, : self._laid_out] = before
        for piece in self._waiting:
            behind = self._laid_out + len(piece)
            for first in range(0, len(self._series), _TILE):
                tile = slice(first, first + _TILE)
                self._series[tile, self._laid_out : behind] = piece[:, tile].T
            self._laid_out = behind
        self._waiting.clear()
