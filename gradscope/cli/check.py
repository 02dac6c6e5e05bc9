"""``gradscope check PATH…``: judge saved runs; the exit code says whether they are healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradscope.cli.output import report_width, write
from gradscope.cli.program import BAD_USAGE, complain
from gradscope.cli.selection import selected_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.cli.search import Search
    from gradscope.reports.checked_run import CheckedRun

__all__ = ["check"]

_SICK = 1


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    show_default=True,
    help="Severity from which a finding makes the exit code 1.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="Form of the report.",
)
@click.option("--output", metavar="FILE", help="Write the report to FILE, replacing it, instead of standard output.")
@click.option("--rules", "only", metavar="NAME,…", help="Judge by these rules only.")
@click.option("--ignore", "ignored", metavar="NAME,…", help="Leave these rules out.")
def check(
    paths: Sequence[str], *, fail_on: str, form: str, output: str | None, only: str | None, ignored: str | None
) -> int:
    """Judge the run, or every run of the tree of runs, at each PATH.

    A run is a log dir with event files that gradscope recorded, or one such file. One run gives a whole report, several
    give a table, worst first. Log dirs of other tools below PATH are skipped.

    \b
    Exit code:
      0  all runs were judged; no finding of the --fail-on severity or above
      1  at least one run has such a finding
      2  none has, but a run could not be read or judged; or bad usage

    A damaged log is judged by what is left of it; the report says what is missing.
    """  # noqa: D301  click reads the backspace as "keep these lines"
    from gradscope.cli.search import search

    found = search(paths, selected_rules(only, ignored))
    if found.single and found.runs[0].diagnosis is None:
        complain(f"{found.runs[0].run}: {found.runs[0].error}")
        return BAD_USAGE
    write(_rendered(found, form, to_file=output is not None), output)
    code = _exit_code(found, fail_on)
    if code == BAD_USAGE:
        _complain_of_not_judged(found)
    return code


def _rendered(found: Search, form: str, *, to_file: bool) -> str:
    width, color = (80, False) if to_file else (report_width(), None)
    if form == "json":
        from gradscope.reports.json_document import to_json, to_json_tree

        diagnosis = found.runs[0].diagnosis
        return to_json(diagnosis) if found.single and diagnosis else to_json_tree(found.runs, skipped=found.skipped)
    if found.single and (diagnosis := found.runs[0].diagnosis):
        from gradscope.reports.terminal import to_terminal

        return to_terminal(diagnosis, width=width, color=color)
    from gradscope.reports.table import to_terminal_table

    return to_terminal_table(found.runs, skipped=found.skipped, width=width, color=color)


def _exit_code(found: Search, fail_on: str) -> int:
    from gradscope.diagnosis.verdict import Severity

    bound = Severity[fail_on.upper()]
    severities = [run.diagnosis.severity for run in found.runs if run.diagnosis]
    if any(severity is not None and severity >= bound for severity in severities):
        return _SICK
    return BAD_USAGE if _not_judged(found) else 0


def _complain_of_not_judged(found: Search) -> None:
    unjudged = _not_judged(found)
    first = f"{unjudged[0].run}: {_reason(unjudged[0])}"
    complain(first if found.single else f"{len(unjudged)} of {len(found.runs)} runs could not be judged; {first}")


def _not_judged(found: Search) -> list[CheckedRun]:
    from gradscope.reports.wording import Health

    return [run for run in found.runs if run.health == Health.NOT_JUDGED]


def _reason(run: CheckedRun) -> str:
    if run.diagnosis is None:
        return run.error
    reason = next((verdict.reason for verdict in run.diagnosis.not_judged), run.diagnosis.sentence)
    return f"no rule could judge this run: {reason}"
