"""Templates: records that differ from one seen before in their step, time and numbers only, known by all other bytes.

A training run writes the same tags over and over. The first record of a tag is taken apart; from then on comparing its
bytes in front of the numbers and behind them says where the numbers are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gradscope.events.blocks import Block
from gradscope.events.rhythm import Rhythm
from gradscope.events.values import Form, Value
from gradscope.events.wire import Heads, begins

__all__ = ["Match", "Templates"]

_MOST = 200_000
_MOST_ENDINGS = 200


class Match(NamedTuple):
    """Records of one block whose numbers have the same form."""

    form: Form
    records: npt.NDArray[np.int64]
    """Positions in the block."""
    series: npt.NDArray[np.int64]
    """What `Templates.learn` was given, of each."""
    numbers: npt.NDArray[np.generic]
    """``[records]`` for scalars, ``[records, rows, 3]`` for histograms; in the dtype that was written."""


class _Shape:
    """Templates with as many bytes in front of the numbers, among those of one size."""

    def __init__(self, prefix: int) -> None:
        self.prefix = prefix
        self.known: dict[bytes, int] = {}
        """Template by the bytes in front of its numbers."""
        self.other: _Shape | None = None


class Templates:
    """The templates learnt so far; at most 200,000, beyond that records are taken apart one by one."""

    def __init__(self) -> None:
        self._shapes: dict[int, _Shape] = {}  # by the size of the event behind its step
        self._forms: list[Form] = []
        self._suffixes: list[bytes] = []
        self._places: list[tuple[int, int, int, int]] = []  # form, suffix, prefix, series of each template
        self._table = np.zeros((0, 4), np.int64)
        self._sizes: list[int] = []
        self._beginnings: list[bytes] = []
        self._rhythm = Rhythm()

    def learn(self, payload: bytes, body: int, value: Value, series: int) -> bool:
        """Remember an event with one value of fixed size, whose summary begins at ``body``; False if it cannot be."""
        full = len(self._places) >= _MOST or len(self._suffixes) + len(self._forms) >= _MOST_ENDINGS
        if full or not value.form.size:
            return False
        size, prefix, suffix = len(payload) - body, value.start - body, payload[value.end :]
        shape = self._shapes.setdefault(size, _Shape(prefix))
        while shape.prefix != prefix:
            shape.other = shape.other or _Shape(prefix)
            shape = shape.other
        if value.form not in self._forms:
            self._forms.append(value.form)
        if suffix not in self._suffixes:
            self._suffixes.append(suffix)
        place = (self._forms.index(value.form), self._suffixes.index(suffix), prefix, series)
        known = shape.known.setdefault(payload[body : value.start], len(self._places))
        if known == len(self._places):
            self._places.append(place)
            self._sizes.append(size)
            self._beginnings.append(payload[body : value.start])
        return self._places[known] == place

    def match(self, block: Block, heads: Heads, *, in_order: bool = True) -> tuple[list[Match], npt.NDArray[np.int64]]:
        """The records that a template knows, by form, and the positions of the others.

        ``in_order`` is False for records that were looked at before.
        """
        if not self._places:
            return [], np.arange(len(block.starts))
        if len(self._table) != len(self._places):
            new = slice(len(self._table), None)
            self._table = np.concatenate([self._table, np.array(self._places[new], np.int64)])
            self._rhythm.learn(self._sizes[new], self._beginnings[new])
        template = self._rhythm.guess(block, heads) if in_order else np.full(len(block.starts), -1, np.int64)
        self._look_up(block, heads, template)
        if in_order:
            self._rhythm.remember(template)
        known = np.flatnonzero(template >= 0)
        known = known[self._ends_alike(block, known, template[known])]
        rest = np.ones(len(block.starts), bool)
        rest[known] = False
        form_of, _, prefix, series = self._table[template[known]].T
        places = heads.bodies[known] + prefix
        found = []
        for number in np.flatnonzero(np.bincount(form_of)):
            mine = form_of == number
            form = self._forms[number]
            found.append(Match(form, known[mine], series[mine], _gather(block.data, places[mine], form)))
        return found, np.flatnonzero(rest)

    def _look_up(self, block: Block, heads: Heads, template: npt.NDArray[np.int64]) -> None:
        """Replace each -1 by the template with the record's size and the same bytes in front, if there is one."""
        data, shapes = block.data, self._shapes
        places = np.flatnonzero(template < 0)
        found = []
        for body, end in zip(heads.bodies[places].tolist(), block.ends[places].tolist(), strict=True):
            shape, known = shapes.get(end - body), -1
            while shape is not None:
                known = shape.known.get(data[body : body + shape.prefix], -1)
                shape = shape.other if known < 0 else None
            found.append(known)
        template[places] = found

    def _ends_alike(
        self, block: Block, records: npt.NDArray[np.int64], template: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Whether the bytes behind the numbers are those of the template as well."""
        alike = np.zeros(len(records), bool)
        suffix_of = self._table[template, 1]
        for number in np.flatnonzero(np.bincount(suffix_of)):
            suffix = self._suffixes[number]
            mine = np.flatnonzero(suffix_of == number)
            alike[mine] = begins(block.data, block.ends[records[mine]] - len(suffix), suffix)
        return alike


def _gather(data: bytes, places: npt.NDArray[np.int64], form: Form) -> npt.NDArray[np.generic]:
    rows = np.ndarray(len(data) - form.size + 1, f"V{form.size}", data, strides=(1,))
    numbers = rows[places].view(form.dtype)
    return numbers.reshape(-1, form.rows, 3) if form.rows else numbers
