"""From the numbers of one step to the Sample that is written: quantiles, ratios, global norms, dead units."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from gradscope.events.sample import Sample
from gradscope.histograms import quantiles
from gradscope.recording.collector import Measured
from gradscope.recording.statistics import MOMENTS
from gradscope.vocabulary import QUANTILES, STATISTIC_NAMES, STEP_STATISTIC_NAMES

__all__ = ["DEAD_UNIT_WINDOW", "Assembler"]

DEAD_UNIT_WINDOW = 128
"""Entries per unit that a window of recent sampled steps must hold before a unit in it is called dead. A unit that is
active on 5 % of the examples is silent throughout such a window in 0.14 % of cases."""

_OF_AN_UPDATE = frozenset({"update", "clipped_gradient", "clipped_fraction", "expected_loss_change"})
"""What a step does not have that only adds its gradient to those before it."""

_COLUMN = {name: column for column, name in enumerate(STATISTIC_NAMES)}
_MOMENT_COLUMNS = [_COLUMN[name] for name in MOMENTS]
_QUANTILE_COLUMNS = [_COLUMN[f"quantile_{round(q * 100):02d}"] for q in QUANTILES]


class Assembler:
    """Makes Samples out of what steps measured; keeps the window of recent steps that dead units are judged over."""

    def __init__(self) -> None:
        self._windows: dict[str, deque[tuple[float, npt.NDArray[np.float32]]]] = {}

    def assemble(self, measured: Measured, step: int, *, keep_histograms: bool, seconds: float) -> Sample:
        """The sample of one step.

        Args:
            measured: as the collector read it.
            step: optimizer step, 0-based.
            keep_histograms: whether the sample carries its histograms.
            seconds: what sampling this step cost the training.
        """
        tensors = measured.layout.tensors
        values = np.full((len(tensors), len(STATISTIC_NAMES)), np.nan, np.float32)
        row = {(key.kind, key.name): i for i, key in enumerate(tensors)}
        values[:, _MOMENT_COLUMNS] = measured.moments
        # A bucket reaches beyond the least and the greatest entry; they are known exactly.
        low, high = values[:, _COLUMN["min"], None], values[:, _COLUMN["max"], None]
        values[:, _QUANTILE_COLUMNS] = np.clip(quantiles(measured.histograms, QUANTILES), low, high)

        step_statistics: dict[str, float] = {}
        entries_per_unit: dict[str, float] = {}
        for (kind, name, statistic), value in zip(measured.layout.scalars, measured.scalars, strict=True):
            if kind == "step":
                step_statistics[statistic] = float(value)
            elif statistic == "entries_per_unit":
                if kind == "activation":
                    entries_per_unit[name] = float(value)
            elif (kind, name) in row and statistic in _COLUMN:
                values[row[kind, name], _COLUMN[statistic]] = value

        for name, share in self._dead_unit_fractions(measured, entries_per_unit).items():
            if ("activation", name) in row:
                values[row["activation", name], _COLUMN["dead_unit_fraction"]] = share
        _fill_update_ratios(values, row)
        histograms = measured.histograms
        if not step_statistics.pop("applies", 1.0):
            unapplied = np.array([key.kind in _OF_AN_UPDATE for key in tensors], bool)
            values[unapplied] = np.nan
            histograms = np.where(unapplied[:, None], 0, histograms)
            step_statistics = {name: v for name, v in step_statistics.items() if name not in _OF_AN_UPDATE}
        step_statistics["global_gradient_norm"] = _global_norm(values, row, "gradient")
        if "clipped_fraction" in step_statistics:
            step_statistics["global_clipped_gradient_norm"] = _global_norm(values, row, "clipped_gradient")
        step_statistics["recording_seconds"] = seconds
        return Sample(
            step=step,
            wall_time=time.time(),
            tensors=tensors,
            values=values,
            step_statistics={name: step_statistics[name] for name in STEP_STATISTIC_NAMES if name in step_statistics},
            histograms=histograms if keep_histograms else None,
        )

    def _dead_unit_fractions(self, measured: Measured, entries: Mapping[str, float]) -> dict[str, float]:
        fractions = {}
        start = 0
        for layer, units in measured.layout.units:
            silent = measured.silent_units[start : start + units]
            start += units
            window = self._windows.setdefault(layer, deque())
            if window and len(window[0][1]) != units:
                window.clear()  # the model was rebuilt
            window.append((entries.get(layer, 0.0), silent.copy()))
            while sum(count for count, _ in window) - window[0][0] >= DEAD_UNIT_WINDOW:
                window.popleft()
            if sum(count for count, _ in window) >= DEAD_UNIT_WINDOW:
                throughout = np.min([batch for _, batch in window], axis=0)
                fractions[layer] = float(throughout.mean())
        return fractions


def _fill_update_ratios(values: npt.NDArray[np.float32], row: Mapping[tuple[str, str], int]) -> None:
    norm = values[:, _COLUMN["norm"]]
    pairs = [(update, row.get(("weight", name))) for (kind, name), update in row.items() if kind == "update"]
    updates, weights = np.array([pair for pair in pairs if pair[1] is not None], int).reshape(-1, 2).T
    with np.errstate(divide="ignore", invalid="ignore"):
        values[updates, _COLUMN["update_to_weight_ratio"]] = norm[updates] / norm[weights]


def _global_norm(values: npt.NDArray[np.float32], row: Mapping[tuple[str, str], int], kind: str) -> float:
    norms = [values[i, _COLUMN["norm"]] for (k, _), i in row.items() if k == kind]
    # In float64 (the squares of float32 norms overflow), and NaN where a variable has no finite entry at all.
    return float(np.sqrt(np.sum(np.square(np.asarray(norms, np.float64)))))
