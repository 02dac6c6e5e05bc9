"""Replicas: an observer for each replica of a strategy, and one step's numbers out of those of all replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradscope.recording.collector import Collector, Measured
from gradscope.recording.naming import Names
from gradscope.recording.observer import Observer
from gradscope.recording.replica import current_replica
from gradscope.recording.statistics import MOMENTS
from gradscope.recording.trouble import Trouble

__all__ = ["Observers", "merge"]

_Floats = npt.NDArray[np.float64]

_SAME_IN_ALL = frozenset({"weight", "gradient", "clipped_gradient", "update"})
"""Kinds of tensors that are the same in every replica, once gradients are summed."""
_SUMMED = frozenset({"loss", "example_count", "entries_per_unit"})
"""Scalars to add up. The loss too: gradients are summed, so what is differentiated is the sum of the replicas' losses,
each of which Keras has divided by their number."""


class Observers:
    """The observers of one step: the sole one, or under a strategy one for each replica in this process.

    Replicas take turns in the middle of a step, so what one has noted must not mix with what another notes.

    Args:
        trouble: where failures go.
        names: of the model's layers and variables.
        sole: the sole one, where it is to do more than observe.
    """

    def __init__(self, trouble: Trouble, names: Names, sole: Observer | None = None) -> None:
        self.names = names
        self._trouble = trouble
        self._sole = sole or Observer(Collector(), trouble, names)
        self._of_replicas: dict[int, Observer] = {}

    @property
    def first(self) -> Observer:
        """The observer that stands for all: what the calls show of the model's structure, all see alike."""
        return next(iter(self._of_replicas.values()), self._sole)

    @property
    def current(self) -> Observer:
        """The observer of the replica that the caller stands in."""
        replica = current_replica()
        if replica is None:
            return self._sole
        if self._sole.collector.active:
            self._trouble.report(
                "what a strategy runs is not recorded: make the model under it, and have it run by strategy.run"
            )
        known = self._of_replicas.get(replica.number)
        if known is None:
            # The first of this process to come here writes: each worker keeps a buffer of its own.
            known = Observer(Collector(replace(replica, writes=not self._of_replicas)), self._trouble, self.names)
            known.optimizers.compiled = self._sole.optimizers.compiled
            self._of_replicas[replica.number] = known
        return known

    def leave_to_replicas(self) -> None:
        """The step that the sole observer began is one of replicas, which observe it themselves."""
        self._sole.collector.abandon()

    @property
    def failure(self) -> Exception | None:
        """Why the step could not be measured at all."""
        observers = (self._sole, *self._of_replicas.values())
        return next((observer.failure for observer in observers if observer.failure is not None), None)

    def read(self) -> Measured | None:
        """The numbers of the step that just ran; None if it wrote none."""
        return merge(self.first.collector.read_replicas())


