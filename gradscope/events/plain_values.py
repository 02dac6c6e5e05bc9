"""Plain values: tags with a HistogramProto or a float and nothing else, as TensorFlow 1 and PyTorch write them.

They come by the hundred in one event, of sizes that change from step to step, so no template fits. Found one by one,
the values of a block are taken together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gradscope.events.wire import BYTES, FIXED32, WireError, varint

__all__ = ["PlainValues", "Stretches"]

_TAG, _FLOAT, _PROTO = 1 << 3 | BYTES, 2 << 3 | FIXED32, 5 << 3 | BYTES
_LONG = 0x80  # a length of more than one byte

IntArray = npt.NDArray[np.int64]


class Stretches(NamedTuple):
    """Values of one kind in a block."""

    series: IntArray
    records: IntArray
    """Positions of their events."""
    starts: IntArray
    """Where their content begins in the block's data."""
    ends: IntArray


class PlainValues:
    """Gathers the plain values of one block after the other."""

    def __init__(self, numbers: Mapping[tuple[bytes, bool], int]) -> None:
        """Begin with nothing.

        Args:
            numbers: the series of each tag, and of whether it holds histograms, as far as known; below 0: not wanted.
        """
        self._numbers = numbers
        self._found: dict[bool, list[tuple[int, int, int, int]]] = {False: [], True: []}

    def take(self, data: bytes, start: int, end: int, record: int) -> bool:
        """Take the event with the summary ``data[start:end]``; False, and nothing, if it holds more than known tags."""
        try:
            found = _values(data, start, end)
        except WireError:
            return False
        numbers = [self._numbers.get((tag, histogram)) for tag, histogram, _, _ in found]
        if not found or None in numbers:
            return False
        for number, (_, histogram, first, last) in zip(numbers, found, strict=True):
            if number is not None and number >= 0:
                self._found[histogram].append((number, record, first, last))
        return True

    def finish(self, *, histograms: bool) -> Stretches | None:
        """Those taken since it was last called, or None if there are none."""
        found, self._found[histograms] = self._found[histograms], []
        return Stretches(*np.array(found, np.int64).T) if found else None


def _values(data: bytes, start: int, end: int) -> list[tuple[bytes, bool, int, int]]:
    """(tag, whether it is a histogram, start and end of its content) of each value; empty if one is not plain.

    Raises:
        WireError: it is no summary.
    """
    length, position = varint(data, start + 1, end)
    if position + length != end:
        return []
    found = []
    while position < end:
        if data[position] != _TAG:
            return []
        length, first = varint(data, position + 1, end)
        position = first + length
        content = first + 2 + data[first + 1]
        if position > end or content >= position or data[first] != _TAG or data[first + 1] >= _LONG:
            return []
        key = data[content]
        if key == _PROTO:
            length, begin = varint(data, content + 1, position)
        else:
            length, begin = 4, content + 1
        if begin + length != position or key not in (_PROTO, _FLOAT):
            return []
        found.append((data[first + 2 : content], key == _PROTO, begin, position))
    return found
