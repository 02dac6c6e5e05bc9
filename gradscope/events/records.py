"""Records: what gradscope wrote to an event file, decoded as far as it can be used, and what of it cannot."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradscope.errors import NewerFormatError
from gradscope.events.blocks import Block
from gradscope.events.stacks import Stack
from gradscope.events.wire import BYTES, VARINT, Heads, begins, fields
from gradscope.run import Damage, TensorKey
from gradscope.vocabulary import FORMAT_VERSION, Tag

__all__ = ["FileRecords", "Layout", "OwnRecords", "Record", "own_tag"]

_FLOAT, _INT32, _STRING = 1, 3, 7  # TensorFlow's DataType
_TYPES = {
    Tag.STATISTICS: (_FLOAT, "<f4"),
    Tag.STEP: (_FLOAT, "<f4"),
    Tag.HISTOGRAMS: (_INT32, "<i4"),
    Tag.MODEL_CARD: (_STRING, ""),
    Tag.TROUBLE: (_STRING, ""),
}
_TEXTS = frozenset({Tag.MODEL_CARD, Tag.TROUBLE})
_SUMMARY = 5  # number of the field in an event
_NUMBER = 4  # bytes
_MOST_TENSORS = 3  # of an event that is held against the one before


@dataclass(frozen=True)
class Layout:
    """What rows and columns of a packed tag mean."""

    tensors: tuple[TensorKey, ...]
    statistics: tuple[str, ...]


class Record(NamedTuple):
    """One value of one of gradscope's tags."""

    tag: str
    """One of `gradscope.vocabulary.Tag`, without the number of a rebuilt model."""
    step: int
    wall_time: float
    layout: Layout | None
    """None for text."""
    arrays: npt.NDArray[Any] | None = None
    """Those of all records of its tag and shape in the file; None for text, and where they were not asked for."""
    place: int = 0
    """Which of these is its own."""
    text: str = ""

    @property
    def array(self) -> npt.NDArray[Any] | None:
        """As `gradscope.vocabulary.Tag` describes it."""
        return None if self.arrays is None else self.arrays[self.place]


@dataclass
class FileRecords:
    """All that was found in one file."""

    records: list[Record] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    event_count: int = 0
    """Intact events, whatever they hold."""
    foreign_tags: list[str] = field(default_factory=list)
    """The first few tags that are not gradscope's."""
    first_wall_time: float = float("inf")
    """Of the first intact summary, in seconds since the epoch."""
    last_wall_time: float = float("-inf")
    """Of the last one."""

    def overlaps(self, other: FileRecords) -> bool:
        """True where both files were being written at the same time."""
        return self.first_wall_time < other.last_wall_time and other.first_wall_time < self.last_wall_time


class _Tensor(NamedTuple):
    """A value before the names of its tag are known: ``summary[start:end]`` are its numbers, or its text."""

    numbered_tag: str
    tag: str
    dtype: int
    shape: tuple[int, ...]
    start: int
    end: int


_Stacked = tuple[_Tensor, Stack | None]
"""A tensor and where its numbers go; None where they are not wanted, or not as many as its shape says."""
_Found = tuple[int, _Tensor, Stack | None, str]
"""Position of the event in its block, tensor and stack, text."""
_Raw = tuple[_Tensor, Stack | None, int, float, int, str]
"""Tensor and stack, step, wall time, place in the stack, text."""


