"""One event file, whoever wrote it: gradscope's records apart from other tools', and where something is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradscope.events.blocks import Block, read_blocks
from gradscope.events.foreign import ForeignLog
from gradscope.events.records import FileRecords, OwnRecords
from gradscope.events.values import decode
from gradscope.events.wire import Heads, WireError, heads, peek_tag
from gradscope.run import Damage
from gradscope.vocabulary import PLUGIN_NAME

__all__ = ["read_file"]

_OWN = f"{PLUGIN_NAME}/".encode()
_BEGINNING = 64  # bytes of an event within which the name of its first tag begins and shows whose it is
_TAGS = 5
_FEW = 128  # records to look at before those behind them are held against what was learnt


def read_file(path: str, *, values_of: frozenset[str], foreign: ForeignLog | None = None) -> FileRecords:
    """Read one event file.

    Args:
        path: the file.
        values_of: gradscope's tags whose arrays are wanted; of the others only steps are kept.
        foreign: takes what other tools wrote; None: a file that begins with such is left at that.

    Raises:
        OSError: the file cannot be opened.
        NewerFormatError: it was written by a gradscope with a newer format.
    """
    reader = _FileReader(path, values_of, foreign)
    for part in read_blocks(path):
        if isinstance(part, Damage):
            reader.gaps.append(part)
        else:
            reader.take_all(part)
            if foreign is None and reader.is_foreign:
                break
    return reader.finish()


class _FileReader:
    def __init__(self, path: str, values_of: frozenset[str], foreign: ForeignLog | None) -> None:
        self.gaps: list[Damage] = []
        """Damage behind the last intact summary."""
        self._path = path
        self._own = OwnRecords(path, values_of)
        self._is_own = False
        self._foreign = foreign
        self._result = FileRecords()
        self._last: int | None = None
        self._piece = _FEW

    @property
    def is_foreign(self) -> bool:
        """True where other tools' records were seen and none of gradscope's."""
        return bool(self._result.foreign_tags) and not self._is_own

    def take_all(self, block: Block) -> None:
        first = 0
        while first < len(block):
            piece = block.only(slice(first, first + self._piece))
            unknown = self._take(piece)
            first += len(piece)
            self._piece = _FEW if unknown > len(piece) / 8 else self._piece * 4

    def _take(self, block: Block) -> int:
        """Take the records; the result is how many had to be looked at one by one."""
        head = heads(block)
        summaries = np.flatnonzero(head.summaries)
        if len(summaries):
            self._close_gaps(int(head.steps[summaries[0]]))
            self._last = int(head.steps[summaries[-1]])
            times = head.wall_times[summaries]
            self._result.first_wall_time = min(self._result.first_wall_time, float(times[0]))
            self._result.last_wall_time = float(times[-1])
        self._result.event_count += len(block)
        unknown = self._unknown(block, head)
        for position in unknown:
            if not self._take_event(block, head, position):
                self._result.event_count -= 1
                before = head.steps[:position][head.summaries[:position]]
                after = head.steps[position + 1 :][head.summaries[position + 1 :]]
                size = int(block.ends[position] - block.starts[position])
                gap = Damage(self._path, f"a record of {size} bytes is intact but holds no event", size)
                if len(after):
                    self._result.damage.append(_with_steps(gap, _end(before, -1), _end(after, 0)))
                else:
                    self.gaps.append(gap)
        self._own.finish_block(block, head)
        if self._foreign is not None:
            self._foreign.finish_block(block, head)
        return len(unknown)

    def _unknown(self, block: Block, head: Heads) -> list[int]:
        """Positions of the records to be looked at one by one."""
        if self._is_own:
            is_summary = head.summaries.tolist()
            rest = self._own.take_block(block, head).tolist()
            return [position for position in rest if not is_summary[position] or _is_own(block, position)]
        if self._foreign is None:
            return list(range(len(block)))
        positions: list[int] = self._foreign.take_block(block, head).tolist()
        return positions

    def _take_event(self, block: Block, head: Heads, position: int) -> bool:
        """Take one record; False if it holds no event."""
        try:
            if _is_own(block, position):
                self._is_own = True
                self._own.take_event(block, head, position)
            else:
                body = int(head.bodies[position] - block.starts[position])
                self._take_other(block.payload(position), head, position, body)
        except WireError:
            return False
        return True

    def _take_other(self, payload: bytes, head: Heads, position: int, body: int) -> None:
        if not head.summaries[position]:
            # The file's version, a graph or a session's end, or something that is no event at all.
            decode(payload)
        elif self._foreign is not None and not self._is_own:
            self._foreign.take_event(payload, body, position)
        if len(self._result.foreign_tags) < _TAGS and head.summaries[position] and not self._is_own:
            tag = peek_tag(payload).decode("utf-8", "replace")
            if tag and tag not in self._result.foreign_tags:
                self._result.foreign_tags.append(tag)

    def finish(self) -> FileRecords:
        self._close_gaps(None)
        self._own.into(self._result)
        return self._result

    def _close_gaps(self, after: int | None) -> None:
        self._result.damage += [_with_steps(gap, self._last, after) for gap in self.gaps]
        self.gaps.clear()


def _is_own(block: Block, position: int) -> bool:
    start = int(block.starts[position])
    return block.data.find(_OWN, start, min(start + _BEGINNING, int(block.ends[position]))) >= 0


def _end(steps: npt.NDArray[np.int64], place: int) -> int | None:
    return int(steps[place]) if len(steps) else None


def _with_steps(gap: Damage, before: int | None, after: int | None) -> Damage:
    if before is None and after is None:
        return gap
    parts = [f"from {before}"] * (before is not None) + [f"up to {after}"] * (after is not None)
    return replace(gap, what=f"{gap.what}; data of steps {' '.join(parts)} may be missing")
