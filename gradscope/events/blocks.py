"""Event files in blocks of intact records: a million records a second, and whatever is left of a damaged file.

Both checksums of every record are verified. Behind damage the next intact record is found by looking for the next
twelve bytes that are a header, at any offset; nothing but the damaged bytes is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import google_crc32c
import numpy as np
import numpy.typing as npt

from gradscope.events.checksums import BlockChecksum, masked_checksum, unmasked
from gradscope.events.frames import HEADER, LENGTH, OVERHEAD, header_offsets
from gradscope.events.sizes import SizeRhythm
from gradscope.events.sources import Source, open_source
from gradscope.run import Damage

__all__ = ["Block", "read_blocks"]

_LARGEST = 2_000_000
_SMALLEST = 1 << 12  # behind damage, so that a file full of it is not read a megabyte for each
_GROWTH = 4
_SLACK = 32  # bytes behind the last record, so that fields near its end can be gathered without a check
_CHECKSUM = OVERHEAD - HEADER.size
_PATIENCE = 16  # a file may make us read this many times its size in vain; then long records count as damaged
_REPORTED = 100
_MANY = 500  # records from which on verifying them together pays, also where it fails
_LARGE = 4 << 20


@dataclass(frozen=True, eq=False)
class Block:
    """Intact records that lie side by side."""

    data: bytes
    """The bytes around them, at least 32 more behind the last payload."""
    starts: npt.NDArray[np.int64]
    """Where each payload begins in ``data``."""
    ends: npt.NDArray[np.int64]
    left: int
    """Bytes of the file behind them."""

    def __len__(self) -> int:
        """Number of records."""
        return len(self.starts)

    def payload(self, record: int) -> bytes:
        """The payload of one of the records, by position."""
        return self.data[self.starts[record] : self.ends[record]]

    def payloads(self) -> list[bytes]:
        """All payloads."""
        return [self.data[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def only(self, records: Sequence[int] | slice) -> Block:
        """Some of the records, by position."""
        return Block(self.data, self.starts[records], self.ends[records], self.left)


def read_blocks(path: str, start: int = 0) -> Iterator[Block | Damage]:
    """The records of a file from byte ``start`` on, and a `Damage` in the place of everything that is no intact record.

    Damaged bytes never raise. Memory stays within a few times the longest record; a length is believed only where the
    file is long enough. A file that grows is read up to the size it had at the start. Of more than 100 damaged places
    the rest is counted in one `Damage`.

    Raises:
        OSError: the file cannot be opened.
    """
    stream, size = open_source(path)
    if size > _LARGE:
        _keep_freed_memory()
    with closing(stream):
        yield from _Scan(path, stream, size).run(start)


def _keep_freed_memory() -> None:
    # glibc hands freed memory back at once and takes it again page by page, which doubles the time per block. After
    # one large piece was freed it keeps as much; elsewhere this does nothing.
    np.empty(32 << 20, np.uint8)


class _Scan:
    """One pass over a file."""

    def __init__(self, path: str, stream: Source, size: int) -> None:
        self._path = path
        self._stream = stream
        self._size = size
        self._patience = _PATIENCE * size
        self._window = _LARGEST
        self._sizes = SizeRhythm()
        self._checksum = BlockChecksum()
        self._known: dict[int, int] = {}  # masked checksum of each length seen: a look-up instead of a computation

    def run(self, start: int) -> Iterator[Block | Damage]:
        if self._size == 0:
            yield Damage(self._path, "the file is empty")
        offset, places, unreported = start, 0, 0
        while offset < self._size:
            try:
                block, following = self._block(offset)
                if block is None:
                    following = self._resync(offset + 1)
            except OSError as error:
                what = f"bytes {offset} to {self._size - 1} cannot be read: {error.strerror or error}"
                yield Damage(self._path, what, self._size - offset)
                return
            if block is not None:
                yield block
            elif places < _REPORTED:
                yield self._damage(offset, following)
                places += 1
            else:
                unreported += following - offset
            offset = following
        if unreported:
            yield Damage(self._path, f"{unreported} more bytes are damaged, in many places", unreported)

    def _read(self, offset: int, count: int) -> bytes:
        """``count`` bytes, or as many as there are up to the size the file had at the start."""
        self._stream.seek(offset)
        count = min(count, self._size - offset)
        data = self._stream.read(count)
        while 0 < len(data) < count:  # a raw file may give less than was asked for
            more = self._stream.read(count - len(data))
            if not more:
                break
            data += more
        return data

    def _block(self, offset: int) -> tuple[Block | None, int]:
        """Intact records from ``offset`` on and where they end, or None if the first is damaged."""
        data, bounds = self._read_records(offset, self._window)
        if len(bounds) == 1 and (whole := self._first_length(data, offset)):
            data, bounds = self._read_records(offset, whole)
        if len(bounds) == 1:
            return None, offset
        block = Block(data, bounds[:-1] + HEADER.size, bounds[1:] - _CHECKSUM, 0)
        intact = self._intact(block)
        if intact < len(block):
            self._patience -= int(block.ends[intact] - block.starts[intact])
            self._window = _SMALLEST
        else:
            self._window = min(_LARGEST, self._window * _GROWTH)
        if not intact:
            return None, offset
        following = offset + int(bounds[intact])
        return Block(data, block.starts[:intact], block.ends[:intact], self._size - following), following

    def _read_records(self, offset: int, count: int) -> tuple[bytes, npt.NDArray[np.int64]]:
        """At least ``count`` bytes, if the file has as many, and the places of the records in these."""
        data = self._read(offset, count + _SLACK)
        if len(data) == count + _SLACK:
            return data, self._places(data, count)
        return data + bytes(_SLACK), self._places(data, len(data))

    def _places(self, data: bytes, end: int) -> npt.NDArray[np.int64]:
        """Where the records in ``data[:end]`` begin, and where the first begins that is cut or has no intact header."""
        places = self._sizes.guess(data, end)
        position, last, more = int(places[-1]), end - OVERHEAD, []
        known, unpack = self._known, HEADER.unpack_from
        while position <= last:
            length, checksum = unpack(data, position)
            if known.get(length) != checksum and not self._learn(length, checksum):
                break
            position += length + OVERHEAD
            if position > end:
                break
            more.append(position)
        guessed = len(places) - 1
        if more:
            places = np.append(places, more)
        self._sizes.remember(np.diff(places), guessed, known)
        return places

    def _learn(self, length: int, checksum: int) -> bool:
        if masked_checksum(LENGTH.pack(length)) != checksum:
            return False
        self._known[length] = checksum
        return True

    def _first_length(self, data: bytes, offset: int) -> int:
        """Bytes of the whole record that ``data`` begins with, if its header is intact and the file long enough."""
        if len(data) < HEADER.size:
            return 0
        length, checksum = HEADER.unpack_from(data)
        if not self._learn(length, checksum) or length > self._patience:
            return 0
        whole = int(length) + OVERHEAD
        return whole if offset + whole <= self._size else 0

    def _intact(self, block: Block) -> int:
        """How many payloads have the right checksum, up to the first that has not."""
        words = np.ndarray(len(block.data) - 3, np.dtype("<u4"), block.data, strides=(1,))
        stored = words[block.ends]
        if len(block) >= _MANY and self._checksum.verify(block.data, words[block.starts - 4], block.ends, stored):
            return len(block)
        checksums = (google_crc32c.value(block.payload(record)) for record in range(len(block)))
        found = np.fromiter(checksums, np.uint32, len(block))
        wrong = np.flatnonzero(found != unmasked(stored))
        return int(wrong[0]) if len(wrong) else len(block)

    def _resync(self, start: int) -> int:
        """Offset of the next intact record at or behind ``start``; the file's size if there is none."""
        overlap = HEADER.size - 1
        window = _SMALLEST
        while start + overlap < self._size:
            block = self._read(start, window + overlap)
            if len(block) <= overlap:
                break
            for candidate in header_offsets(block):
                if self._is_record(start + int(candidate)):
                    return start + int(candidate)
            start += window
            window = min(_LARGEST, window * _GROWTH)
        return self._size

    def _is_record(self, offset: int) -> bool:
        whole = self._first_length(self._read(offset, HEADER.size), offset)
        data = self._read(offset, whole)
        if not whole or len(data) < whole:
            return False
        payload = data[HEADER.size : -4]
        if masked_checksum(payload) == int.from_bytes(data[-4:], "little"):
            return True
        self._patience -= len(payload)
        return False

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
        header = self._read(offset, HEADER.size)
        if len(header) < HEADER.size:
            return offset > 0
        length, checksum = HEADER.unpack(header)
        return self._learn(length, checksum) and offset + OVERHEAD + length > self._size
