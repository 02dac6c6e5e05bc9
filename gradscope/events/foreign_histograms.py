"""Histograms out of other tools' logs, read when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gradscope.events.files import read_file
from gradscope.events.foreign import ForeignLog
from gradscope.events.log_buckets import log_buckets
from gradscope.run import HistogramTable, TensorKey

__all__ = ["read_foreign_histograms"]

_MOST = 20_000  # histograms: some 60 MB


def read_foreign_histograms(
    files: Sequence[str], tensors: Mapping[str, TensorKey], steps: npt.NDArray[np.int64]
) -> HistogramTable:
    """Histograms at the steps, or at so many of them, evenly spread, that there are about 20,000 histograms in all.

    Args:
        files: in the order of the run; what cannot be read any more is left out.
        tensors: by the tag of their histograms.
        steps: ascending.
    """
    count = max(_MOST // max(len(tensors), 1), 1)
    chosen = steps[np.unique(np.linspace(0, len(steps) - 1, min(count, len(steps))).astype(np.int64))]
    log = ForeignLog(rows_at=frozenset(chosen.tolist()))
    for number, file in enumerate(files if len(chosen) else ()):
        log.begin_file(number)
        try:
            read_file(file, values_of=frozenset(), foreign=log)
        except OSError:
            continue
    row_of = {key: row for row, key in enumerate(dict.fromkeys(tensors.values()))}
    latest = {(step, tag): rows for tag, step, _, rows in sorted(log.rows, key=lambda item: item[2])}
    entries = [np.zeros((0, 4), np.int64)]
    for (step, tag), rows in sorted(latest.items(), key=lambda item: item[0]):
        if log.tags[tag].name in tensors:
            counts = log_buckets(rows)
            buckets = np.flatnonzero(counts)
            mine = np.empty((len(buckets), 4), np.int64)
            mine[:, 0] = np.searchsorted(chosen, step)
            mine[:, 1] = row_of[tensors[log.tags[tag].name]]
            mine[:, 2], mine[:, 3] = buckets, counts[buckets]
            entries.append(mine)
    return HistogramTable(chosen, tuple(row_of), np.concatenate(entries))
