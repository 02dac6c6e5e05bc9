"""The flow heatmap: layers x steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradscope.plots.canvas import label, new_figure, nothing, position_of, series_named
from gradscope.reports.html.grids import FROZEN, INFINITE, NOT_A_NUMBER, axis_of, series_grid
from gradscope.reports.html.layers import shown_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradscope.run import Run

__all__ = ["flow"]

_COLUMNS = 600
_NAMES = 60
_STATES = ((NOT_A_NUMBER, "NaN", "#d4006a"), (INFINITE, "infinite", "#ff7b00"), (FROZEN, "frozen", "#a8b0ba"))


def flow(run: Run, statistic: str = "activation_gradient_rms") -> Figure:
    """One statistic of every layer over the steps; colour is its log10, or for a share the share itself.

    Cells with NaN or infinite entries and those of frozen layers have colours of their own, exact zeros are black,
    what was not recorded is white. Beyond 600 sampled steps a column is the median of several.

    Raises:
        GradscopeError: an unknown statistic, or one that was not recorded.
        MissingDependencyError: matplotlib is not installed.
    """
    series = series_named(statistic)
    position_of(run, None)
    shown = shown_layers(run)
    axis = axis_of(run.steps, _COLUMNS)
    grid = series_grid(run, shown, series, axis)
    if not grid.rows:
        raise nothing(run, series.label)
    figure = new_figure(7.0, min(max(1.6 + 0.2 * len(grid.rows), 2.4), 12.0))
    from matplotlib.colors import ListedColormap, LogNorm, Normalize
    from matplotlib.patches import Patch

    axes = figure.subplots()
    is_log = series.scale == "log"
    numbers = np.ma.masked_where(~(grid.values > 0) if is_log else ~(grid.values >= 0), grid.values)
    known = numbers.compressed()
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.1, 1.0)
    norm = LogNorm(low, max(high, low * 10)) if is_log else Normalize(0.0, 1.0)
    extent = (-0.5, len(axis.first) - 0.5, len(grid.rows) - 0.5, -0.5)
    image = axes.imshow(numbers, aspect="auto", interpolation="nearest", cmap="viridis", norm=norm, extent=extent)
    states = [*_STATES, (0.0, "exactly 0", "#000000")] if is_log else list(_STATES)
    present = [(value, name, colour) for value, name, colour in states if (grid.values == value).any()]
    for value, _, colour in present:
        mask = np.ma.masked_where(grid.values != value, np.ones_like(grid.values))
        axes.imshow(mask, aspect="auto", interpolation="nearest", cmap=ListedColormap([colour]), extent=extent)
    every = -(-len(grid.rows) // _NAMES)
    axes.set_yticks(range(0, len(grid.rows), every), [label(shown[row]) for row in grid.rows[::every]], fontsize=8)
    ticks = np.unique(np.linspace(0, len(axis.first) - 1, 6).astype(int))
    axes.set_xticks(ticks, [f"{int(axis.first[tick]):,}" for tick in ticks], fontsize=8)
    axes.set_xlabel("step")
    figure.colorbar(image, ax=axes, label=series.label, pad=0.01)
    if present:
        patches = [Patch(color=colour, label=name) for _, name, colour in present]
        figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), fontsize=8, frameon=False)
    return figure
