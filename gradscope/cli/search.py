"""Search: the runs at and below the paths a user names, each judged."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gradscope.errors import GradscopeError
from gradscope.events.discovery import find_runs
from gradscope.fleet import check_all, process_pool, reason
from gradscope.reports.checked_run import CheckedRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from gradscope.configuration import Configuration
    from gradscope.diagnosis.rule import Rule

__all__ = ["Progress", "Search", "search"]

_WORTH_A_POOL = 8  # runs from which on starting processes pays


class Progress(Protocol):
    """Hears of the runs as they are judged."""

    def begin(self, count: int) -> None:
        """So many runs there are."""

    def advance(self, run: CheckedRun) -> None:
        """This one is judged."""


@dataclass(frozen=True)
class Search:
    """What was found."""

    runs: tuple[CheckedRun, ...]
    """In the order of the paths, then of their names."""
    skipped: tuple[CheckedRun, ...]
    """Log dirs that hold only other tools' data, below or beside runs."""
    single: bool
    """True where one path was given that is itself the only run: it gets a whole report, not a row."""


def search(
    paths: Sequence[str],
    rules: Sequence[Rule] | None,
    *,
    configuration: Configuration | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Search:
    """Read and judge every run at and below each of ``paths``; a failure stands beside its run.

    Args:
        paths: log dirs, trees of them, event files, or URLs of these.
        rules: the rules to judge by; None: all.
        configuration: the project's settings; None: those by default.
        jobs: processes; None: one per processor where there are enough runs.
        progress: is told of each run as its result comes.
    """
    places: dict[str, str] = {}
    failed: dict[str, CheckedRun] = {}
    for path in paths:
        try:
            for place in find_runs(path) or [path]:
                places.setdefault(place, path)
        except (GradscopeError, OSError) as error:  # noqa: PERF203  one failure must not end the search
            places[path] = path
            failed[path] = CheckedRun(path, error=reason(path, error))
    wanted = [place for place in places if place not in failed]
    results = dict(failed)
    with _executor(jobs, len(wanted)) as executor:
        for run in check_all(wanted, executor=executor, rules=rules, configuration=configuration):
            # A bar has a thread of its own, which must not be there yet when processes are forked.
            if progress and len(results) == len(failed):
                progress.begin(len(wanted))
            results[run.run] = run
            if progress:
                progress.advance(run)
    return _sorted(paths, places, results)


def _sorted(paths: Sequence[str], places: dict[str, str], results: dict[str, CheckedRun]) -> Search:
    runs: list[CheckedRun] = []
    skipped: list[CheckedRun] = []
    for path in dict.fromkeys(paths):
        mine = [results[place] for place, given in places.items() if given == path]
        own = [run for run in mine if not run.empty]
        if own:
            runs += own
            skipped += [run for run in mine if run.empty]
        elif mine:
            # Nothing here can be judged: that is not to be skipped, since the user asked for it.
            runs.append(CheckedRun(path, error=mine[0].error))
    alone = len(paths) == 1 and len(runs) == 1
    return Search(tuple(runs), tuple(skipped), single=alone and _same(runs[0].run, paths[0]))


def _executor(jobs: int | None, count: int) -> AbstractContextManager[Executor | None]:
    workers = min(jobs or (os.cpu_count() or 1), count)
    if workers < 2 or (jobs is None and count < _WORTH_A_POOL):
        return nullcontext()
    return process_pool(workers)


def _same(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)
