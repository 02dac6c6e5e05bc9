"""From packed histograms to density plots: the share of a tensor's entries per bucket and recorded step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.histograms import ZERO_BUCKET
from gradscope.reports.html.grids import Axis, axis_of
from gradscope.reports.html.layers import ShownLayer
from gradscope.run import HistogramTable, Run
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = ["DENSITY_KINDS", "TYPICAL_BUCKETS", "Density", "densities", "density_axis"]

DENSITY_KINDS = ("gradient", "activation", "activation_gradient", "weight", "update")
"""Kinds of tensor whose histograms are shown, in the order in which they are offered."""

TYPICAL_BUCKETS = 150
"""About as many rows a density has; by it is reckoned how many columns fit."""


@dataclass(frozen=True, eq=False)
class Density:
    """How the finite entries of one tensor are spread, over the steps at which histograms were taken."""

    kind: str
    name: str
    layer: int
    """Index into the layers shown."""
    low: int
    """The least bucket of a magnitude that occurs; quarter octaves, as in `gradscope.histograms`."""
    values: npt.NDArray[np.float32]
    """Shares, ``[2 n + 1, columns]``: negative buckets from the greatest magnitude to the least, zeros, positive ones
    from the least to the greatest; ``n`` is the number of magnitudes from ``low`` on. NaN: no histogram."""
    nan_counts: tuple[int, ...] = ()
    """The most NaN entries at any sampled step from this column's first on to the next column's, ``[columns]``."""
    inf_counts: tuple[int, ...] = ()
    """The same of infinite entries."""


def density_axis(run: Run, columns: int) -> Axis:
    """The steps of the histograms, put into at most ``columns`` columns."""
    return axis_of(run.histograms.steps, columns)


def densities(run: Run, shown: tuple[ShownLayer, ...], kind: str, axis: Axis) -> list[Density]:
    """One density per layer that has histograms of ``kind``; histograms of one column are added up."""
    table = run.histograms
    rows = {(key.kind, key.name): row for row, key in enumerate(table.tensors)}
    column_of = np.zeros(len(table.steps), np.int64)
    for column, members in enumerate(axis.members):
        column_of[members[members >= 0]] = column
    order = np.argsort(table.entries[:, 1], kind="stable")
    starts = np.searchsorted(table.entries[order, 1], np.arange(len(table.tensors) + 1))
    found = []
    for index, layer in enumerate(shown):
        key = run.tensors[layer.tensors[kind]] if kind in layer.tensors else None
        row = rows.get((key.kind, key.name)) if key is not None else None
        if key is None or row is None or starts[row] == starts[row + 1]:
            continue
        low, values = _shares(table, order[starts[row] : starts[row + 1]], column_of, len(axis.first))
        nan, inf = (_most(run, layer.tensors[kind], axis, name) for name in ("nan_count", "inf_count"))
        found.append(Density(kind, key.name, index, low, values, nan, inf))
    return found


def _most(run: Run, tensor: int, axis: Axis, statistic: str) -> tuple[int, ...]:
    counts = np.nan_to_num(run.values[:, tensor, STATISTIC_NAMES.index(statistic)])
    starts = np.minimum(np.searchsorted(run.steps, axis.first), len(counts) - 1)
    starts[0] = 0
    return tuple(int(count) for count in np.maximum.reduceat(counts, starts))


def _shares(
    table: HistogramTable, entries: npt.NDArray[np.int64], column_of: npt.NDArray[np.int64], columns: int
) -> tuple[int, npt.NDArray[np.float32]]:
    step, _, bucket, count = table.entries[entries].T
    magnitude, is_zero = bucket & 1023, bucket == ZERO_BUCKET
    low = int(magnitude[~is_zero].min(initial=1023))
    size = max(int(magnitude[~is_zero].max(initial=-1)) - low + 1, 0)
    place = np.where(is_zero, size, np.where(bucket >= 1024, size - 1 - (magnitude - low), size + 1 + magnitude - low))
    values = np.zeros((2 * size + 1, columns))
    np.add.at(values, (place, column_of[step]), count)
    total = values.sum(axis=0)
    shares = np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0)
    return low, shares.astype(np.float32)
