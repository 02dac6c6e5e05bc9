"""``gradscope compare A B``: what is different in the second run; the way to show that a fix worked."""

from __future__ import annotations

import click

from gradscope.cli.output import report_width, write

__all__ = ["compare"]

_WORSE = 1


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--all", "everything", is_flag=True, help="Show every statistic that moved, not only the first 30.")
@click.option("--output", metavar="FILE", help="Write the report to FILE, replacing it, instead of standard output.")
def compare(before: str, after: str, *, everything: bool, output: str | None) -> int:
    """Hold the run AFTER against the run BEFORE, layer by layer.

    Shown are the findings that are gone and new, and the statistics that moved by a factor of 3 (a share by 0.1),
    with the log10 of the ratio and the step since when.

    \b
    Exit code:
      0  no new finding at error level
      1  AFTER has one that BEFORE has not
      2  a run could not be read; or bad usage
    """  # noqa: D301  click reads the backspace as "keep these lines"
    from gradscope.comparison import compare as compare_runs
    from gradscope.configuration import find_configuration
    from gradscope.diagnosis.verdict import Severity
    from gradscope.events.reader import read_run
    from gradscope.reports.comparison import to_terminal_comparison

    configuration = find_configuration()
    runs = [read_run(path, tags=configuration.tags) for path in (before, after)]
    found = compare_runs(*runs, configuration=configuration)
    width, color = (80, False) if output else (report_width(), None)
    write(to_terminal_comparison(found, width=width, color=color, most=None if everything else 30), output)
    return _WORSE if any(finding.severity == Severity.ERROR for finding in found.new) else 0
