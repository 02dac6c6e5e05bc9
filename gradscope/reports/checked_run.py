"""CheckedRun: one run of a tree of runs, judged or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.reports.wording import Health, health

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradscope.diagnosis.verdict import Diagnosis

__all__ = ["CheckedRun", "worst_first"]

_ORDER = (Health.SICK, Health.WARNINGS, Health.NOT_JUDGED, Health.NOTES, Health.HEALTHY)


@dataclass(frozen=True)
class CheckedRun:
    """A run beside its diagnosis, or beside the reason why there is none."""

    run: str
    """Path of the run."""
    diagnosis: Diagnosis | None = None
    """None where the run could not be read."""
    error: str = ""
    """Why it could not be read, one line without the path; empty where it could."""
    empty: bool = False
    """True where the error is that other tools' files hold nothing to judge."""

    @property
    def health(self) -> str:
        """A word of `gradscope.reports.wording.Health`; ``not judged`` without a diagnosis."""
        return health(self.diagnosis) if self.diagnosis else Health.NOT_JUDGED


def worst_first(runs: Iterable[CheckedRun]) -> list[CheckedRun]:
    """Sick runs, those with warnings, not judged, with notes, healthy; runs of one kind keep their order."""
    return sorted(runs, key=lambda run: _ORDER.index(run.health))
