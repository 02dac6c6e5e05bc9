"""Records: what one event file says, decoded as far as it can be used, and what of it cannot."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32, DT_STRING

from gradscope.errors import NewerFormatError
from gradscope.events.frames import read_frames
from gradscope.run import Damage, TensorKey
from gradscope.vocabulary import FORMAT_VERSION, PLUGIN_NAME, Tag

__all__ = ["FileRecords", "Layout", "Record", "read_records"]

_TYPES = {
    Tag.STATISTICS: (DT_FLOAT, "<f4"),
    Tag.STEP: (DT_FLOAT, "<f4"),
    Tag.HISTOGRAMS: (DT_INT32, "<i4"),
    Tag.MODEL_CARD: (DT_STRING, ""),
    Tag.TROUBLE: (DT_STRING, ""),
}
_FOREIGN_TAGS = 5


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


def read_records(path: str, *, values_of: frozenset[str]) -> FileRecords:
    """Read one event file.

    Args:
        path: the file.
        values_of: tags whose arrays are wanted; of the others only steps are kept, which spares their memory.

    Raises:
        OSError: the file cannot be opened.
        NewerFormatError: it was written by a gradscope with a newer format.
    """
    result = FileRecords()
    raw: list[_Raw] = []
    contents: dict[str, bytes] = {}
    unusable: Counter[str] = Counter()
    for event in _events(path, result):
        for value in event.summary.value:
            tag = _own_tag(value.tag)
            if tag is None:
                _note_foreign(value.tag, result)
                continue
            if value.metadata.plugin_data.content:
                contents.setdefault(value.tag, value.metadata.plugin_data.content)
            raw.append(_raw(event, value, tag, keep=tag in values_of or _is_text(tag)))
    layouts = {tag: _layout(path, tag, content, unusable) for tag, content in contents.items()}
    for item in raw:
        record = _record(item, layouts.get(item.numbered_tag), values_of)
        if isinstance(record, Record):
            result.records.append(record)
        else:
            unusable[f"{item.numbered_tag}: {record}"] += 1
    for what, count in unusable.items():
        result.damage.append(Damage(path, f"{what} ({count} records)" if count > 1 else what))
    return result


def _events(path: str, result: FileRecords) -> Iterator[Event]:
    """The file's events; damage goes to the result, with the steps around it."""
    last: int | None = None
    open_gaps: list[Damage] = []
    for payload in read_frames(path):
        if isinstance(payload, Damage):
            open_gaps.append(payload)
            continue
        try:
            event = Event.FromString(payload)
        except DecodeError:
            what = f"a record of {len(payload)} bytes is intact but holds no event"
            open_gaps.append(Damage(path, what, len(payload)))
            continue
        result.event_count += 1
        if event.HasField("summary"):
            result.damage += [_with_steps(gap, last, event.step) for gap in open_gaps]
            open_gaps.clear()
            last = event.step
        yield event
    result.damage += [_with_steps(gap, last, None) for gap in open_gaps]


def _with_steps(gap: Damage, before: int | None, after: int | None) -> Damage:
    if before is None and after is None:
        return gap
    parts = [f"from {before}"] * (before is not None) + [f"up to {after}"] * (after is not None)
    return replace(gap, what=f"{gap.what}; data of steps {' '.join(parts)} may be missing")


def _own_tag(tag: str) -> str | None:
    """The tag without the number of a rebuilt model, or None if it is not one that is read."""
    base, _, number = tag.partition("#")
    return base if base in _TYPES and (number.isdecimal() or base == tag) else None


def _note_foreign(tag: str, result: FileRecords) -> None:
    known = tag.startswith(PLUGIN_NAME) or tag in result.foreign_tags
    if not known and len(result.foreign_tags) < _FOREIGN_TAGS:
        result.foreign_tags.append(tag)


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
