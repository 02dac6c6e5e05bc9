"""Protocol buffers on the wire, as far as events need them: which bytes of a payload are what.

Event files are read by the byte because a parsed message costs ten times as much as the numbers in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.events.blocks import Block

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "Heads",
    "WireError",
    "begins",
    "fields",
    "heads",
    "peek_tag",
    "varint",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}
_HEAD = 24  # wall time: 1 + 8 bytes; step: 1 + at most 10; the key behind
_WALL_TIME, _STEP, _SUMMARY = 0x09, 0x10, 0x2A  # field number << 3 | wire type


class WireError(ValueError):
    """The bytes are no message."""


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: (number, wire type, a, b).

    ``data[a:b]`` is the field's content; of a varint ``a`` is the value and ``b`` is 0.

    Raises:
        WireError: the bytes are no message.
    """
    while start < end:
        key, start = varint(data, start, end)
        wire = key & 7
        if wire == BYTES:
            length, begin = varint(data, start, end)
            start = begin + length
            value = (begin, start)
        elif wire == VARINT:
            number, start = varint(data, start, end)
            value = (number, 0)
        elif wire in _SIZES:
            value = (start, start + _SIZES[wire])
            start = value[1]
        else:
            raise WireError(f"wire type {wire}")
        if start > end:
            raise WireError("a field runs past the end")
        yield key >> 3, wire, *value


def varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The number at ``start``, and where the next field begins.

    Raises:
        WireError: it runs past ``end``, or over more than ten bytes.
    """
    if start >= end:
        raise WireError("cut short")
    byte = data[start]
    if byte < 0x80:
        return byte, start + 1
    if start + 1 < end and data[start + 1] < 0x80:  # most lengths; the loop takes three times as long
        return byte & 0x7F | data[start + 1] << 7, start + 2
    value, shift = byte & 0x7F, 7
    for position in range(start + 1, min(start + 10, end)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise WireError("a number of more than ten bytes")


def peek_tag(payload: bytes) -> bytes:
    """The tag of an event's first summary value; empty if it has none, or is no event."""
    try:
        for number, wire, start, end in fields(payload, 0, len(payload)):
            if (number, wire) == (5, BYTES):
                for _, kind, first, last in fields(payload, start, end):
                    if kind == BYTES:
                        return next(
                            (payload[a:b] for n, w, a, b in fields(payload, first, last) if (n, w) == (1, 2)), b""
                        )
    except WireError:
        pass
    return b""


@dataclass(frozen=True, eq=False)
class Heads:
    """What every event begins with, of all records of a block; each of shape ``[records]``."""

    wall_times: npt.NDArray[np.float64]
    """Seconds since the epoch; 0 where it does not come first."""
    steps: npt.NDArray[np.int64]
    bodies: npt.NDArray[np.int64]
    """Where the rest of the event begins, in the block's data."""
    summaries: npt.NDArray[np.bool_]
    """True where the rest is a summary."""

    def only(self, records: Sequence[int]) -> Heads:
        """Those of some of the records, by position."""
        return Heads(self.wall_times[records], self.steps[records], self.bodies[records], self.summaries[records])


def heads(block: Block) -> Heads:
    """Read the wall time and the step of all records at once."""
    rows = np.ndarray(len(block.data) - _HEAD + 1, f"V{_HEAD}", block.data, strides=(1,))
    head = rows[block.starts].view(np.uint8).reshape(-1, _HEAD)
    timed = head[:, 0] == _WALL_TIME
    wall_times = np.where(timed, head[:, 1:9].copy().view("<f8")[:, 0], 0.0)
    stepped = timed & (head[:, 9] == _STEP)
    steps = np.zeros(len(head), np.uint64)
    width = np.where(stepped, 1, 0)
    more = stepped
    for position in range(10):
        if not more.any():
            break
        byte = head[:, 10 + position]
        steps |= np.where(more, byte & 0x7F, 0).astype(np.uint64) << np.uint64(7 * position)
        width = width + more
        more = more & (byte >= 0x80)
    bodies = block.starts + np.where(timed, 9, 0) + width
    behind = head[np.arange(len(head)), np.where(timed, 9, 0) + width]
    summaries = (behind == _SUMMARY) & (bodies < block.ends)
    return Heads(wall_times, steps.view(np.int64), bodies, summaries)


def begins(data: bytes, places: npt.NDArray[np.int64], piece: bytes) -> npt.NDArray[np.bool_]:
    """Whether ``piece`` lies at each of the places."""
    if not piece:
        return np.ones(len(places), bool)
    if not len(places) or len(piece) > len(data):
        return np.zeros(len(places), bool)
    # Equal as strings of one size is equal byte by byte, and the fastest comparison there is.
    rows = np.ndarray(len(data) - len(piece) + 1, f"S{len(piece)}", data, strides=(1,))
    alike: npt.NDArray[np.bool_] = rows[places] == piece
    return alike
