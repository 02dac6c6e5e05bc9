"""TFRecord framing: what surrounds each event of a file.

A record is ``length: uint64, masked crc32c of length, payload, masked crc32c of payload``, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache

import google_crc32c
import numpy as np
import numpy.typing as npt

from gradscope.events.checksums import masked_checksum, unmasked
from gradscope.run import Damage

__all__ = ["HEADER", "LENGTH", "OVERHEAD", "frame", "header_offsets", "read_frames"]

HEADER = struct.Struct("<QI")
"""Length of the payload, and the masked checksum of its eight bytes."""
LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
OVERHEAD = HEADER.size + _CHECKSUM.size
"""Bytes of a record that are not its payload."""


def frame(payload: bytes) -> bytes:
    """One record of an event file around ``payload``, which may be empty.

    Example:
        >>> from gradscope.events.frames import frame
        >>> len(frame(b"hello"))
        21
    """
    length = LENGTH.pack(len(payload))
    return b"".join(
        (length, _CHECKSUM.pack(masked_checksum(length)), payload, _CHECKSUM.pack(masked_checksum(payload)))
    )


def read_frames(path: str) -> Iterator[bytes | Damage]:
    """The payloads of a file one by one, and a `Damage` in the place of everything that is not an intact record.

    Raises:
        OSError: the file cannot be opened.
    """
    from gradscope.events.blocks import read_blocks

    for part in read_blocks(path):
        if isinstance(part, Damage):
            yield part
        else:
            yield from part.payloads()


def header_offsets(block: bytes) -> npt.NDArray[np.int64]:
    """Offsets in ``block`` that hold an intact header of a record of 1 to 2^32 - 1 bytes."""
    data = np.frombuffer(block, np.uint8)
    places = len(data) - HEADER.size + 1
    if places <= 0:
        return np.zeros(0, np.int64)
    high = data[4 : 4 + places] | data[5 : 5 + places] | data[6 : 6 + places] | data[7 : 7 + places]
    low = data[:places] | data[1 : 1 + places] | data[2 : 2 + places] | data[3 : 3 + places]
    found = np.flatnonzero((high == 0) & (low != 0))
    checksum = np.zeros(len(found), np.uint32)
    stored = np.zeros(len(found), np.uint32)
    for position, table in enumerate(_length_checksums()):
        checksum ^= table[data[position + found]]
        stored |= data[8 + position + found].astype(np.uint32) << np.uint32(8 * position)
    offsets: npt.NDArray[np.int64] = found[checksum == unmasked(stored)]
    return offsets


@cache
def _length_checksums() -> npt.NDArray[np.uint32]:
    """``[4, 256]``: what each value of each low byte of a length adds (xor) to the checksum; a CRC is affine."""
    none = google_crc32c.value(bytes(8))
    table = np.zeros((4, 256), np.uint32)
    for position in range(4):
        for byte in range(256):
            table[position, byte] = google_crc32c.value(LENGTH.pack(byte << 8 * position)) ^ none
    table[0] ^= none
    return table
