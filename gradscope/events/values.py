"""The values of one event that are numbers: scalars, and histograms in the forms that TensorFlow and PyTorch write."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from gradscope.events.wire import BYTES, FIXED32, FIXED64, VARINT, fields, varint

__all__ = ["PROTO", "TEXT", "Form", "Value", "Values", "decode"]

_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT64, DT_HALF
_STRING = 7
_TAG_KEY, _PROTO_KEY = 1 << 3 | BYTES, 5 << 3 | BYTES
_TYPED_VALUES = {5: "<f4", 6: "<f8"}  # float_val, double_val
_ITEM_SIZES = {"<f4": 4, "<f8": 8, "<i4": 4, "<i8": 8, "<f2": 2}
_DOUBLE = struct.Struct("<d")


class Form(NamedTuple):
    """How the bytes of a value are to be read."""

    dtype: str
    """As numpy has it, or ``proto`` or ``text``."""
    rows: int = 0
    """0 for a scalar; of a histogram the number of its rows (left, right, count)."""

    @property
    def size(self) -> int:
        """Bytes of the content; 0 where it varies."""
        return _ITEM_SIZES.get(self.dtype, 0) * (3 * self.rows or 1)


PROTO = Form("proto")
"""A HistogramProto, as TensorFlow 1 and PyTorch write it."""
TEXT = Form("text")


class Value(NamedTuple):
    """One value: ``payload[start:end]`` is its content."""

    tag: bytes
    form: Form
    start: int
    end: int


@dataclass
class Values:
    """What an event holds."""

    wall_time: float = 0.0
    step: int = 0
    has_summary: bool = False
    count: int = 0
    """Values of any kind, also of those that are no numbers."""
    found: list[Value] = field(default_factory=list)


def decode(payload: bytes) -> Values:
    """Take an event apart; values that are neither number nor histogram are counted only.

    Raises:
        WireError: the payload is no event.
    """
    result = Values()
    for number, wire, start, end in fields(payload, 0, len(payload)):
        if (number, wire) == (1, FIXED64):
            result.wall_time = _DOUBLE.unpack_from(payload, start)[0]
        elif (number, wire) == (2, VARINT):
            result.step = start - (1 << 64) if start >= 1 << 63 else start
        elif (number, wire) == (5, BYTES):
            result.has_summary = True
            for inner, kind, first, last in fields(payload, start, end):
                if (inner, kind) == (1, BYTES):
                    result.count += 1
                    if (value := _value(payload, first, last)) is not None:
                        result.found.append(value)
    return result


def _value(payload: bytes, start: int, end: int) -> Value | None:
    proto = _tag_and_proto(payload, start, end)
    if proto is not None:
        return proto
    tag, content, plugin = b"", None, b""
    for number, wire, first, last in fields(payload, start, end):
        if (number, wire) == (1, BYTES):
            tag = payload[first:last]
        elif (number, wire) == (2, FIXED32):
            content = (Form("<f4"), first, last)
        elif (number, wire) == (5, BYTES):
            content = (PROTO, first, last)
        elif (number, wire) == (8, BYTES):
            content = _tensor(payload, first, last)
        elif (number, wire) == (9, BYTES):
            plugin = _plugin(payload, first, last)
    if content is None or not (plugin in (b"", b"scalars", b"histograms") or content[0] == TEXT):
        return None
    return Value(tag, *content)


def _tag_and_proto(payload: bytes, start: int, end: int) -> Value | None:
    """The value if it is nothing but a short tag and a HistogramProto, which come by the hundred in one event."""
    if end - start < 8 or payload[start] != _TAG_KEY or payload[start + 1] >= 0x80:
        return None
    behind = start + 2 + payload[start + 1]
    if behind >= end or payload[behind] != _PROTO_KEY:
        return None
    length, begin = varint(payload, behind + 1, end)
    return Value(payload[start + 2 : behind], PROTO, begin, end) if begin + length == end else None


def _tensor(payload: bytes, start: int, end: int) -> tuple[Form, int, int] | None:
    dtype, shape, content, string = 0, [], None, None
    for number, wire, first, last in fields(payload, start, end):
        if (number, wire) == (1, VARINT):
            dtype = first
        elif (number, wire) == (2, BYTES):
            shape = [_size(payload, a, b) for n, w, a, b in fields(payload, first, last) if (n, w) == (2, BYTES)]
        elif (number, wire) == (4, BYTES) or number in _TYPED_VALUES:
            content = (first, last)
        elif (number, wire) == (8, BYTES):
            string = (first, last)
    if dtype == _STRING and not shape and string:
        return (TEXT, *string)
    if dtype not in _DTYPES or content is None or not (not shape or (len(shape) == 2 and shape[1] == 3 and shape[0])):
        return None
    form = Form(_DTYPES[dtype], shape[0] if shape else 0)
    return (form, *content) if content[1] - content[0] == form.size else None


def _size(payload: bytes, start: int, end: int) -> int:
    return next((a for n, w, a, _ in fields(payload, start, end) if (n, w) == (1, VARINT)), 0)


def _plugin(payload: bytes, start: int, end: int) -> bytes:
    for number, wire, first, last in fields(payload, start, end):
        if (number, wire) == (1, BYTES):
            return next((payload[a:b] for n, w, a, b in fields(payload, first, last) if (n, w) == (1, BYTES)), b"")
    return b""
