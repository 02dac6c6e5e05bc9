"""Checksums of event files: crc32c, of one piece of data or of all records of a block at once.

A crc is linear over GF(2): that of a block follows from those of its parts, each moved by the bytes that come behind
it. So one pass over a block and one look-up per record verify what its records claim, at four times the speed of a
call for each. A damaged record escapes it as rarely as it escapes its own checksum, once in 2^32.
"""

from __future__ import annotations

from functools import cache

import google_crc32c
import numpy as np
import numpy.typing as npt

__all__ = ["BlockChecksum", "masked_checksum", "unmasked"]

_MASK_DELTA = 0xA282EAD8
_DIGIT = 7  # bits of a distance that one table moves by
_DIGITS = 3
_LONGEST_DATA = 1 << _DIGIT * _DIGITS
_LONGEST_RECORD = 1 << 16
_ONES = np.uint32(0xFFFFFFFF)

Words = npt.NDArray[np.uint32]


def masked_checksum(data: bytes) -> int:
    """The crc32c of ``data`` as it is stored: rotated, plus a constant."""
    checksum: int = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFFFFFF


def unmasked(stored: Words) -> Words:
    """The crc32c behind each stored checksum."""
    rotated = stored - np.uint32(_MASK_DELTA)
    return rotated << np.uint32(15) | rotated >> np.uint32(17)


class BlockChecksum:
    """Verifies the payloads of many records of 12 bytes of header, payload and 4 bytes of checksum at once."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        # What a record's header and the length of its payload add to the checksum where the payload ends.
        self._frames = np.zeros(_LONGEST_RECORD, np.uint32)
        self._known = np.zeros(_LONGEST_RECORD, bool)

    def verify(self, data: bytes, headers: Words, ends: npt.NDArray[np.int64], stored: Words) -> bool:
        """True if all payloads have the checksum that is stored behind them; False also if that takes a closer look.

        Args:
            data: begins with the first record; other bytes may follow the last.
            headers: the masked checksum in each record's header.
            ends: where each payload ends.
            stored: the masked checksum behind each payload.
        """
        lengths = np.diff(ends, prepend=-4) - 16
        if len(data) >= _LONGEST_DATA or lengths.max() >= _LONGEST_RECORD:
            return False
        behind = data[int(ends[-1]) + 4 :]
        claimed = unmasked(stored) ^ stored ^ _ONES ^ self._of_frames(lengths, headers)
        words = np.append(claimed, [_ONES, _ONES])
        distances = np.append(len(data) - ends, [len(data), len(behind)])
        found: int = google_crc32c.value(data) ^ google_crc32c.value(behind)
        return int(np.bitwise_xor.reduce(_moved(words, distances))) == found

    def _of_frames(self, lengths: npt.NDArray[np.int64], headers: Words) -> Words:
        new = np.flatnonzero(~self._known[lengths])
        if len(new):
            # A header is the words length, 0 and checksum: 12, 8 and 4 bytes in front of the payload.
            of_header = _moved(lengths[new].astype(np.uint32), np.full(len(new), 12))
            of_header ^= _moved(headers[new], np.full(len(new), 4)) ^ _ONES
            self._frames[lengths[new]] = _moved(of_header, lengths[new])
            self._known[lengths[new]] = True
        return self._frames[lengths]


def _moved(words: Words, distances: npt.NDArray[np.int64]) -> Words:
    """What the state of the checksum becomes of each word when as many zero bytes come behind it."""
    for position, table in enumerate(_tables()):
        row = (distances >> _DIGIT * position & (1 << _DIGIT) - 1) << 10
        first, second, third, fourth = words.astype("<u4", copy=False).view(np.uint8).reshape(-1, 4).T
        words = table[row + first] ^ table[row + 256 + second] ^ table[row + 512 + third] ^ table[row + 768 + fourth]
    return words


@cache
def _tables() -> tuple[Words, ...]:
    """For each digit of a distance ``[128 x 4 x 256]``, flat: what each value of each byte of a word becomes."""
    none = google_crc32c.value(b"\0")
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    operator = bits >> np.uint32(8)  # what one zero byte makes of each bit
    operator[:8] = [google_crc32c.value(bytes([1 << bit])) ^ none for bit in range(8)]
    tables = []
    for _ in range(_DIGITS):
        images = bits[None, :]
        for _ in range(_DIGIT):
            images = np.concatenate([images, _applied(operator, images)])
            operator = _applied(operator, operator)
        table = np.zeros((len(images), 4, 256), np.uint32)
        for bit in range(8):
            table[:, :, 1 << bit : 2 << bit] = table[:, :, : 1 << bit] ^ images.reshape(-1, 4, 8)[:, :, bit, None]
        tables.append(table.ravel())
    return tuple(tables)


def _applied(operator: Words, words: Words) -> Words:
    """The xor of what the operator makes of each bit of a word."""
    result = np.zeros_like(words)
    for bit in range(32):
        result ^= (words >> np.uint32(bit) & np.uint32(1)) * operator[bit]
    return result
