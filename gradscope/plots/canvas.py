"""What all pictures share: a figure, the statistic that is asked for, names of layers, colours over depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradscope.errors import GradscopeError, MissingDependencyError
from gradscope.reports.html.series import SERIES, Series
from gradscope.reports.wording import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from gradscope.reports.html.layers import ShownLayer
    from gradscope.run import Run

__all__ = ["depth_colours", "label", "new_figure", "nothing", "position_of", "series_named"]

_LONGEST = 32


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that lays itself out.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            'pictures need the package matplotlib, which is not installed; run `pip install "gradscope[plot]"`'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def series_named(name: str) -> Series:
    """A statistic of `gradscope.reports.html.series.SERIES`.

    Raises:
        GradscopeError: there is none of that name.
    """
    if name not in SERIES:
        raise GradscopeError(f"no statistic is called {name!r}; give one of {', '.join(SERIES)}")
    return SERIES[name]


def label(layer: ShownLayer) -> str:
    """The layer's name, shortened at its front; a dollar sign is no formula."""
    name = plain(layer.name)
    short = name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
    return short.replace("$", r"\$")


def position_of(run: Run, step: int | None) -> int:
    """Index of the newest sampled step not after ``step``; of the last one for None.

    Raises:
        GradscopeError: no step was sampled, or none up to ``step``.
    """
    if not len(run.steps):
        raise GradscopeError(f"{run.path}: no step was sampled, so there is nothing to draw")
    position = len(run.steps) - 1 if step is None else int(np.searchsorted(run.steps, step, side="right")) - 1
    if position < 0:
        raise GradscopeError(f"step {step} lies before the first sampled one; give one from {run.steps[0]} on")
    return position


def nothing(run: Run, what: str) -> GradscopeError:
    """The error for a run that lacks what is to be drawn."""
    return GradscopeError(f"{run.path}: no {what} was recorded; choose another picture or statistic")


def depth_colours(count: int) -> Sequence[Any]:
    """A colour per layer, dark nearest the input."""
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0.0, 0.9, max(count, 1))))
