"""One HTML file that shows runs anywhere: everything inline, no network, no ``eval``."""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Sequence

from gradscope.reports.html.assets import asset, bundle
from gradscope.reports.html.densities import DENSITY_KINDS, TYPICAL_BUCKETS, densities, density_axis
from gradscope.reports.html.description import ShownRun, describe, vocabulary
from gradscope.reports.html.grids import axis_of, profile_grids, progress_grid, series_grid
from gradscope.reports.html.layers import shown_layers
from gradscope.reports.html.packing import pack_densities, pack_grids
from gradscope.reports.html.series import PROFILE_KINDS, PROFILE_STATISTICS, SERIES
from gradscope.reports.wording import plain
from gradscope.run import Run

__all__ = ["to_html"]

_COLUMNS = 400
_LEAST_COLUMNS = 50
_CELLS = 1_000_000
"""Numbers that the page holds of all runs together; columns become fewer where layers and runs are many."""
_DENSITY_COLUMNS = 24
_LEAST_DENSITY_COLUMNS = 4


def to_html(runs: Sequence[ShownRun], *, title: str = "gradscope") -> str:
    """A page that shows the runs with the frontend that TensorBoard's tab has.

    It opens from ``file://`` and inside an ``<iframe srcdoc>``. Runs of many steps are put into columns of several
    (`gradscope.reports.html.grids` says how); numbers keep 2 to 3 digits. A run that could not be read is explained.
    """
    data = {
        "vocabulary": vocabulary(),
        "runs": [describe(shown) for shown in runs],
        "grids": [_grids(shown.run, len(runs)) for shown in runs],
        "densities": [_densities(shown.run, len(runs)) for shown in runs],
    }
    return _PAGE.format(
        title=html.escape(plain(title)),
        style=asset("uPlot.min.css") + asset("style.css"),
        # A name with "</script>" in it must not end the script; JSON knows "<" by number too.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        uplot=asset("uPlot.iife.min.js"),
        script=bundle("embedded.js"),
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main id="gradscope"><noscript>This page draws its pictures with JavaScript, which is switched off.</noscript></main>
<script type="application/json" id="gradscope-data">{data}</script>
<script>{uplot}</script>
<script>{script}</script>
</body>
</html>
"""


def _grids(run: Run | None, runs: int) -> str:
    if run is None or not len(run.steps):
        return ""
    shown = shown_layers(run)
    kinds = [series.kinds for series in SERIES.values()] + [(kind,) for kind in PROFILE_KINDS] * len(PROFILE_STATISTICS)
    rows = sum(layer.row(each) is not None for layer in shown for each in kinds)
    axis = axis_of(run.steps, _columns(rows * runs, _COLUMNS))
    grids = [series_grid(run, shown, series, axis) for series in SERIES.values()]
    return _encoded(pack_grids(axis, [*grids, *profile_grids(run, shown, axis), progress_grid(run, axis)], half=True))


def _densities(run: Run | None, runs: int) -> str:
    if run is None or not len(run.steps) or not len(run.histograms.steps):
        return ""
    shown = shown_layers(run)
    rows = len(shown) * len(DENSITY_KINDS) * TYPICAL_BUCKETS
    axis = density_axis(run, _columns(rows * runs, _DENSITY_COLUMNS, least=_LEAST_DENSITY_COLUMNS))
    found = [density for kind in DENSITY_KINDS for density in densities(run, shown, kind, axis)]
    return _encoded(pack_densities(axis, found, half=True))


def _columns(rows: int, most: int, *, least: int = _LEAST_COLUMNS) -> int:
    return max(min(most, _CELLS // max(rows, 1)), least)


def _encoded(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")
