"""Where the records of a block begin, guessed from the sizes that came before and held against the headers at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradscope.events.frames import HEADER, OVERHEAD

__all__ = ["SizeRhythm"]

_WINDOW = 256  # records that must have come before in the same sizes
_FIRST_LOOK = 16  # of them are compared first
_REMEMBERED = 4096
_SLIPS = 2

IntArray = npt.NDArray[np.int64]


class SizeRhythm:
    """The sizes of the records so far, and how they repeat."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._past: IntArray = np.zeros(0, np.int64)
        self._sizes: IntArray = np.zeros(0, np.int64)  # of one period
        self._headers: npt.NDArray[np.uint32] = np.zeros((0, 3), np.uint32)
        self._phase = 0

    def guess(self, data: bytes, end: int) -> IntArray:
        """Where the records in ``data[:end]`` begin, as far as lengths and checksums of headers are those guessed.

        The last place is where the first record begins that is not known to be one; without a guess that is 0.
        ``data`` begins with a record.
        """
        period = len(self._sizes)
        if not period or end < OVERHEAD:
            return np.zeros(1, np.int64)
        count = end * period // int(self._sizes.sum()) + period
        turn = (self._phase + np.arange(count)) % period
        places = np.zeros(count + 1, np.int64)
        np.cumsum(self._sizes[turn], out=places[1:])
        within = int(np.searchsorted(places, end, side="right")) - 1
        rows = np.ndarray(len(data) - HEADER.size + 1, f"V{HEADER.size}", data, strides=(1,))
        found = rows[places[:within]].view(np.uint32).reshape(within, 3)
        wrong = np.flatnonzero((found != self._headers[turn[:within]]).any(axis=1))
        known: IntArray = places[: int(wrong[0]) + 1 if len(wrong) else within + 1]
        return known

    def remember(self, sizes: IntArray, guessed: int, checksums: dict[int, int]) -> None:
        """Take the sizes of the records that follow.

        Args:
            sizes: of whole records.
            guessed: how many of them were guessed right.
            checksums: masked checksum of each length seen.
        """
        self._past = np.concatenate([self._past, sizes])[-_REMEMBERED:]
        if len(self._sizes) and guessed >= len(sizes) - _SLIPS:
            self._phase = (self._phase + len(sizes)) % len(self._sizes)
            return
        # A few large records are found one by one as fast.
        self._sizes, self._phase = self._repetition() if len(sizes) >= _WINDOW else sizes[:0], 0
        headers = b"".join(HEADER.pack(length, checksums[length]) for length in (self._sizes - OVERHEAD).tolist())
        self._headers = np.frombuffer(headers, np.uint32).reshape(-1, 3)

    def _repetition(self) -> IntArray:
        """The sizes behind the latest place where the last 256 sizes came before."""
        past = self._past
        if len(past) <= _WINDOW:
            return past[:0]
        windows = np.lib.stride_tricks.sliding_window_view(past[:-1], _WINDOW)
        likely = np.flatnonzero((windows[:, -_FIRST_LOOK:] == past[-_FIRST_LOOK:]).all(axis=1))
        alike = likely[(windows[likely] == past[-_WINDOW:]).all(axis=1)]
        return past[alike[-1] + _WINDOW :] if len(alike) else past[:0]
