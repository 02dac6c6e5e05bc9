"""Diagnoses as workflow commands of GitHub Actions, which become annotations of the run and the pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.diagnosis.verdict import Severity
from gradscope.reports.wording import account, headline, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradscope.diagnosis.verdict import Finding
    from gradscope.reports.checked_run import CheckedRun

__all__ = ["to_github"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def to_github(runs: Sequence[CheckedRun]) -> str:
    """One line per finding, gravest cause first within a run; a run that could not be read is an error."""
    return "".join(f"{line}\n" for run in runs for line in _lines(run))


def _lines(run: CheckedRun) -> Iterator[str]:
    if run.diagnosis is None:
        yield _command("error", f"{run.run}: not judged", sentence(run.error))
        return
    for cause in run.diagnosis.causes:
        for finding in cause.findings():
            yield _annotation(run.run, finding)
    yield plain(f"{run.run}: {sentence(run.diagnosis.sentence)}")


def _annotation(run: str, finding: Finding) -> str:
    remedies = "".join(f"\n- {sentence(remedy.title)}" for remedy in finding.remedies)
    change = f"\nWhat to change:{remedies}" if remedies else ""
    return _command(_COMMANDS[finding.severity], f"{run}: {headline(finding)}", f"{account(finding)}{change}")


def _command(name: str, title: str, message: str) -> str:
    lines = "%0A".join(_escape(plain(line)) for line in message.split("\n"))
    return f"::{name} title={_escape(plain(title)).replace(':', '%3A').replace(',', '%2C')}::{lines}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
