"""Where the records of a block begin, guessed from the sizes that came before and held against the headers at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradscope.events.frames import HEADER, OVERHEAD

__all__ = ["SizeRhythm"]

_WINDOW = 256  # records that must have come before in the same sizes
_REMEMBERED = 4096

IntArray = npt.NDArray[np.int64]


class SizeRhythm:
    """The sizes of the records so far, and how they repeat."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._past: IntArray = np.zeros(0, np.int64)
        self._period: IntArray = np.zeros(0, np.int64)

    def guess(self, data: bytes, checksums: dict[int, int]) -> list[int]:
        """Where records begin, from 0 on, as far as lengths and checksums of their headers are those guessed.

        The last place is where the first record begins that is not known to be one; without a guess that is 0.

        Args:
            data: begins with a record.
            checksums: masked checksum of each length seen.
        """
        if not len(self._period):
            return [0]
        count = len(data) // int(self._period.mean()) + len(self._period)
        sizes = np.resize(self._period, count)
        places = np.append(0, np.cumsum(sizes))
        places = places[: np.searchsorted(places, len(data), side="right")]
        if len(places) == 1:
            return [0]
        lengths, order = np.unique(sizes[: len(places) - 1] - OVERHEAD, return_inverse=True)
        headers = np.array(
            [HEADER.pack(length, checksums.get(length, 0)) for length in lengths.tolist()], f"V{HEADER.size}"
        )
        rows = np.ndarray(len(data) - HEADER.size + 1, f"V{HEADER.size}", data, strides=(1,))
        found = rows[places[:-1]].view(np.uint32).reshape(-1, 3)
        wrong = np.flatnonzero((found != headers.view(np.uint32).reshape(-1, 3)[order]).any(axis=1))
        result: list[int] = places[: int(wrong[0]) + 1 if len(wrong) else None].tolist()
        return result

    def remember(self, sizes: IntArray, guessed: int) -> None:
        """Sizes of the records that follow, of which so many were guessed right."""
        self._past = np.concatenate([self._past, sizes])[-_REMEMBERED:]
        if len(self._period) and guessed >= len(sizes) - len(self._period) // 8:
            self._period = np.roll(self._period, -(len(sizes) % len(self._period)))
        else:
            self._period = self._repetition()

    def _repetition(self) -> IntArray:
        """The sizes behind the latest place where the last 256 sizes came before."""
        past = self._past
        if len(past) <= _WINDOW:
            return past[:0]
        windows = np.lib.stride_tricks.sliding_window_view(past[:-1], _WINDOW)
        alike = np.flatnonzero((windows == past[-_WINDOW:]).all(axis=1))
        return past[alike[-1] + _WINDOW :] if len(alike) else past[:0]
