"""A bar on standard error while many runs are judged; nothing where that is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from gradscope.reports.checked_run import CheckedRun

__all__ = ["ProgressBar"]

_FEW = 2


class ProgressBar:
    """Shows how many runs are done, and each sick one as soon as it is found."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._bar: Any = None
        self._task: Any = None

    def begin(self, count: int) -> None:
        """Show the bar, if there is a terminal and more than one run."""
        if count < _FEW or sys.stderr is None or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("judging runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=count)
        self._bar.start()

    def advance(self, run: CheckedRun) -> None:
        """Count one run; a sick one is named above the bar."""
        if self._bar is None:
            return
        from gradscope.reports.wording import Health, plain

        if run.health == Health.SICK and run.diagnosis:
            self._bar.console.print(plain(f"sick: {run.run}: {run.diagnosis.sentence}"), markup=False, highlight=False)
        self._bar.advance(self._task)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
