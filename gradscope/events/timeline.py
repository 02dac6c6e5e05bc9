"""Timeline: the sampled steps of a run, put together from files of several sessions."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.events.records import Record
from gradscope.run import Damage

__all__ = ["Timeline"]


class Timeline:
    """Records by step, ascending; a step that comes again replaces itself and all that came after it.

    That is what a restart from a checkpoint means, and what TensorBoard's server does, except that it does so tag by
    tag.
    """

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._records: dict[int, dict[str, Record]] = {}
        self._superseded: dict[str, set[int]] = {}

    def add(self, record: Record, file: str) -> None:
        """Put ``record`` of ``file`` behind all records added before."""
        while self._steps and self._is_superseded(self._steps[-1], record):
            step = self._steps.pop()
            del self._records[step]
            self._superseded.setdefault(file, set()).add(step)
        if record.step not in self._records:
            self._steps.append(record.step)
            self._records[record.step] = {}
        self._records[record.step][record.tag] = record

    def _is_superseded(self, step: int, record: Record) -> bool:
        return step > record.step or (step == record.step and record.tag in self._records[step])

    @property
    def damage(self) -> list[Damage]:
        """How many steps each file superseded."""
        return [Damage(file, _superseded(steps)) for file, steps in self._superseded.items()]

    def of(self, *tags: str) -> Iterator[tuple[int, dict[str, Record]]]:
        """Steps that have a record of one of ``tags``, ascending, each with its records by tag."""
        for step in self._steps:
            if any(tag in self._records[step] for tag in tags):
                yield step, self._records[step]


def _superseded(steps: set[int]) -> str:
    which = f"steps {min(steps)} to {max(steps)}" if len(steps) > 1 else f"step {min(steps)}"
    return f"supersedes {len(steps)} sampled step{'s' * (len(steps) > 1)} recorded before it ({which})"
