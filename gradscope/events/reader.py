"""From event files to a `Run`: everything that can be read, and a word on everything that cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.errors import NotARunError, UnreadableRunError
from gradscope.events.discovery import event_files
from gradscope.events.files import read_file
from gradscope.events.foreign import ForeignLog
from gradscope.events.foreign_run import foreign_run
from gradscope.events.mapping import TagRule
from gradscope.events.records import FileRecords, Record
from gradscope.events.timeline import Timeline
from gradscope.model_card import ModelCard
from gradscope.run import Damage, HistogramTable, Run, TensorKey
from gradscope.vocabulary import DATA_TAGS, PLUGIN_NAME, STATISTIC_NAMES, STEP_STATISTIC_NAMES, Tag

__all__ = ["read_run"]


def read_run(path: str | os.PathLike[str], *, tags: Sequence[TagRule] = ()) -> Run:
    """Read the run in a directory, from the event files directly in it, or in one event file.

    Damage does not stop it: what is intact is read, `Run.damage` says what is not. Statistics of an older gradscope
    that lack a column are NaN there, columns it does not know are left out. Histograms are read when asked for.

    A log that gradscope did not record is read as far as its tags tell what they mean; `Run.estimated` and
    `Run.trouble` say what that costs. Beside gradscope's own records those of other tools are left out.

    Args:
        path: a directory, an event file, or the URL of either, as fsspec knows them.
        tags: what tags of other tools mean, ahead of the built-in table.

    Raises:
        RunNotFoundError: nothing there, or a directory without event files.
        NotARunError: event files in which nothing can be judged.
        UnreadableRunError: no permission, or not a single intact record.
        NewerFormatError: written by a gradscope with a newer format.
        MissingDependencyError: a URL, and the package that reads it is not installed.
    """
    top = os.fspath(path)
    files = event_files(top)
    foreign = ForeignLog(tags)
    contents = _read_all(files, frozenset({Tag.STATISTICS, Tag.STEP}), foreign)
    damage = [item for content in contents.values() for item in content.damage]
    _require_intact(top, contents.values(), damage)
    timeline = _timeline(contents)
    samples = list(timeline.of(Tag.STATISTICS, Tag.STEP))
    model, trouble = _texts(contents, damage)
    if not samples:
        run = foreign_run(top, foreign, files)
        if run is None:
            raise NotARunError(_no_steps(top, contents.values(), trouble, damage))
        return replace(run, damage=(*damage, *_told_apart(run.damage, contents)))
    tensors, values = _statistics(samples)
    return Run(
        path=top,
        steps=np.array([step for step, _ in samples], np.int64),
        tensors=tensors,
        values=values,
        step_statistics=_step_statistics(samples),
        model=model,
        wall_times=np.array([next(iter(records.values())).wall_time for _, records in samples]),
        damage=(*damage, *_told_apart(timeline.damage, {f: c for f, c in contents.items() if c.records})),
        trouble=trouble,
        load_histograms=partial(_read_histograms, files),
    )


def _told_apart(superseding: Iterable[Damage], contents: Mapping[str, FileRecords]) -> Iterator[Damage]:
    """The same; where two files were written at once, it was no restart, and either run should be judged by itself."""
    for item in superseding:
        mine = contents[item.file]
        others = [file for file, content in contents.items() if file != item.file and content.overlaps(mine)]
        what = f"; {others[0]} was being written at the same time, so give each file by itself" if others else ""
        yield replace(item, what=item.what + what)


def _read_all(
    files: Sequence[str], values_of: frozenset[str], foreign: ForeignLog | None = None
) -> dict[str, FileRecords]:
    """All files in their order; as soon as one holds a step of gradscope's, other tools' records are left out."""
    contents: dict[str, FileRecords] = {}
    likely_first = sorted(range(len(files)), key=lambda number: not files[number].endswith(f".{PLUGIN_NAME}"))
    for number in likely_first:
        if foreign is not None:
            foreign.begin_file(number)
        contents[files[number]] = content = _read_one(files[number], values_of, foreign)
        if any(record.tag in DATA_TAGS for record in content.records):
            foreign = None
    return {file: contents[file] for file in files}


def _read_one(file: str, values_of: frozenset[str], foreign: ForeignLog | None) -> FileRecords:
    try:
        return read_file(file, values_of=values_of, foreign=foreign)
    except OSError as error:
        return FileRecords(damage=[Damage(file, f"cannot be opened: {error.strerror or error}")])


def _require_intact(top: str, contents: Iterable[FileRecords], damage: list[Damage]) -> None:
    if not any(content.event_count for content in contents):
        what = damage[0].what if damage else "no record at all"
        raise UnreadableRunError(
            f"{top}: no intact event in it ({what}); check that it is an event file and that you may read it"
        )


def _no_steps(top: str, contents: Iterable[FileRecords], trouble: tuple[str, ...], damage: list[Damage]) -> str:
    tags = list(dict.fromkeys(" ".join(tag.split()) for content in contents for tag in content.foreign_tags))[:5]
    told = (
        "gradscope's own records without a sampled step"
        if any(c.records for c in contents)
        else "no weights, gradients or activations"
    )
    reasons = [f"tags such as {', '.join(tags)}"] * bool(tags) + [f"trouble: {text}" for text in trouble[:1]]
    reasons += [f"damage: {item.what}" for item in damage[:1]]
    detail = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{top}: event files with {told}{detail}; record the training with gradscope.Recorder"


def _timeline(contents: Mapping[str, FileRecords]) -> Timeline:
    timeline = Timeline()
    for file, content in contents.items():
        for record in content.records:
            if record.tag in DATA_TAGS:
                timeline.add(record, file)
    return timeline


def _statistics(samples: list[tuple[int, dict[str, Record]]]) -> tuple[tuple[TensorKey, ...], npt.NDArray[np.float32]]:
    layouts = {id(r[Tag.STATISTICS].layout): r[Tag.STATISTICS].layout for _, r in samples if Tag.STATISTICS in r}
    tensors = tuple(dict.fromkeys(key for layout in layouts.values() if layout for key in layout.tensors))
    row_of = {key: row for row, key in enumerate(tensors)}
    places = {
        identity: ([row_of[key] for key in layout.tensors], *_known(layout.statistics, STATISTIC_NAMES))
        for identity, layout in layouts.items()
        if layout
    }
    complete = list(range(len(tensors))), list(range(len(STATISTIC_NAMES)))
    is_complete = {identity: (rows, to) == complete and of == to for identity, (rows, of, to) in places.items()}
    whole = _as_they_lie([records.get(Tag.STATISTICS) for _, records in samples])
    if whole is not None and all(is_complete.values()):
        return tensors, whole
    values = np.empty((len(samples), len(tensors), len(STATISTIC_NAMES)), np.float32)
    for position, (_, records) in enumerate(samples):
        record = records.get(Tag.STATISTICS)
        array = None if record is None else record.array
        if record is not None and array is not None and is_complete[id(record.layout)]:
            values[position] = array
            continue
        values[position] = np.nan
        if record is not None and array is not None:
            rows, source, target = places[id(record.layout)]
            values[position][np.ix_(rows, target)] = array[:, source]
    return tensors, values


def _as_they_lie(records: Sequence[Record | None]) -> npt.NDArray[np.float32] | None:
    """The arrays of all records if a file holds these and no other, as it nearly always does; spares a copy of them."""
    arrays = records[0].arrays if records[0] else None
    if arrays is None or len(arrays) != len(records):
        return None
    in_order = all(r is not None and r.arrays is arrays and r.place == place for place, r in enumerate(records))
    return arrays if in_order else None


def _step_statistics(samples: list[tuple[int, dict[str, Record]]]) -> dict[str, npt.NDArray[np.float32]]:
    """Columns of those that were recorded at one step at least."""
    alike: dict[int, list[int]] = {}
    for position, (_, records) in enumerate(samples):
        if Tag.STEP in records:
            alike.setdefault(id(records[Tag.STEP].arrays), []).append(position)
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for positions in alike.values():
        found = [samples[position][1][Tag.STEP] for position in positions]
        arrays, layout = found[0].arrays, found[0].layout
        if arrays is None or layout is None:
            continue
        for name, numbers in zip(layout.statistics, arrays[[record.place for record in found]].T, strict=True):
            if name not in columns:
                columns[name] = np.full(len(samples), np.nan, np.float32)
            columns[name][positions] = numbers
    return {name: columns[name] for name in STEP_STATISTIC_NAMES if name in columns}


def _known(recorded: tuple[str, ...], known: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Where the known ones of the recorded columns are, and where they go."""
    pairs = [(source, known.index(name)) for source, name in enumerate(recorded) if name in known]
    return [source for source, _ in pairs], [target for _, target in pairs]


