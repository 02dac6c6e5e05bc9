"""Rhythm: most logs write the same tags in the same order step by step, so the next records can be guessed at once.

A guess is held against the bytes, all records together; where it fails nothing is lost but the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradscope.events.blocks import Block
from gradscope.events.wire import Heads

__all__ = ["Rhythm"]

_REMEMBERED = 1 << 14  # records: the longest period that is recognised
_LONGEST = 256  # bytes of a beginning

IntArray = npt.NDArray[np.int64]


class Rhythm:
    """Guesses which template each record of a block is like."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._past: IntArray = np.zeros(0, np.int64)
        self._width = 1  # of the beginnings, in words of eight bytes
        self._sizes: IntArray = np.zeros(0, np.int64)
        self._beginnings: npt.NDArray[np.uint64] = np.zeros((0, 1), np.uint64)
        self._masks: npt.NDArray[np.uint64] = np.zeros((0, 1), np.uint64)

    def learn(self, sizes: Sequence[int], beginnings: Sequence[bytes]) -> None:
        """Further templates: the size of the event behind its step, and the bytes that it begins with.

        Templates that begin with more than 256 bytes are never guessed.
        """
        short = [b if len(b) <= _LONGEST else b"" for b in beginnings]
        self._widen(max(-(-len(b) // 8) for b in short))
        width = 8 * self._width
        padded = b"".join(b.ljust(width, b"\0") for b in short)
        masks = b"".join((b"\xff" * len(b)).ljust(width, b"\0") for b in short)
        known = np.array([size if b else -1 for size, b in zip(sizes, short, strict=True)], np.int64)
        self._sizes = np.append(self._sizes, known)
        self._beginnings = np.concatenate([self._beginnings, _words(padded, self._width)])
        self._masks = np.concatenate([self._masks, _words(masks, self._width)])

    def _widen(self, width: int) -> None:
        more = max(width - self._width, 0)
        self._beginnings = np.pad(self._beginnings, ((0, 0), (0, more)))
        self._masks = np.pad(self._masks, ((0, 0), (0, more)))
        self._width += more

    def guess(self, block: Block, heads: Heads) -> IntArray:
        """The template that each record has the size and the beginning of, by the rhythm; -1 where the guess failed."""
        count = len(block.starts)
        nothing = np.full(count, -1, np.int64)
        before = np.flatnonzero(self._past[:-1] == self._past[-1:])
        width = 8 * self._width
        if not len(before) or width > len(block.data):
            return nothing
        period = self._past[before[-1] + 1 :]
        expected = np.resize(period, count)
        possible = (expected >= 0) & (heads.bodies + width <= len(block.data))
        possible &= block.ends - heads.bodies == self._sizes[expected]
        places = np.flatnonzero(possible)
        rows = np.ndarray(len(block.data) - width + 1, f"V{width}", block.data, strides=(1,))
        found = rows[heads.bodies[places]].view(np.uint64).reshape(len(places), self._width)
        template = expected[places]
        differing = (found ^ self._beginnings[template]) & self._masks[template]
        if differing.any():  # in one pass; row by row it takes five times as long
            alike = ~differing.any(axis=1)
            places, template = places[alike], template[alike]
        nothing[places] = template
        return nothing

    def remember(self, templates: IntArray) -> None:
        """What the records of a block were like in the end."""
        self._past = np.concatenate([self._past, templates])[-_REMEMBERED:]


def _words(data: bytes, width: int) -> npt.NDArray[np.uint64]:
    return np.frombuffer(data, np.uint64).reshape(-1, width)
