"""``gradscope report PATH...``: runs as one HTML file that opens anywhere, offline."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gradscope.cli.output import write
from gradscope.cli.program import BAD_USAGE, complain
from gradscope.errors import GradscopeError, NotARunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.configuration import Configuration
    from gradscope.reports.html.description import ShownRun

__all__ = ["report"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Write the page to FILE, replacing it; - is standard output.",
)
@click.option("--title", default="gradscope", show_default=True, help="Title of the page.")
def report(paths: Sequence[str], *, output: str, title: str) -> int:
    """Write an HTML page of the run, or of every run of the tree of runs, at each PATH.

    The page shows what the tab in TensorBoard shows: verdict, flow heatmap, depth profile, distributions, time lines,
    and two runs side by side. It holds everything it needs and loads nothing. Runs that cannot be read are explained
    on it. The exit code is 0, or 2 if not a single run could be read.
    """
    from gradscope.configuration import find_configuration
    from gradscope.reports.html.page import to_html

    configuration = find_configuration()
    runs = [run for path in paths for run in _below(path, configuration)]
    readable = [run for run in runs if not run.error]
    if not readable:
        complain(runs[0].error)
        return BAD_USAGE
    write(to_html(runs, title=title), None if output == "-" else output)
    if output != "-":
        click.echo(f"{output}: {len(readable)} of {len(runs)} runs" if len(readable) < len(runs) else output, err=True)
    return 0


def _below(path: str, configuration: Configuration) -> list[ShownRun]:
    from gradscope.events.discovery import find_runs
    from gradscope.reports.html.description import ShownRun

    try:
        places = find_runs(path) or [path]
    except (GradscopeError, OSError) as error:
        return [ShownRun(path, error=str(error))]
    runs = [_read(place, _name(place, path), configuration) for place in places]
    # Of a tree, log dirs of other tools are left out, unless there is nothing else.
    return [run for run, is_foreign in runs if not is_foreign] or [run for run, _ in runs]


def _read(place: str, name: str, configuration: Configuration) -> tuple[ShownRun, bool]:
    """The run, and whether there is nothing in it that gradscope can show."""
    from gradscope.diagnosis.engine import diagnose
    from gradscope.events.reader import read_run
    from gradscope.reports.html.description import ShownRun

    try:
        run = read_run(place, tags=configuration.tags)
    except (GradscopeError, OSError) as error:
        return ShownRun(name, error=str(error)), isinstance(error, NotARunError)
    return ShownRun(name, run, diagnose(run, configuration=configuration)), False


def _name(place: str, path: str) -> str:
    """The run's path below the tree that was given; of a tree that is itself a run its last part."""
    relative = os.path.relpath(place, path)
    return relative if relative != os.curdir else os.path.basename(os.path.abspath(place))  # noqa: PTH100,PTH119  as text
