"""``gradscope plot LOGDIR``: one picture of a run as PNG, SVG or PDF, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from gradscope.run import Run

__all__ = ["plot"]

_FORMATS = (".png", ".svg", ".pdf")


@click.command()
@click.argument("path", metavar="LOGDIR")
@click.option(
    "--what",
    type=click.Choice(["flow", "profile", "distribution", "saturation"]),
    default="flow",
    show_default=True,
    help="Layers x steps; all layers at one step; histograms of one step; saturation and dead units over the steps.",
)
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to: a name that ends in .png, .svg or .pdf.")
@click.option("--statistic", metavar="NAME", help="flow, profile: the statistic, such as gradient_rms.")
@click.option("--kind", metavar="NAME", help="distribution: the kind of tensor, such as gradient.")
@click.option("--step", type=int, metavar="N", help="profile, distribution: the step; default: the last.")
@click.option("--dpi", type=click.IntRange(20, 1200), default=200, show_default=True, help="Dots per inch of a PNG.")
def plot(
    path: str, *, what: str, output: str, statistic: str | None, kind: str | None, step: int | None, dpi: int
) -> int:
    """Draw one picture of the run in LOGDIR with matplotlib (``pip install "gradscope[plot]"``)."""
    from gradscope.events.reader import read_run

    if Path(output).suffix.lower() not in _FORMATS:
        raise GradscopeError(f"{output}: not a form of picture that can be written; end the name in .png, .svg or .pdf")
    figure = _figure(read_run(path), what, {"statistic": statistic, "kind": kind, "step": step})
    try:
        figure.savefig(output, dpi=dpi)
    except OSError as error:
        raise GradscopeError(f"cannot write {output}: {error.strerror}; give a place that can be written") from error
    return 0


def _figure(run: Run, what: str, options: dict[str, Any]) -> Any:
    from gradscope import plots

    takes = {"flow": {"statistic"}, "profile": {"statistic", "step"}, "distribution": {"kind", "step"}}.get(what, set())
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in takes:
            allowed = ", ".join(f"--{each}" for each in sorted(takes)) or "no further option"
            raise GradscopeError(f"--{name} says nothing about --what {what}, which takes {allowed}")
    return getattr(plots, what)(run, **given)
