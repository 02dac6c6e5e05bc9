"""Saturation and dead units of every layer over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradscope.plots.canvas import depth_colours, label, new_figure, nothing, position_of
from gradscope.reports.html.layers import shown_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradscope.run import Run

__all__ = ["saturation"]

_NAMES = 12
_PANELS = (
    ("saturation_fraction", "saturated share of entries"),
    ("dead_unit_fraction", "dead share of units"),
    ("zero_fraction", "exactly zero share"),
)


def saturation(run: Run) -> Figure:
    """Shares of each layer's activations over the steps, a line per layer, dark nearest the input.

    Panels of which nothing was recorded are left out.

    Raises:
        GradscopeError: none of these shares was recorded.
        MissingDependencyError: matplotlib is not installed.
    """
    position_of(run, None)
    layers = [layer for layer in shown_layers(run) if "activation" in layer.tensors]
    colours = depth_colours(len(layers)) if layers else []
    panels = []
    for statistic, title in _PANELS:
        lines = [
            (label(layer), colour, series)
            for layer, colour in zip(layers, colours, strict=True)
            if not np.isnan(
                series := run.series("activation", run.tensors[layer.tensors["activation"]].name, statistic)
            ).all()
        ]
        if lines:
            panels.append((title, lines))
    if not panels:
        raise nothing(run, "saturation, dead units or zero share of activations")
    figure = new_figure(7.0, 2.7)
    for axes, (title, lines) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        for name, colour, series in lines:
            axes.plot(run.steps, series, color=colour, linewidth=1.0, label=name)
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if len(lines) <= _NAMES:
            axes.legend(fontsize=7, frameon=False)
    return figure
