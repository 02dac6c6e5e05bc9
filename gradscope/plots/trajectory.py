"""How the entries of each layer's tensor are spread over the steps: mean and standard deviation, outer quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradscope.errors import GradscopeError
from gradscope.plots.canvas import depth_colours, label, new_figure, nothing, position_of
from gradscope.plots.panels import layers_with, named
from gradscope.vocabulary import KINDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradscope.run import Run

__all__ = ["trajectory"]

_BARS = 14


def trajectory(runs: Run | Mapping[str, Run], kind: str = "activation", *, centred: bool = False) -> Figure:
    """Mean ± standard deviation of each hidden layer over the steps, a panel per run; Glorot & Bengio 2010, figure 2.

    Args:
        runs: one run, or several by name.
        kind: one of `gradscope.vocabulary.KINDS` that layers have, ``probe_activation`` for that of a fixed batch.
        centred: leave the mean out: the standard deviation as a line and the 98 % quantile as markers, as in figure 3,
            for activations around 0.

    Raises:
        GradscopeError: an unknown kind, or one of which nothing was recorded.
        MissingDependencyError: matplotlib is not installed.
    """
    if kind not in KINDS or KINDS[kind].per != "layer":
        raise GradscopeError(
            f"no layer has a {kind!r}; give one of {', '.join(k for k in KINDS if KINDS[k].per == 'layer')}"
        )
    panels = named(runs)
    figure = new_figure(7.0, 0.5 + 2.5 * len(panels))
    for axes, (title, run) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels.items(), strict=True):
        position_of(run, None)
        layers = layers_with(run, kind)
        if not layers:
            raise nothing(run, kind.replace("_", " "))
        marked = np.unique(np.linspace(0, len(run.steps) - 1, _BARS).astype(int))
        for number, (layer, colour) in enumerate(zip(layers, depth_colours(len(layers)), strict=True)):
            key = run.tensors[layer.tensors[kind]]
            mean, std, high = (run.series(kind, key.name, each) for each in ("mean", "std", "quantile_98"))
            axes.plot(run.steps, std if centred else mean, color=colour, linewidth=1.2, label=label(layer))
            if centred:
                axes.plot(run.steps[marked], high[marked], "o", color=colour, markersize=3.0)
            else:
                # Bars beside each other, so that those of all layers can be seen.
                shift = (number - (len(layers) - 1) / 2) * np.ptp(run.steps) / (_BARS * 3 * len(layers))
                axes.errorbar(
                    run.steps[marked] + shift, mean[marked], std[marked], fmt="none", ecolor=colour, elinewidth=1.0
                )
        axes.set_title(title, fontsize=9)
        axes.set_ylabel("std; points: 98 % quantile" if centred else "mean ± std", fontsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_xlabel("step")
    return figure