class OwnRecords:
    """The records of gradscope's own tags in one file, put together when the whole file was seen."""

    def __init__(self, path: str, values_of: frozenset[str]) -> None:
        """Begin with nothing.

        Args:
            path: the file, for messages.
            values_of: tags whose arrays are wanted; of the others only steps are kept, which spares their memory.
        """
        self._path = path
        self._values_of = values_of
        self._raw: list[_Raw] = []
        self._found: list[_Found] = []  # in the block
        self._stacks: dict[tuple[str, int, tuple[int, ...]], Stack] = {}
        self._contents: dict[str, bytes] = {}
        self._alike: dict[int, tuple[list[tuple[int, bytes]], list[_Stacked]]] = {}  # by size of the summary

    def take_block(self, block: Block, heads: Heads) -> npt.NDArray[np.int64]:
        """Take all records that differ from one seen before in their numbers only; the positions of the others.

        Each of these that is gradscope's is to be given to `take_event`; then comes `finish_block`.
        """
        sizes = block.ends - heads.bodies
        rest = np.ones(len(block), bool)
        for size in set(sizes.tolist()) & self._alike.keys():
            around, tensors = self._alike[size]
            mine = np.flatnonzero(sizes == size)
            for place, piece in around:
                mine = mine[begins(block.data, heads.bodies[mine] + place, piece)]
            rest[mine] = False
            self._found += [(position, tensor, stack, "") for position in mine.tolist() for tensor, stack in tensors]
        return np.flatnonzero(rest)

    def take_event(self, block: Block, heads: Heads, position: int) -> None:
        """Take one record of the block.

        Raises:
            WireError: it is no event.
        """
        summary = block.data[int(heads.bodies[position]) : int(block.ends[position])]
        tensors = self._tensors(summary)
        found = [(position, tensor, self._stack(tensor), _text(summary, tensor)) for tensor in tensors]
        if 0 < len(tensors) <= _MOST_TENSORS and not any(text for *_, text in found):
            self._alike[len(summary)] = _around(summary, tensors), [(tensor, stack) for _, tensor, stack, _ in found]
        self._found += found

    def finish_block(self, block: Block, heads: Heads) -> None:
        """Put what was taken of the block in its order."""
        steps, wall_times, bodies = heads.steps.tolist(), heads.wall_times.tolist(), heads.bodies.tolist()
        places: dict[Stack, list[int]] = {}
        for position, tensor, stack, text in sorted(self._found, key=itemgetter(0)):
            place = 0
            if stack is not None:
                stacked = places.setdefault(stack, [])
                place = stack.count + len(stacked)
                stacked.append(bodies[position] + tensor.start)
            self._raw.append((tensor, stack, steps[position], wall_times[position], place, text))
        for stack, stacked in places.items():
            stack.add(block.data, np.array(stacked), block.left)
        self._found.clear()

    def _stack(self, tensor: _Tensor) -> Stack | None:
        if tensor.tag not in self._values_of or tensor.end - tensor.start != _NUMBER * math.prod(tensor.shape):
            return None
        kind = tensor.numbered_tag, tensor.dtype, tensor.shape
        if kind not in self._stacks:
            self._stacks[kind] = Stack(_TYPES[tensor.tag][1], tensor.shape)
        return self._stacks[kind]

    def _tensors(self, summary: bytes) -> list[_Tensor]:
        found = []
        for number, wire, first, last in fields(summary, 0, len(summary)):
            if (number, wire) == (_SUMMARY, BYTES):
                for inner, kind, start, end in fields(summary, first, last):
                    if (inner, kind) == (1, BYTES):
                        tensor, content = _tensor(summary, start, end)
                        if tensor is not None:
                            found.append(tensor)
                            if content:
                                self._contents.setdefault(tensor.numbered_tag, content)
        return found

    def into(self, result: FileRecords) -> None:
        """Add the records to the result, and to its damage what cannot be used.

        Raises:
            NewerFormatError: the file was written by a gradscope with a newer format.
        """
        unusable: Counter[str] = Counter()
        layouts = {tag: _layout(self._path, tag, content, unusable) for tag, content in self._contents.items()}
        arrays = {stack: stack.array() for stack in self._stacks.values()}
        flaws: dict[int, str] = {}
        for tensor, stack, step, wall_time, place, text in self._raw:
            flaw = flaws.get(id(tensor))
            layout = None if tensor.tag in _TEXTS else layouts.get(tensor.numbered_tag)
            if flaw is None:
                is_wanted = tensor.tag in self._values_of
                flaw = flaws[id(tensor)] = _flaw(tensor, layout, stack, is_wanted=is_wanted)
            if flaw:
                unusable[f"{tensor.numbered_tag}: {flaw}"] += 1
            else:
                array = arrays[stack] if stack else None
                result.records.append(Record(tensor.tag, step, wall_time, layout, array, place, text))
        for what, count in unusable.items():
            result.damage.append(Damage(self._path, f"{what} ({count} records)" if count > 1 else what))