def _texts(contents: Mapping[str, FileRecords], damage: list[Damage]) -> tuple[ModelCard, tuple[str, ...]]:
    """The newest model card that can be read, and every trouble once."""
    card = ModelCard()
    trouble: dict[str, None] = {}
    texts = [(file, record) for file, content in contents.items() for record in content.records if record.text]
    for file, record in texts:
        value = _parsed(record)
        if isinstance(value, ModelCard):
            card = value
        elif value is not None:
            trouble.update(dict.fromkeys(value))
        else:
            damage.append(
                Damage(file, f"{record.tag}: its text at step {record.step} is not what the format prescribes")
            )
    return card, tuple(trouble)


def _parsed(record: Record) -> ModelCard | list[str] | None:
    try:
        data: Any = json.loads(record.text)
        if record.tag == Tag.MODEL_CARD:
            return ModelCard.from_json(data)
        return [str(text) for text in data] if isinstance(data, list) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _read_histograms(files: list[str]) -> HistogramTable:
    """The histograms of `files`; what cannot be read any more is left out."""
    timeline = _timeline(_read_all(files, frozenset({Tag.HISTOGRAMS})))
    steps: list[int] = []
    rows: dict[TensorKey, int] = {}
    entries = [np.zeros((0, 4), np.int64)]
    for step, records in timeline.of(Tag.HISTOGRAMS):
        layout, array = records[Tag.HISTOGRAMS].layout, records[Tag.HISTOGRAMS].array
        if layout is None or array is None:
            continue
        row_of = np.array([rows.setdefault(key, len(rows)) for key in layout.tensors], np.int64)
        valid = array[((array >= 0) & (array < [len(row_of), 2048, np.inf])).all(axis=1)].astype(np.int64)
        entries.append(np.column_stack([np.full(len(valid), len(steps)), row_of[valid[:, 0]], valid[:, 1:]]))
        steps.append(step)
    return HistogramTable(np.array(steps, np.int64), tuple(rows), np.concatenate(entries))
