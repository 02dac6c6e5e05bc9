"""Search: the runs at and below the paths a user names, each judged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.errors import GradscopeError, NotARunError
from gradscope.reports.checked_run import CheckedRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.diagnosis.rule import Rule

__all__ = ["Search", "search"]


@dataclass(frozen=True)
class Search:
    """What was found."""

    runs: tuple[CheckedRun, ...]
    """In the order of the paths, then of their names."""
    skipped: tuple[CheckedRun, ...]
    """Log dirs that hold only other tools' data, below or beside runs."""
    single: bool
    """True where one path was given that is itself the only run: it gets a whole report, not a row."""


def search(paths: Sequence[str], rules: Sequence[Rule] | None) -> Search:
    """Read and judge every run at and below each of ``paths``; a failure stands beside its run.

    Args:
        paths: log dirs, trees of them, or event files.
        rules: the rules to judge by; None: all.
    """
    runs: list[CheckedRun] = []
    skipped: list[CheckedRun] = []
    for path in paths:
        own, foreign = _below(path, rules)
        runs += own
        skipped += foreign
    alone = len(paths) == 1 and len(runs) == 1
    return Search(tuple(runs), tuple(skipped), single=alone and _same(runs[0].run, paths[0]))


def _below(path: str, rules: Sequence[Rule] | None) -> tuple[list[CheckedRun], list[CheckedRun]]:
    from gradscope.events.discovery import find_runs

    try:
        places = find_runs(path) or [path]
    except (GradscopeError, OSError) as error:
        return [_failed(path, error)], []
    runs: list[CheckedRun] = []
    foreign: list[CheckedRun] = []
    for place in places:
        try:
            runs.append(_judged(place, rules))
        except NotARunError as error:  # noqa: PERF203  one failure must not end the search
            foreign.append(_failed(place, error))
        except (GradscopeError, OSError) as error:
            runs.append(_failed(place, error))
    if runs:
        return runs, foreign
    # Nothing here is gradscope's: that is not to be skipped, since the user asked for it.
    return [CheckedRun(path, error=foreign[0].error)], []


def _judged(path: str, rules: Sequence[Rule] | None) -> CheckedRun:
    from gradscope.diagnosis.engine import diagnose
    from gradscope.events.reader import read_run

    return CheckedRun(path, diagnosis=diagnose(read_run(path), rules))


def _failed(path: str, error: Exception) -> CheckedRun:
    if isinstance(error, OSError):
        return CheckedRun(path, error=error.strerror or str(error))
    return CheckedRun(path, error=str(error).removeprefix(f"{path}: ").removeprefix(f"{path!r}: "))


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
