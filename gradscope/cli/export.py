"""``gradscope export PATH``: the recorded numbers as a table for other programs."""

from __future__ import annotations

from importlib.util import find_spec

import click

from gradscope.cli.output import write

__all__ = ["export"]


@click.command()
@click.argument("path")
@click.option(
    "--to", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True, help="Form of the table."
)
@click.option(
    "--what",
    type=click.Choice(["statistics", "progress", "layers"]),
    default="statistics",
    show_default=True,
    help="A row per step and tensor, per step, or per layer.",
)
@click.option("--output", metavar="FILE", help="Write to FILE, replacing it; parquet needs it.")
def export(path: str, *, form: str, what: str, output: str | None) -> int:
    """Write what the run at PATH recorded as CSV or Parquet.

    CSV goes to standard output unless --output is given. A number that was not recorded is an empty cell.
    """
    from gradscope.configuration import find_configuration
    from gradscope.events.reader import read_run

    if form == "parquet" and output is None:
        raise click.UsageError("parquet is no text; name a file with --output")
    run = read_run(path, tags=find_configuration().tags)
    frame = getattr(run, what)
    if form == "csv":
        write(frame.to_csv(index=what == "progress"), output)
        return 0
    _require_pyarrow()
    frame.to_parquet(output, engine="pyarrow")
    return 0


def _require_pyarrow() -> None:
    from gradscope.errors import MissingDependencyError

    if find_spec("pyarrow") is None:
        raise MissingDependencyError(
            "parquet needs the package pyarrow, which is not installed; run `pip install pyarrow` or choose --to csv"
        )
