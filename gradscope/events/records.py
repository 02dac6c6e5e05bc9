"""Records: what gradscope wrote to an event file, decoded as far as it can be used, and what of it cannot."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32, DT_STRING

from gradscope.errors import NewerFormatError
from gradscope.run import Damage, TensorKey
from gradscope.vocabulary import FORMAT_VERSION, Tag

__all__ = ["FileRecords", "Layout", "OwnRecords", "Record", "own_tag"]

_TYPES = {
    Tag.STATISTICS: (DT_FLOAT, "<f4"),
    Tag.STEP: (DT_FLOAT, "<f4"),
    Tag.HISTOGRAMS: (DT_INT32, "<i4"),
    Tag.MODEL_CARD: (DT_STRING, ""),
    Tag.TROUBLE: (DT_STRING, ""),
}


@dataclass(frozen=True)
class Layout:
    """What rows and columns of a packed tag mean."""

    tensors: tuple[TensorKey, ...]
    statistics: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Record:
    """One value of one of gradscope's tags."""

    tag: str
    """One of `gradscope.vocabulary.Tag`, without the number of a rebuilt model."""
    step: int
    wall_time: float
    layout: Layout | None
    """None for text."""
    array: npt.NDArray[Any] | None = None
    """As `gradscope.vocabulary.Tag` describes it; None for text, and where its values were not asked for."""
    text: str = ""


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


@dataclass(frozen=True)
class _Raw:
    """A value before the names of its tag are known."""

    numbered_tag: str
    tag: str
    step: int
    wall_time: float
    dtype: int
    shape: tuple[int, ...]
    content: bytes


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
        self._contents: dict[str, bytes] = {}

    def add(self, payload: bytes) -> None:
        """Take one event.

        Raises:
            DecodeError: it is no event.
        """
        event = Event.FromString(payload)
        for value in event.summary.value:
            tag = own_tag(value.tag)
            if tag is None:
                continue
            if value.metadata.plugin_data.content:
                self._contents.setdefault(value.tag, value.metadata.plugin_data.content)
            self._raw.append(_raw(event, value, tag, keep=tag in self._values_of or _is_text(tag)))

    def into(self, result: FileRecords) -> None:
        """Add the records to the result, and to its damage what cannot be used.

        Raises:
            NewerFormatError: the file was written by a gradscope with a newer format.
        """
        unusable: Counter[str] = Counter()
        layouts = {tag: _layout(self._path, tag, content, unusable) for tag, content in self._contents.items()}
        for item in self._raw:
            record = _record(item, layouts.get(item.numbered_tag), self._values_of)
            if isinstance(record, Record):
                result.records.append(record)
            else:
                unusable[f"{item.numbered_tag}: {record}"] += 1
        for what, count in unusable.items():
            result.damage.append(Damage(self._path, f"{what} ({count} records)" if count > 1 else what))


def own_tag(tag: str) -> str | None:
    """The tag without the number of a rebuilt model, or None if it is not one that is read."""
    base, _, number = tag.partition("#")
    return base if base in _TYPES and (number.isdecimal() or base == tag) else None


def _is_text(tag: str) -> bool:
    return tag in (Tag.MODEL_CARD, Tag.TROUBLE)


def _raw(event: Event, value: Summary.Value, tag: str, *, keep: bool) -> _Raw:
    tensor = value.tensor
    content = b""
    if keep:
        content = b"".join(tensor.string_val[:1]) if _is_text(tag) else tensor.tensor_content
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    return _Raw(value.tag, tag, event.step, event.wall_time, tensor.dtype, shape, content)


def _record(raw: _Raw, layout: Layout | None, values_of: frozenset[str]) -> Record | str:
    """The record, or the reason why it cannot be used."""
    dtype, numpy_dtype = _TYPES[raw.tag]
    if raw.dtype != dtype:
        return f"values of another type than format {FORMAT_VERSION} prescribes"
    if _is_text(raw.tag):
        return Record(raw.tag, raw.step, raw.wall_time, None, text=raw.content.decode("utf-8", "replace"))
    if layout is None:
        return "values without names, because the events that gave these are lost"
    if raw.tag not in values_of:
        return Record(raw.tag, raw.step, raw.wall_time, layout)
    expected = {
        Tag.STATISTICS: (len(layout.tensors), len(layout.statistics)),
        Tag.STEP: (len(layout.statistics),),
        Tag.HISTOGRAMS: (*raw.shape[:1], 3),
    }[raw.tag]
    if raw.shape != expected or len(raw.content) != 4 * math.prod(raw.shape):
        return f"values of shape {list(raw.shape)}, where their names call for {list(expected)}"
    array = np.frombuffer(raw.content, numpy_dtype).reshape(raw.shape)
    return Record(raw.tag, raw.step, raw.wall_time, layout, array)


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
