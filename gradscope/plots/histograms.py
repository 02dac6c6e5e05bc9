"""Distributions of all layers at one step, on a log axis of magnitudes and as Glorot's plain histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradscope.errors import GradscopeError
from gradscope.histograms import LogHistogram
from gradscope.plots.canvas import depth_colours, label, new_figure, nothing, position_of
from gradscope.reports.html.densities import DENSITY_KINDS
from gradscope.reports.html.layers import shown_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradscope.run import Run

__all__ = ["distribution", "linear"]

_BINS = 61
_NAMES = 12


def distribution(run: Run, kind: str = "gradient", step: int | None = None) -> Figure:
    """Normalised histograms of one kind of tensor, a curve per layer, dark nearest the input.

    Left the magnitudes on a log axis, right the values on a linear one, as in Glorot and Bengio (2010), over the range
    that holds 98 % of the widest layer's entries. Exact zeros have no place on the left.

    Args:
        run: what was recorded.
        kind: one of `gradscope.reports.html.densities.DENSITY_KINDS`.
        step: the newest histograms not after it are shown; None: the last.

    Raises:
        GradscopeError: an unknown kind, or no histograms of it.
        MissingDependencyError: matplotlib is not installed.
    """
    if kind not in DENSITY_KINDS:
        raise GradscopeError(f"no histograms are taken of {kind!r}; give one of {', '.join(DENSITY_KINDS)}")
    at = int(run.steps[position_of(run, step)])
    word = kind.replace("_", " ")
    layers = [layer for layer in shown_layers(run) if kind in layer.tensors]
    taken = [(layer, run.histogram(kind, run.tensors[layer.tensors[kind]].name, at)) for layer in layers]
    curves = [(label(layer), histogram) for layer, histogram in taken if histogram is not None]
    if not curves:
        raise nothing(run, f"histogram of the {word} up to step {at}")
    figure = new_figure(7.0, 3.0)
    left, right = figure.subplots(1, 2)
    reach = max(float(np.abs(histogram.quantiles([0.01, 0.99])).max()) for _, histogram in curves) or 1.0
    for (name, histogram), colour in zip(curves, depth_colours(len(curves)), strict=True):
        left.stairs(*_by_magnitude(histogram), color=colour, label=name)
        right.stairs(*linear(histogram, reach), color=colour)
    left.set_xscale("log")
    left.set_xlabel(f"|{word}|")
    left.set_ylabel("share per octave")
    right.set_xlabel(word)
    right.set_ylabel("share per bin")
    right.ticklabel_format(axis="x", scilimits=(-3, 3))
    if len(curves) <= _NAMES:
        left.legend(fontsize=7, frameon=False)
    step_taken = int(run.histograms.steps[np.searchsorted(run.histograms.steps, at, side="right") - 1])
    figure.suptitle(f"step {step_taken:,}", fontsize=9)
    return figure


def _by_magnitude(histogram: LogHistogram) -> tuple[np.ndarray, np.ndarray]:
    """Shares per octave, and their edges."""
    total = max(int(histogram.counts.sum()), 1)
    octaves = histogram.counts.reshape(2, 256, 4)[:, :255].sum(axis=(0, 2))  # the last octave holds the zeros' code
    used = np.flatnonzero(octaves)
    if not len(used):
        return np.zeros(1), np.array([0.5, 1.0])
    low, high = int(used[0]), int(used[-1]) + 1
    return octaves[low:high] / total, np.exp2(np.arange(low, high + 1) - 127.0)


def linear(histogram: LogHistogram, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares per bin of [-reach, reach], each bucket spread evenly over its width; and the bins' edges."""
    edges = np.linspace(-reach, reach, _BINS + 1)
    left, right, count = histogram.ascending().T
    width = np.where(right > left, right - left, 1.0)
    # The share of a bucket below an edge; zeros, of no width, lie below every edge above 0.
    below = np.where(right > left, np.clip((edges[:, None] - left) / width, 0.0, 1.0), edges[:, None] > 0)
    shares = np.diff(below @ count) / max(float(count.sum()), 1.0)
    return shares, edges
