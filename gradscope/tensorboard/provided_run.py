"""From TensorBoard's data provider to a `Run`, so that the tab shows what TensorBoard has loaded, wherever from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.data.provider import RunTagFilter

from gradscope.model_card import ModelCard
from gradscope.run import HistogramTable, Run, TensorKey
from gradscope.vocabulary import PLUGIN_NAME, STATISTIC_NAMES, STEP_STATISTIC_NAMES, Tag

__all__ = ["ProvidedRuns"]

_MOST_BYTES = 200_000_000
"""Of one tag in one answer: the data server refuses more than 256 MiB. Beyond it TensorBoard thins the steps."""
_HISTOGRAM_STEPS = 300
_TEXT_STEPS = 1000


@dataclass(frozen=True)
class ProvidedRuns:
    """The runs of one experiment as a data provider has them at this moment."""

    provider: Any
    context: Any
    experiment: str

    def tags(self) -> dict[str, dict[str, Any]]:
        """``{run: {tag: time series}}`` of the runs that hold a sampled step, sorted by name."""
        listed = self.provider.list_tensors(self.context, experiment_id=self.experiment, plugin_name=PLUGIN_NAME)
        return {
            run: dict(tags) for run, tags in sorted(listed.items()) if any(_is(tag, Tag.STATISTICS) for tag in tags)
        }

    def findings(self) -> dict[str, dict[str, Any]]:
        """The newest diagnosis that each finished run recorded of itself, as in ``docs/json-report.md``."""
        found = self._read(RunTagFilter(tags=[Tag.FINDINGS]), 1)
        documents = {run: _parsed(_text(tags[Tag.FINDINGS][-1])) for run, tags in found.items() if tags[Tag.FINDINGS]}
        return {run: document for run, document in documents.items() if isinstance(document, dict)}

    def read(self, run: str, tags: Mapping[str, Any]) -> Run:
        """One run; its histograms are read when asked for."""
        blocks = list(self._blocks(run, tags, Tag.STATISTICS))
        samples = {datum.step: (block, datum) for block in blocks for datum in block.data}
        steps = sorted(samples)
        tensors = tuple(dict.fromkeys(key for block in blocks for key in block.tensors))
        values = np.full((len(steps), len(tensors), len(STATISTIC_NAMES)), np.nan, np.float32)
        places = {id(block): block.places(tensors) for block in blocks}
        for position, step in enumerate(steps):
            block, datum = samples[step]
            rows, source, target = places[id(block)]
            values[position][np.ix_(rows, target)] = datum.numpy[:, source]
        return Run(
            path=run,
            steps=np.array(steps, np.int64),
            tensors=tensors,
            values=values,
            step_statistics=self._step_statistics(run, tags, steps),
            model=self._model(run, tags),
            wall_times=np.array([samples[step][1].wall_time for step in steps]),
            trouble=self._trouble(run, tags),
            load_histograms=partial(self._histograms, run, tags),
        )

    def _blocks(self, run: str, tags: Mapping[str, Any], base: str, most: int | None = None) -> Iterator[_Block]:
        for tag in sorted(tag for tag in tags if _is(tag, base)):
            content = _parsed(tags[tag].plugin_content.decode("utf-8", "replace"))
            if not isinstance(content, dict):
                continue
            block = _Block.of(content)
            size = max(4 * max(len(block.tensors), 1) * max(len(block.statistics), 1), 4)
            data = self._data(run, tag, most or max(_MOST_BYTES // size, 1))
            yield block.with_data([datum for datum in data if block.fits(datum.numpy)])

    def _step_statistics(
        self, run: str, tags: Mapping[str, Any], steps: list[int]
    ) -> dict[str, npt.NDArray[np.float32]]:
        position = {step: index for index, step in enumerate(steps)}
        columns: dict[str, npt.NDArray[np.float32]] = {}
        for block in self._blocks(run, tags, Tag.STEP):
            for datum in block.data:
                for name, number in zip(block.statistics, datum.numpy, strict=True):
                    if datum.step in position:
                        column = columns.setdefault(name, np.full(len(steps), np.nan, np.float32))
                        column[position[datum.step]] = number
        return {name: columns[name] for name in STEP_STATISTIC_NAMES if name in columns}

    def _model(self, run: str, tags: Mapping[str, Any]) -> ModelCard:
        texts = (
            [_text(datum) for datum in self._data(run, Tag.MODEL_CARD, _TEXT_STEPS)] if Tag.MODEL_CARD in tags else []
        )
        document = _parsed(texts[-1]) if texts else None
        try:
            return ModelCard.from_json(document) if isinstance(document, dict) else ModelCard()
        except (ValueError, TypeError, AttributeError, KeyError):
            return ModelCard()

    def _trouble(self, run: str, tags: Mapping[str, Any]) -> tuple[str, ...]:
        texts = [_text(datum) for datum in self._data(run, Tag.TROUBLE, _TEXT_STEPS)] if Tag.TROUBLE in tags else []
        lists = [found for text in texts if isinstance(found := _parsed(text), list)]
        return tuple(dict.fromkeys(str(trouble) for each in lists for trouble in each))

    def _histograms(self, run: str, tags: Mapping[str, Any]) -> HistogramTable:
        rows: dict[TensorKey, int] = {}
        parts = []
        for block in self._blocks(run, tags, Tag.HISTOGRAMS, _HISTOGRAM_STEPS):
            row_of = np.array([rows.setdefault(key, len(rows)) for key in block.tensors], np.int64)
            for datum in block.data:
                counts = datum.numpy.astype(np.int64)
                valid = counts[((counts >= 0) & (counts < [len(row_of), 2048, np.inf])).all(axis=1)]
                parts.append((datum.step, np.column_stack([row_of[valid[:, 0]], valid[:, 1:]])))
        parts.sort(key=lambda part: part[0])
        entries = [np.column_stack([np.full(len(part), index), part]) for index, (_, part) in enumerate(parts)]
        steps = np.array([step for step, _ in parts], np.int64)
        return HistogramTable(steps, tuple(rows), np.concatenate([np.zeros((0, 4), np.int64), *entries]))

    def _data(self, run: str, tag: str, most: int) -> list[Any]:
        """The data of a tag in order of steps; of a step that came twice the newer."""
        found = self._read(RunTagFilter(runs=[run], tags=[tag]), most).get(run, {}).get(tag, [])
        by_step = {datum.step: datum for datum in sorted(found, key=lambda datum: datum.wall_time)}
        return [by_step[step] for step in sorted(by_step)]

    def _read(self, chosen: RunTagFilter, most: int) -> dict[str, dict[str, list[Any]]]:
        result: dict[str, dict[str, list[Any]]] = self.provider.read_tensors(
            self.context,
            experiment_id=self.experiment,
            plugin_name=PLUGIN_NAME,
            downsample=most,
            run_tag_filter=chosen,
        )
        return result


@dataclass(frozen=True, eq=False)
class _Block:
    """One tag: what its rows and columns mean, and its data."""

    tensors: tuple[TensorKey, ...]
    statistics: tuple[str, ...]
    data: tuple[Any, ...] = ()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> _Block:
        """From the metadata of a tag; whatever is malformed is left out."""
        tensors = [each for each in content.get("tensors", ()) if isinstance(each, list) and len(each) == 3]
        names = tuple(str(name) for name in content.get("statistics", ()))
        return cls(tuple(TensorKey(*map(str, each)) for each in tensors), names)

    def with_data(self, data: list[Any]) -> _Block:
        """The same, with its data."""
        return _Block(self.tensors, self.statistics, tuple(data))

    def fits(self, array: npt.NDArray[Any]) -> bool:
        """Whether an array has the shape that the names call for."""
        if not self.statistics:
            return array.ndim == 2 and array.shape[1] == 3
        expected = (len(self.tensors), len(self.statistics)) if self.tensors else (len(self.statistics),)
        return array.shape == expected

    def places(self, tensors: tuple[TensorKey, ...]) -> tuple[list[int], list[int], list[int]]:
        """Rows among ``tensors``, and of the known statistics the columns here and in `STATISTIC_NAMES`."""
        row_of = {key: row for row, key in enumerate(tensors)}
        known = [(i, STATISTIC_NAMES.index(name)) for i, name in enumerate(self.statistics) if name in STATISTIC_NAMES]
        return [row_of[key] for key in self.tensors], [source for source, _ in known], [target for _, target in known]


def _is(tag: str, base: str) -> bool:
    """Whether ``tag`` is ``base``, or that of a rebuilt model."""
    return tag == base or (tag.startswith(f"{base}#") and tag[len(base) + 1 :].isdecimal())


def _text(datum: Any) -> str:
    value = datum.numpy.item() if datum.numpy.size == 1 else b""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
