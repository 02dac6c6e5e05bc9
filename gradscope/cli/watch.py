"""``gradscope watch PATH``: follow a run that is being written, and print findings as they appear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gradscope.cli.output import write
from gradscope.cli.selection import selected_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradscope.configuration import Configuration
    from gradscope.diagnosis.rule import Rule
    from gradscope.diagnosis.verdict import Diagnosis

__all__ = ["watch"]

_SICK = 1
_REST = 10  # times the reading takes, so that watching a large log costs at most a tenth of a core


@click.command()
@click.argument("path")
@click.option("--every", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds between two looks.")
@click.option("--idle", type=click.FloatRange(0), metavar="SECONDS", help="End when nothing was written for so long.")
@click.option("--rules", "only", metavar="NAME,…", help="Judge by these rules only.")
@click.option("--ignore", "ignored", metavar="NAME,…", help="Leave these rules out.")
def watch(path: str, *, every: float, idle: float | None, only: str | None, ignored: str | None) -> int:
    """Follow the run at PATH while it is written; each finding is printed when it appears, grows worse or goes.

    The run need not exist yet. Ctrl-C ends it; the exit code is that of gradscope check on what was seen last: 1 if
    there is a finding at error level, else 0.
    """
    from gradscope.configuration import find_configuration
    from gradscope.reports.wording import plain

    follower = _Follower(path, selected_rules(only, ignored), find_configuration())

    write(f"watching {plain(path)}; Ctrl-C ends it\n")
    last_change = time.monotonic()
    try:
        while idle is None or time.monotonic() - last_change < idle:
            started = time.monotonic()
            lines = list(follower.look())
            if follower.changed:
                last_change = time.monotonic()
            if lines:
                write("".join(f"{line}\n" for line in lines))
            time.sleep(max(every, _REST * (time.monotonic() - started)) if idle is None else every)
    except KeyboardInterrupt:
        write("\n")
    return _SICK if follower.diagnosis is not None and not follower.diagnosis.healthy else 0


class _Follower:
    """What was seen of the run so far."""

    def __init__(self, path: str, rules: Sequence[Rule] | None, configuration: Configuration) -> None:
        self.diagnosis: Diagnosis | None = None
        self.changed = False
        self._path = path
        self._rules = rules
        self._configuration = configuration
        self._sizes: dict[str, int] | None = None
        self._state = ""

    def look(self) -> Iterator[str]:
        """What is new since the last look."""
        from gradscope.diagnosis.engine import diagnose
        from gradscope.errors import RunError
        from gradscope.events.reader import read_run

        sizes = self._measure()
        self.changed = sizes != self._sizes
        self._sizes = sizes
        if not self.changed:
            return
        try:
            run = read_run(self._path, tags=self._configuration.tags)
            diagnosis = diagnose(run, self._rules, configuration=self._configuration)
        except (RunError, OSError):
            yield from self._say("waiting for the first sampled step")
            return
        before, self.diagnosis = self.diagnosis, diagnosis
        yield from _news(before, diagnosis)
        yield from self._say("no finding") if not any(diagnosis.findings()) else ()

    def _say(self, state: str) -> Iterator[str]:
        from gradscope.reports.wording import sampled

        steps = f" in {sampled(self.diagnosis)}" if self.diagnosis else ""
        if state != self._state:
            self._state = state
            yield f"{state}{steps}"

    def _measure(self) -> dict[str, int]:
        from gradscope.errors import GradscopeError
        from gradscope.events.discovery import event_files
        from gradscope.events.sources import open_source

        sizes = {}
        try:
            for file in event_files(self._path):
                source, sizes[file] = open_source(file)
                source.close()
        except (GradscopeError, OSError):
            return sizes
        return sizes


def _news(before: Diagnosis | None, after: Diagnosis) -> Iterator[str]:
    from gradscope.reports.wording import account, headline, plain

    known = {finding.pathology: finding for finding in before.findings()} if before else {}
    found = {finding.pathology: finding for finding in after.findings()}
    for name, finding in found.items():
        old = known.get(name)
        if old is None or old.severity != finding.severity or set(old.layers) != set(finding.layers):
            change = "" if old is None else "now " if old.severity == finding.severity else f"{old.severity.label} -> "
            yield f"step {after.last_step:,}: {change}{finding.severity.label}: {headline(finding)}: {account(finding)}"
    for name in known.keys() - found.keys():
        yield f"step {after.last_step:,}: gone: {plain(known[name].title)}"
