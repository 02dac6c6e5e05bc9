"""``gradscope check PATH…``: judge saved runs; the exit code says whether they are healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradscope.cli.output import report_width, write
from gradscope.cli.program import BAD_USAGE, complain
from gradscope.cli.selection import rule_named, selected_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradscope.cli.search import Search
    from gradscope.reports.baseline import Baseline
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
    type=click.Choice(["terminal", "json", "junit", "github", "markdown"]),
    default="terminal",
    show_default=True,
    help="Form of the report.",
)
@click.option("--output", metavar="FILE", help="Write the report to FILE, replacing it, instead of standard output.")
@click.option("--rules", "only", metavar="NAME,…", help="Judge by these rules only.")
@click.option("--ignore", "ignored", metavar="NAME,…", help="Leave these rules out.")
@click.option("--baseline", metavar="FILE", help="Leave out the findings of FILE, a JSON report: only new ones count.")
@click.option("--why", metavar="RULE", help="Show only what RULE saw of the run, and held against its limits.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes for many runs.  [default: one per core]")
def check(
    paths: Sequence[str],
    *,
    fail_on: str,
    form: str,
    output: str | None,
    only: str | None,
    ignored: str | None,
    baseline: str | None,
    why: str | None,
    jobs: int | None,
) -> int:
    """Judge the run, or every run of the tree of runs, at each PATH.

    A run is a log dir with event files, or one such file, or the URL of either (s3://…). One run gives a whole report,
    several give a table, worst first. What gradscope did not record is judged as far as its tags tell what they mean;
    log dirs in which nothing can be judged are skipped where there are others.

    \b
    Exit code:
      0  all runs were judged; no finding of the --fail-on severity or above
      1  at least one run has such a finding
      2  none has, but a run could not be read or judged; or bad usage
    130  interrupted

    A damaged log is judged by what is left of it; the report says what is missing. With --why only the findings of
    that rule count.
    """  # noqa: D301  click reads the backspace as "keep these lines"
    from dataclasses import replace

    from gradscope.cli.progress import ProgressBar
    from gradscope.cli.search import search
    from gradscope.configuration import find_configuration

    if why is not None:
        return _explain(paths, why, fail_on, output, is_plain=form == "terminal" and baseline is None)
    known = _baseline(baseline) if baseline else None
    rules, configuration = selected_rules(only, ignored), find_configuration()
    with ProgressBar() as bar:
        found = search(paths, rules, configuration=configuration, jobs=jobs, progress=bar)
    if known:
        found = replace(found, runs=known.apply(found.runs))
    if found.single and found.runs[0].diagnosis is None:
        complain(f"{found.runs[0].run}: {found.runs[0].error}")
        return BAD_USAGE
    write(_rendered(found, form, fail_on, to_file=output is not None), output)
    code = _exit_code(found, fail_on)
    if code == BAD_USAGE:
        _complain_of_not_judged(found)
    return code


def _explain(paths: Sequence[str], rule: str, fail_on: str, output: str | None, *, is_plain: bool) -> int:
    from gradscope.configuration import find_configuration
    from gradscope.diagnosis.inquiry import inquire
    from gradscope.diagnosis.verdict import Severity
    from gradscope.events.reader import read_run
    from gradscope.reports.inquiry import to_terminal_inquiry

    if len(paths) > 1 or not is_plain:
        raise click.UsageError("--why shows one run in the terminal; give one PATH, no --format and no --baseline")
    wanted, configuration = rule_named(rule), find_configuration()
    found = inquire(read_run(paths[0], tags=configuration.tags), wanted, configuration=configuration)
    width, color = (80, False) if output else (report_width(), None)
    write(to_terminal_inquiry(found, width=width, color=color), output)
    return _SICK if any(finding.severity >= Severity[fail_on.upper()] for finding in found.verdict.findings) else 0


def _baseline(path: str) -> Baseline:
    from gradscope.reports.baseline import read_baseline

    return read_baseline(path)


def _rendered(found: Search, form: str, fail_on: str, *, to_file: bool) -> str:
    if form in _FOR_MACHINES:
        return _FOR_MACHINES[form](found, fail_on)
    width, color = (80, False) if to_file else (report_width(), None)
    if found.single and (diagnosis := found.runs[0].diagnosis):
        from gradscope.reports.terminal import to_terminal

        return to_terminal(diagnosis, width=width, color=color)
    from gradscope.reports.table import to_terminal_table

    return to_terminal_table(found.runs, skipped=found.skipped, width=width, color=color)


def _json(found: Search, _: str) -> str:
    from gradscope.reports.json_document import to_json, to_json_tree

    diagnosis = found.runs[0].diagnosis
    return to_json(diagnosis) if found.single and diagnosis else to_json_tree(found.runs, skipped=found.skipped)


def _junit(found: Search, fail_on: str) -> str:
    from gradscope.diagnosis.verdict import Severity
    from gradscope.reports.junit import to_junit

    return to_junit(found.runs, fail_on=Severity[fail_on.upper()])


def _github(found: Search, _: str) -> str:
    from gradscope.reports.github import to_github

    return to_github(found.runs)


def _markdown(found: Search, _: str) -> str:
    from gradscope.reports.markdown import to_markdown, to_markdown_tree

    diagnosis = found.runs[0].diagnosis
    return to_markdown(diagnosis) if found.single and diagnosis else to_markdown_tree(found.runs)


_FOR_MACHINES: dict[str, Callable[[Search, str], str]] = {
    "json": _json,
    "junit": _junit,
    "github": _github,
    "markdown": _markdown,
}


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
