"""Other tools' records, gathered while their files are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gradscope.events.blocks import Block
from gradscope.events.buckets import of_proto, of_protos, of_rows, rows_of_proto
from gradscope.events.columns import Columns, Series, first_place
from gradscope.events.mapping import Meaning, TagRule, meaning
from gradscope.events.plain_values import PlainValues
from gradscope.events.templates import Match, Templates
from gradscope.events.values import PROTO, TEXT, Value, Values, decode
from gradscope.events.wire import Heads, WireError

__all__ = ["ForeignLog", "Tag"]

_UNKNOWN = -1
_MOST_TAGS = 100_000
_LONGEST_TAG = 1000
_KERAS_MODEL = b"keras"
_MAY_BE_DEAD = ("activation", "activation_gradient")
_LONGEST_TEXT = 16 << 20


@dataclass
class Tag:
    """One tag that holds histograms or scalars."""

    name: str
    histogram: bool
    meaning: Meaning | None


@dataclass
class ForeignLog:
    """What the tools before us logged: scalars that mean something, and statistics of every histogram."""

    rules: Sequence[TagRule] = ()
    rows_at: Collection[int] = ()
    """Steps whose histograms are to be kept whole."""
    rows: list[tuple[int, int, int, npt.NDArray[np.float64]]] = field(default_factory=list)
    """These: number of the tag, step, place in the files, and rows (left, right, count)."""
    tags: list[Tag] = field(default_factory=list)
    """By number; the numbers are the keys of `scalars` and `histograms`."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Records by the reason why they were not used."""
    estimated: bool = False
    """True where a histogram had nothing but buckets."""
    keras_model: bytes = b""
    """The model as Keras' TensorBoard callback writes it, JSON; empty if it is not there."""

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._templates = Templates()
        self._numbers: dict[tuple[bytes, bool], int] = {}
        self._scalars = Columns.of_scalars()
        self._histograms = Columns.of_histograms()
        self._place = 0  # of the block's first record, in the order of all files
        self._learnt: list[int] = []
        self._plain = PlainValues(self._numbers)

    def begin_file(self, number: int) -> None:
        """What is taken from now on comes from the file with that number; files may come in any order."""
        self._place = first_place(number)

    def take_block(self, block: Block, heads: Heads) -> npt.NDArray[np.int64]:
        """Take what looks like records seen before; the positions of the others are the result.

        Each of these that is another tool's is to be given to `take_event`; then comes `finish_block`.
        """
        matches, rest = self._templates.match(block, heads)
        self._add(matches, heads, self._place + np.arange(len(block)))
        if self.rows_at:
            return rest
        bodies, ends, summaries = heads.bodies, block.ends, heads.summaries
        plain = [
            bool(summaries[record]) and self._plain.take(block.data, int(bodies[record]), int(ends[record]), record)
            for record in rest.tolist()
        ]
        others: npt.NDArray[np.int64] = rest[~np.array(plain, bool)]
        return others

    def take_event(self, payload: bytes, body: int, position: int) -> Values:
        """Take one event of the block, whose summary begins at ``body`` if it is an ordinary one.

        Raises:
            WireError: it is no event.
        """
        event = decode(payload)
        if event.count == 1 and event.found and event.found[0].form.size:
            value = event.found[0]
            if self._templates.learn(payload, body, value, self._number(value)):
                self._learnt.append(position)
                return event
        for value in event.found:
            self._take_value(payload, event, value, self._place + position)
        return event

    def finish_block(self, block: Block, heads: Heads) -> None:
        """Take, all at once, the records that `take_event` has learnt to read, and the plain values."""
        if self._learnt:
            part = heads.only(self._learnt)
            matches, _ = self._templates.match(block.only(self._learnt), part, in_order=False)
            self._add(matches, part, self._place + np.array(self._learnt, np.int64))
            self._learnt = []
        self._add_plain(block.data, heads)
        self._place += len(block)

    def _add(self, matches: Sequence[Match], heads: Heads, places: npt.NDArray[np.int64]) -> None:
        for form, records, series, numbers in matches:
            used = series != _UNKNOWN
            if not used.any():
                continue
            if not used.all():
                records, series, numbers = records[used], series[used], numbers[used]  # noqa: PLW2901
            columns = self._histograms if form.rows else self._scalars
            self.estimated |= form.rows > 0
            with np.errstate(over="ignore", invalid="ignore"):
                values = of_rows(numbers) if form.rows else numbers.astype(np.float32)
            if form.rows and self.rows_at:
                self._keep_rows(series, heads.steps[records], places[records], numbers)
            columns.add(series, heads.steps[records], heads.wall_times[records], values, places[records])

    def _add_plain(self, data: bytes, heads: Heads) -> None:
        if (found := self._plain.finish(histograms=False)) is not None:
            series, records, starts, _ = found
            floats = np.ndarray(len(data) - 3, "<f4", data, strides=(1,))[starts]
            self._scalars.add(series, heads.steps[records], heads.wall_times[records], floats, self._place + records)
        if (found := self._plain.finish(histograms=True)) is not None:
            series, records, starts, ends = found
            statistics, usable = of_protos(data, starts, ends)
            usable &= ~np.isin(series, [number for number in set(series.tolist()) if self._may_be_dead(number)])
            for number, record, start, end in zip(*(column[~usable].tolist() for column in found), strict=True):
                event = Values(float(heads.wall_times[record]), int(heads.steps[record]))
                self._take_proto(data, Value(b"", PROTO, start, end), event, number, self._place + record)
            series, records = series[usable], records[usable]
            times = heads.wall_times[records]
            self._histograms.add(series, heads.steps[records], times, statistics[usable], self._place + records)

    def _may_be_dead(self, number: int) -> bool:
        known = self.tags[number].meaning
        return known is not None and known.kind in _MAY_BE_DEAD

    def _keep_rows(
        self,
        series: npt.NDArray[np.int64],
        steps: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.generic],
    ) -> None:
        for record, step in enumerate(steps.tolist()):
            if step in self.rows_at:
                self.rows.append((int(series[record]), step, int(places[record]), numbers[record].astype(np.float64)))

    def _take_value(self, payload: bytes, event: Values, value: Value, place: int) -> None:
        if value.form == TEXT:
            if value.tag == _KERAS_MODEL and value.end - value.start < _LONGEST_TEXT:
                self.keras_model = payload[value.start : value.end]
            return
        number = self._number(value)
        if number == _UNKNOWN:
            return
        if value.form == PROTO:
            self._take_proto(payload, value, event, number, place)
            return
        numbers = np.frombuffer(
            payload, value.form.dtype, value.form.size // np.dtype(value.form.dtype).itemsize, value.start
        )
        if value.form.rows:
            self.estimated = True
            (row,) = of_rows(numbers.reshape(1, -1, 3))
            if event.step in self.rows_at:
                self.rows.append((number, event.step, place, numbers.reshape(-1, 3).astype(np.float64)))
            self._histograms.add_one(number, event.step, event.wall_time, tuple(row.tolist()), place)
        else:
            self._scalars.add_one(number, event.step, event.wall_time, (float(numbers[0]),), place)

    def _take_proto(self, payload: bytes, value: Value, event: Values, number: int, place: int) -> None:
        try:
            statistics = of_proto(payload, value.start, value.end, zeros=self._may_be_dead(number))
            if event.step in self.rows_at:
                self.rows.append((number, event.step, place, rows_of_proto(payload, value.start, value.end)))
        except WireError as error:
            self.left_out[f"histograms of another make ({error})"] += 1
            return
        self._histograms.add_one(number, event.step, event.wall_time, statistics, place)

    def _number(self, value: Value) -> int:
        histogram = bool(value.form.rows) or value.form == PROTO
        key = (value.tag, histogram)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new_number(*key)
        return number

    def _new_number(self, tag: bytes, histogram: bool) -> int:  # noqa: FBT001
        if len(self.tags) >= _MOST_TAGS:
            self.left_out[f"tags beyond the first {_MOST_TAGS:,}"] += 1
            return _UNKNOWN
        name = tag.decode("utf-8", "replace")
        found = meaning(name, histogram=histogram, rules=self.rules) if len(name) <= _LONGEST_TAG else None
        self.tags.append(Tag(name, histogram, found))
        # A histogram that means nothing by itself may be the weight to some gradient.
        return len(self.tags) - 1 if found or histogram else _UNKNOWN

    def series(self) -> tuple[dict[int, Series], dict[int, Series], Counter[int]]:
        """The scalars and the histograms by number of tag, and the records superseded by a later file or a restart."""
        scalars, histograms = self._scalars.series(), self._histograms.series()
        return scalars, histograms, self._scalars.superseded + self._histograms.superseded
