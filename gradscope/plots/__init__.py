"""Pictures of a run as matplotlib figures, for papers and for machines without a browser.

Each function takes a `gradscope.run.Run` and returns a ``matplotlib.figure.Figure`` that belongs to no window and no
pyplot state: ``flow(run).savefig("flow.svg")``. They need matplotlib, the extra ``gradscope[plot]``.
"""

from __future__ import annotations

from gradscope.plots.depth import profile as profile
from gradscope.plots.heatmap import flow as flow
from gradscope.plots.histograms import distribution as distribution
from gradscope.plots.panels import layer_histograms as layer_histograms
from gradscope.plots.shares import saturation as saturation
from gradscope.plots.trajectory import trajectory as trajectory

__all__ = ["distribution", "flow", "layer_histograms", "profile", "saturation", "trajectory"]
