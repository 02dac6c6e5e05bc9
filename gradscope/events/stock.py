"""What TensorBoard's own tabs show of a sample: histograms, a handful of scalars, and the report as text.

Few tags on purpose, since thousands of them freeze TensorBoard; everything else is in the packed tensors. A tag is one
series, so scalars and histograms never share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.summary_pb2 import Summary

from gradscope.events.linear_buckets import linear_buckets
from gradscope.events.sample import Sample
from gradscope.events.summaries import array_value, metadata, scalar_value, text_value
from gradscope.histograms import LogHistogram
from gradscope.vocabulary import STATISTIC_NAMES, Tag

__all__ = ["report_value", "stock_values"]

_HISTOGRAM_GROUPS = {"gradient": "gradients", "weight": "weights", "activation": "activations"}
_MOST_HISTOGRAMS = 150  # where there would be more, only the largest variable of each layer (the kernel) gets them


def stock_values(sample: Sample) -> Iterator[Summary.Value]:
    """The sample's scalars, and its histograms if it has any; of models with many variables those of the kernels.

    Scalars of a wide range are log10, because TensorBoard's charts open with a linear axis. What is not finite, not
    recorded or the log10 of 0 is left out, and so is the histogram of a tensor without finite entries.
    """
    for tag, number in _scalars(sample).items():
        if np.isfinite(number):
            yield scalar_value(tag, number)
    if sample.histograms is not None:
        yield from _histograms(sample, sample.histograms)


def report_value(markdown: str) -> Summary.Value:
    """The report for TensorBoard's Text tab."""
    return text_value(Tag.REPORT, markdown, metadata("text"))


def _scalars(sample: Sample) -> dict[str, float]:
    step = sample.step_statistics
    backward = _backward_rms(sample)
    ratios = sample.column("update_to_weight_ratio")
    nonfinite = sample.column("nan_count", "gradient") + sample.column("inf_count", "gradient")
    return {
        "training/loss": step.get("loss", np.nan),
        "training/learning_rate": step.get("learning_rate", np.nan),
        "gradient_flow/log10_global_gradient_norm": _log10(step.get("global_gradient_norm", np.nan)),
        "gradient_flow/log10_gradient_rms_first_layer": _log10(backward[0]) if len(backward) else np.nan,
        "gradient_flow/log10_gradient_rms_last_layer": _log10(backward[-1]) if len(backward) else np.nan,
        "gradient_flow/log10_update_to_weight_ratio_median": _log10(_over(np.median, ratios)),
        "gradient_flow/nonfinite_gradient_entries": _over(np.sum, nonfinite),
        "units/dead_unit_fraction_max": _over(np.max, sample.column("dead_unit_fraction")),
        "units/saturation_fraction_max": _over(np.max, sample.column("saturation_fraction")),
    }


def _backward_rms(sample: Sample) -> npt.NDArray[np.float32]:
    """RMS of the back-propagated gradients in forward order; of the kernels' gradients where those are missing."""
    activations = sample.column("rms", "activation_gradient")
    if len(activations):
        return activations
    kernels = np.array([key.name.endswith("/kernel") for key in sample.tensors if key.kind == "gradient"], bool)
    rms: npt.NDArray[np.float32] = sample.column("rms", "gradient")[kernels]
    return rms


def _over(reduce: Callable[[npt.NDArray[np.float32]], Any], values: npt.NDArray[np.float32]) -> float:
    recorded = values[~np.isnan(values)]
    return float(reduce(recorded)) if len(recorded) else np.nan


def _log10(number: float) -> float:
    return float(np.log10(number)) if number > 0 else np.nan


def _histograms(sample: Sample, counts: npt.NDArray[np.integer]) -> Iterator[Summary.Value]:
    least, greatest = STATISTIC_NAMES.index("min"), STATISTIC_NAMES.index("max")
    for row in _rows_with_histograms(sample):
        key = sample.tensors[row]
        group = _HISTOGRAM_GROUPS[key.kind]
        histogram = LogHistogram(counts[row].astype(np.int64))
        buckets = linear_buckets(histogram, float(sample.values[row, least]), float(sample.values[row, greatest]))
        if len(buckets):
            yield array_value(f"{group}/{key.name}", buckets, metadata("histograms"))


def _rows_with_histograms(sample: Sample) -> list[int]:
    rows = [row for row, key in enumerate(sample.tensors) if key.kind in _HISTOGRAM_GROUPS]
    if len(rows) <= _MOST_HISTOGRAMS:
        return rows
    sizes = sample.column("count")
    largest: dict[tuple[str, str], int] = {}
    for row in rows:
        place = sample.tensors[row].kind, sample.tensors[row].layer
        if place not in largest or sizes[row] > sizes[largest[place]]:
            largest[place] = row
    return sorted(largest.values())