def merge(replicas: Sequence[Measured]) -> Measured | None:
    """The numbers of the whole batch, from those of the parts of it that the replicas had.

    Counts, moments (float64 here), extremes and histograms merge exactly, as do the loss, the number of examples and
    the silent units. A ``saturation_fraction`` is weighted by entries: exact but for tensors so large that each replica
    looks at a sample; a ``called_loss`` and the means of the examples' weights by examples. An ``example_std`` is
    pooled, with Bessel's correction: it does not see how the replicas' means differ, and estimates what the whole batch
    would show without bias. What is
    the same in all, and scalars of the step such as the learning rate, are the first replica's, and so is the number of
    a ``leading_unit``; its ratio is averaged, as are ``clipped_fraction`` and ``underflow_fraction``, since Keras clips
    in each replica, and it is there that gradients underflow.
    """
    if len(replicas) < 2:
        return replicas[0] if replicas else None
    first, layout = replicas[0], replicas[0].layout
    same = np.array([key.kind in _SAME_IN_ALL for key in layout.tensors], bool)
    parts = np.stack([replica.moments for replica in replicas]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        moments = _merge_moments(parts).astype(np.float32)
        scalars = _merge_scalars(replicas, parts)
    histograms = np.sum([replica.histograms for replica in replicas], axis=0, dtype=np.int32)
    return Measured(
        layout,
        np.where(same[:, None], first.moments, moments),
        np.where(same[:, None], first.histograms, histograms),
        scalars,
        _merge_units(replicas),
    )


def _merge_moments(parts: _Floats) -> _Floats:
    """``[replicas, tensors, moments]`` to ``[tensors, moments]``; a part without (finite) entries has no say."""
    part = {name: parts[:, :, column] for column, name in enumerate(MOMENTS)}
    finite = part["count"] - part["nan_count"] - part["inf_count"]

    def mean_over(values: _Floats, weights: _Floats) -> _Floats:
        total: _Floats = np.where(weights > 0, values * weights, 0.0).sum(axis=0) / weights.sum(axis=0)
        return total

    mean = mean_over(part["mean"], finite)
    merged = {name: part[name].sum(axis=0) for name in ("count", "nan_count", "inf_count")}
    merged["mean"] = mean
    merged["std"] = np.sqrt(mean_over(part["std"] ** 2 + (part["mean"] - mean) ** 2, finite))
    merged["rms"] = np.sqrt(mean_over(part["rms"] ** 2, finite))
    merged["norm"] = merged["rms"] * np.sqrt(finite.sum(axis=0))
    merged["abs_mean"] = mean_over(part["abs_mean"], finite)
    merged["min"] = np.fmin.reduce(np.where(finite > 0, part["min"], np.nan))
    merged["max"] = np.fmax.reduce(np.where(finite > 0, part["max"], np.nan))
    merged["zero_fraction"] = mean_over(part["zero_fraction"], part["count"])
    return np.stack([merged[name] for name in MOMENTS], axis=1)


def _merge_scalars(replicas: Sequence[Measured], parts: _Floats) -> npt.NDArray[np.float32]:
    layout = replicas[0].layout
    values = np.stack([replica.scalars for replica in replicas]).astype(np.float64)
    row = {(key.kind, key.name): number for number, key in enumerate(layout.tensors)}
    column = {key: number for number, key in enumerate(layout.scalars)}
    counted = column.get(("step", "", "example_count"))
    examples = None if counted is None else values[:, counted]
    merged = values[0].copy()
    for number, (kind, name, statistic) in enumerate(layout.scalars):
        if statistic in _SUMMED:
            merged[number] = values[:, number].sum()
        elif statistic == "saturation_fraction":
            entries = parts[:, row[kind, name], 0] if (kind, name) in row else np.ones(len(replicas))
            merged[number] = np.where(entries > 0, values[:, number] * entries, 0.0).sum() / entries.sum()
        elif statistic == "example_std":
            merged[number] = _pooled(values[:, number], examples)
        elif statistic in ("called_loss", "example_weight", "weighted_mean") and examples is not None:
            merged[number] = np.where(examples > 0, values[:, number] * examples, 0.0).sum() / examples.sum()
        elif statistic == "clipped_fraction":
            merged[number] = values[:, number].mean()
        elif statistic in ("underflow_fraction", "time_gradient_ratio", "leading_unit_ratio"):
            known = values[:, number][~np.isnan(values[:, number])]
            merged[number] = known.mean() if known.size else np.nan
    result: npt.NDArray[np.float32] = merged.astype(np.float32)
    return result


def _pooled(spreads: _Floats, examples: _Floats | None) -> float:
    """The spread across a batch from those across its parts; NaN as in one batch: of one example, or not finite."""
    if examples is None:
        return float(np.sqrt(np.mean(spreads**2)))
    several = examples > 1
    total, freedom = examples.sum(), (examples[several] - 1).sum()
    square = (examples[several] * spreads[several] ** 2).sum() / freedom
    return float(np.sqrt(square * (total - 1) / total))


def _merge_units(replicas: Sequence[Measured]) -> npt.NDArray[np.float32]:
    """A unit is silent if it is in every replica that had examples at all."""
    layout = replicas[0].layout
    column = {key: number for number, key in enumerate(layout.scalars)}
    silent = np.stack([replica.silent_units for replica in replicas])
    start = 0
    for layer, units in layout.units:
        entries = column.get(("activation", layer, "entries_per_unit"))
        for number, replica in enumerate(replicas):
            if entries is not None and replica.scalars[entries] == 0:
                silent[number, start : start + units] = 1.0
        start += units
    merged: npt.NDArray[np.float32] = silent.min(axis=0)
    return merged