def own_tag(tag: str) -> str | None:
    """The tag without the number of a rebuilt model, or None if it is not one that is read."""
    base, _, number = tag.partition("#")
    return base if base in _TYPES and (number.isdecimal() or base == tag) else None


def _text(summary: bytes, tensor: _Tensor) -> str:
    return summary[tensor.start : tensor.end].decode("utf-8", "replace") if tensor.tag in _TEXTS else ""


def _around(summary: bytes, tensors: list[_Tensor]) -> list[tuple[int, bytes]]:
    """The bytes that are not the content of a tensor, and where they begin."""
    places = [0, *(place for tensor in tensors for place in (tensor.start, tensor.end)), len(summary)]
    return [(places[i], summary[places[i] : places[i + 1]]) for i in range(0, len(places), 2)]


def _tensor(data: bytes, start: int, end: int) -> tuple[_Tensor | None, bytes]:
    """The tensor in the summary value ``data[start:end]``, None if it is not one that is read; the plugin's content."""
    numbered_tag, place, content = "", (0, 0), b""
    for number, wire, first, last in fields(data, start, end):
        if (number, wire) == (1, BYTES):
            numbered_tag = data[first:last].decode("utf-8", "replace")
        elif (number, wire) == (8, BYTES):
            place = first, last
        elif (number, wire) == (9, BYTES):
            plugin = _field(data, first, last, 1)
            content = _field(plugin, 0, len(plugin), 2)
    tag = own_tag(numbered_tag)
    return (None, b"") if tag is None else (_Tensor(numbered_tag, tag, *_numbers(data, *place)), content)


def _numbers(data: bytes, start: int, end: int) -> tuple[int, tuple[int, ...], int, int]:
    """Type and shape of the tensor in ``data[start:end]``, and where its numbers, or its first text, lie."""
    dtype, shape, content = 0, [], (0, 0)
    for number, wire, first, last in fields(data, start, end):
        if (number, wire) == (1, VARINT):
            dtype = first
        elif (number, wire) == (2, BYTES):
            shape = [_size(data, a, b) for n, w, a, b in fields(data, first, last) if (n, w) == (2, BYTES)]
        elif (number, wire) in {(4, BYTES), (8, BYTES)} and content == (0, 0):
            content = first, last
    return dtype, tuple(shape), *content


def _field(data: bytes, start: int, end: int, wanted: int) -> bytes:
    return next((data[a:b] for n, w, a, b in fields(data, start, end) if (n, w) == (wanted, BYTES)), b"")


def _size(data: bytes, start: int, end: int) -> int:
    return next((a for n, w, a, _ in fields(data, start, end) if (n, w) == (1, VARINT)), 0)


def _flaw(tensor: _Tensor, layout: Layout | None, stack: Stack | None, *, is_wanted: bool) -> str:
    """The reason why the tensor cannot be used; empty if it can."""
    if tensor.dtype != _TYPES[tensor.tag][0]:
        return f"values of another type than format {FORMAT_VERSION} prescribes"
    if tensor.tag in _TEXTS:
        return ""
    if layout is None:
        return "values without names, because the events that gave these are lost"
    expected = {
        Tag.STATISTICS: (len(layout.tensors), len(layout.statistics)),
        Tag.STEP: (len(layout.statistics),),
        Tag.HISTOGRAMS: (*tensor.shape[:1], 3),
    }[tensor.tag]
    if is_wanted and (stack is None or tensor.shape != expected):
        return f"values of shape {list(tensor.shape)}, where their names call for {list(expected)}"
    return ""


def _layout(path: str, tag: str, content: bytes, unusable: Counter[str]) -> Layout | None:
    try:
        data = json.loads(content)
        written = data["format"]
        tensors = tuple(TensorKey(str(kind), str(name), str(layer)) for kind, name, layer in data.get("tensors", ()))
        layout = Layout(tensors, tuple(str(name) for name in data.get("statistics", ())))
        newer = written > FORMAT_VERSION
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        unusable[f"{tag}: its names are not the JSON that format {FORMAT_VERSION} prescribes"] += 1
        return None
    if newer:
        raise NewerFormatError(
            f"{path}: written in format {written}, but this gradscope knows formats up to {FORMAT_VERSION}; "
            "upgrade gradscope to read it"
        )
    return layout
