"""TFRecord framing: records in, bytes out, and back again out of whatever is left of a file.

A record is ``length: uint64, masked crc32c of length, payload, masked crc32c of payload``, little-endian. Both
checksums are verified. Behind damage the next intact record is found by looking for the next twelve bytes that are a
header, at any offset; nothing but the damaged bytes is lost.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from gradscope.run import Damage

__all__ = ["frame", "read_frames"]

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_OVERHEAD = _HEADER.size + _CHECKSUM.size
_MASK_DELTA = 0xA282EAD8
_BLOCK = 1 << 20
_PATIENCE = 16  # a file may make us read this many times its size in vain; then long records count as damaged


def frame(payload: bytes) -> bytes:
    """One record of an event file around ``payload``, which may be empty.

    Example:
        >>> from gradscope.events.frames import frame
        >>> len(frame(b"hello"))
        21
    """
    length = _LENGTH.pack(len(payload))
    return b"".join(
        (length, _CHECKSUM.pack(_masked_checksum(length)), payload, _CHECKSUM.pack(_masked_checksum(payload)))
    )


def read_frames(path: str) -> Iterator[bytes | Damage]:
    """The payloads of a file in order, and a `Damage` in the place of everything that is not an intact record.

    Damaged bytes never raise. Memory stays within twice the longest record; a length is believed only where the file
    is long enough. A file that grows is read up to the size it had at the start.

    Raises:
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb", buffering=_BLOCK) as stream:
        yield from _Scan(path, stream).run()


def _masked_checksum(data: bytes) -> int:
    checksum: int = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFFFFFF


class _Scan:
    """One pass over a file."""

    def __init__(self, path: str, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size
        self._patience = _PATIENCE * self._size

    def run(self) -> Iterator[bytes | Damage]:
        if self._size == 0:
            yield Damage(self._path, "the file is empty")
        offset = 0
        while offset < self._size:
            try:
                payload = self._record(offset)
                following = offset + _OVERHEAD + len(payload) if payload is not None else self._resync(offset + 1)
            except OSError as error:
                what = f"bytes {offset} to {self._size - 1} cannot be read: {error.strerror or error}"
                yield Damage(self._path, what, self._size - offset)
                return
            yield payload if payload is not None else self._damage(offset, following)
            offset = following

    def _header(self, offset: int) -> int | None:
        """The payload's length according to an intact header at ``offset``, or None."""
        if self._stream.tell() != offset:
            self._stream.seek(offset)
        header = self._stream.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        length, checksum = _HEADER.unpack(header)
        return int(length) if checksum == _masked_checksum(header[: _LENGTH.size]) else None

    def _record(self, offset: int) -> bytes | None:
        """The payload of an intact record at ``offset``, or None."""
        length = self._header(offset)
        if length is None or offset + _OVERHEAD + length > self._size or length > self._patience:
            return None
        payload = self._stream.read(length)
        checksum = self._stream.read(_CHECKSUM.size)
        if len(checksum) == _CHECKSUM.size and _CHECKSUM.unpack(checksum)[0] == _masked_checksum(payload):
            return payload
        self._patience -= length
        return None

    def _resync(self, start: int) -> int:
        """Offset of the next intact record at or behind ``start``; the file's size if there is none."""
        overlap = _HEADER.size - 1
        while start + overlap < self._size:
            self._stream.seek(start)
            block = self._stream.read(_BLOCK + overlap)
            for candidate in _header_offsets(block):
                if self._record(start + int(candidate)) is not None:
                    return start + int(candidate)
            start += _BLOCK
        return self._size

    def _damage(self, offset: int, following: int) -> Damage:
        where = f"bytes {offset} to {following - 1}"
        if following < self._size:
            what = f"{where} are damaged and were skipped"
        elif self._is_tail(offset):
            what = f"the last record is incomplete ({where}): the writer was stopped, or is still writing"
        elif offset == 0:
            what = f"none of its {self._size} bytes are a record of an event file"
        else:
            what = f"{where}, up to the end of the file, are damaged"
        return Damage(self._path, what, following - offset)

    def _is_tail(self, offset: int) -> bool:
        """Whether the file ends within a record that begins at ``offset``."""
        if self._size - offset < _HEADER.size:
            return offset > 0
        length = self._header(offset)
        return length is not None and offset + _OVERHEAD + length > self._size


@cache
def _length_checksums() -> npt.NDArray[np.uint32]:
    """``[4, 256]``: what each value of each low byte of a length adds (xor) to the checksum; a CRC is affine."""
    none = google_crc32c.value(bytes(8))
    table = np.zeros((4, 256), np.uint32)
    for position in range(4):
        for byte in range(256):
            table[position, byte] = google_crc32c.value(_LENGTH.pack(byte << 8 * position)) ^ none
    table[0] ^= none
    return table


def _header_offsets(block: bytes) -> npt.NDArray[np.int64]:
    """Offsets in ``block`` that hold a header of a record of 1 to 2^32 - 1 bytes."""
    data = np.frombuffer(block, np.uint8)
    places = len(data) - _HEADER.size + 1
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
    masked = (checksum >> np.uint32(15) | checksum << np.uint32(17)) + np.uint32(_MASK_DELTA)
    offsets: npt.NDArray[np.int64] = found[masked == stored]
    return offsets
