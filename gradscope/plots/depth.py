"""The depth profile: what one step looked like from the first layer to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradscope.diagnosis.rules.vanishing_gradient import VanishingGradient
from gradscope.plots.canvas import label, new_figure, nothing, position_of, series_named
from gradscope.reports.html.grids import axis_of, series_grid
from gradscope.reports.html.layers import shown_layers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.reports.html.series import Series
    from gradscope.run import Run

__all__ = ["profile"]

_NAMES = 40


def profile(run: Run, statistic: str = "activation_gradient_rms", step: int | None = None) -> Figure:
    """One statistic of every layer at one step; shaded is what counts as healthy.

    A point is missing where the number is not finite or, on a log axis, zero.

    Args:
        run: what was recorded.
        statistic: a name of `gradscope.reports.html.series.SERIES`.
        step: the newest sampled step not after it is shown; None: the last.

    Raises:
        GradscopeError: an unknown statistic, one that was not recorded, or a step before the first.
        MissingDependencyError: matplotlib is not installed.
    """
    series = series_named(statistic)
    position = position_of(run, step)
    shown = shown_layers(run)
    grid = series_grid(run, shown, series, axis_of(run.steps[: position + 1], position + 1))
    if not grid.rows:
        raise nothing(run, series.label)
    values = grid.values[:, -1].astype(float)
    values[values < 0 if series.scale == "share" else ~(values > 0)] = np.nan
    figure = new_figure(7.0, 3.2)
    axes = figure.subplots()
    if series.scale == "log":
        axes.set_yscale("log")
    else:
        axes.set_ylim(-0.02, 1.02)
    _shade(axes, series, values)
    axes.plot(range(len(values)), values, marker="o", markersize=3.5, linewidth=1.2, color="#0072b2")
    every = -(-len(grid.rows) // _NAMES)
    names = [label(shown[row]) for row in grid.rows[::every]]
    axes.set_xticks(range(0, len(grid.rows), every), names, rotation=45, ha="right", fontsize=8)
    axes.set_ylabel(series.label)
    axes.set_title(f"step {int(run.steps[position]):,}", fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def _shade(axes: Axes, series: Series, values: np.ndarray) -> None:
    known = values[~np.isnan(values)]
    if series.healthy is not None:
        low, high = series.healthy
    elif series.name == "activation_gradient_rms" and len(known):
        ratio = VanishingGradient().min_gradient_ratio
        low, high = known[-1] * ratio, known[-1] / ratio
    else:
        return
    axes.axhspan(low, high, color="#009e73", alpha=0.12, linewidth=0, label="healthy")
