"""Histograms of several runs, a panel each, on axes that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradscope.plots.canvas import depth_colours, label, new_figure, nothing, position_of
from gradscope.plots.histograms import linear
from gradscope.reports.html.layers import ShownLayer, shown_layers
from gradscope.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["layer_histograms", "layers_with", "named"]


def layer_histograms(
    runs: Run | Mapping[str, Run], kind: str = "activation", step: int | None = None, *, reach: float | None = None
) -> Figure:
    """Plain histograms of each hidden layer at one step, a panel per run below the other; Glorot & Bengio 2010.

    With ``activation`` their figures 4 and 6, with ``activation_gradient`` figure 7, with ``gradient`` (the kernels')
    figure 8.

    Args:
        runs: one run, or several by name.
        kind: one of `gradscope.vocabulary.KINDS`.
        step: the newest histograms not after it are shown; None: the last.
        reach: the linear axis runs from -reach to reach; None: what holds 98 % of the widest layer of all runs.

    Raises:
        GradscopeError: no histograms of that kind, or none up to the step.
        MissingDependencyError: matplotlib is not installed.
    """
    panels = named(runs)
    curves = {}
    for title, run in panels.items():
        at = int(run.steps[position_of(run, step)])
        taken = [(label(y), run.histogram(kind, run.tensors[y.tensors[kind]].name, at)) for y in layers_with(run, kind)]
        curves[title] = [(name, histogram) for name, histogram in taken if histogram is not None]
        if not curves[title]:
            raise nothing(run, f"histogram of the {kind.replace('_', ' ')} up to step {at}")
    every = [histogram for panel in curves.values() for _, histogram in panel]
    limit = reach or max(float(np.abs(histogram.quantiles([0.01, 0.99])).max()) for histogram in every) or 1.0
    figure = new_figure(7.0, 0.5 + 2.2 * len(panels))
    all_axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (title, panel) in zip(all_axes, curves.items(), strict=True):
        for (name, histogram), colour in zip(panel, depth_colours(len(panel)), strict=True):
            shares, edges = linear(histogram, limit)
            axes.plot((edges[:-1] + edges[1:]) / 2, shares, color=colour, linewidth=1.2, label=name)
        axes.set_title(title, fontsize=9)
        axes.set_ylabel("share per bin", fontsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    all_axes[-1].set_xlabel(kind.replace("_", " "))
    all_axes[-1].ticklabel_format(axis="x", scilimits=(-3, 3))
    return figure


def named(runs: Run | Mapping[str, Run]) -> Mapping[str, Run]:
    """Several runs by name; one by its path."""
    return {runs.path: runs} if isinstance(runs, Run) else runs


def layers_with(run: Run, kind: str) -> list[ShownLayer]:
    """The layers that have a tensor of that kind, without the output; if it is the only one, with it."""
    found = [layer for layer in shown_layers(run) if kind in layer.tensors]
    return [layer for layer in found if not layer.layer.is_output] or found
