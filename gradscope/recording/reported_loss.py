"""ReportedLoss: the loss of one step, out of what a step of one's own returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradscope.recording.frameworks import keras, tf

__all__ = ["ReportedLoss"]

_NAMES = ("loss", "total_loss")


class ReportedLoss:
    """Tells the loss of the step from a running mean of it, which is what metrics make of a loss they are given.

    Args:
        listening: whether tensors of the caller's graph may be kept.
    """

    def __init__(self, listening: Callable[[], bool]) -> None:
        self.metric: Any = None
        """The `keras.metrics.Mean` that the last step reported as its loss; None if it was none."""
        self._listening = listening
        self._given: dict[int, list[Any]] = {}
        self._results: dict[int, Any] = {}
        self._alive: list[Any] = []

    def forget(self) -> None:
        """A step starts, or is over."""
        self._given.clear()
        self._results.clear()
        self._alive.clear()

    def metric_updated(self, metric: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """A metric was given something: it is known what, if it is a plain mean of values without weights."""
        known, values = None, (*args, *kwargs.values())
        if self._listening() and type(metric).update_state is keras.metrics.Mean.update_state and len(values) == 1:
            known = _floating(values[0])
        self._given.setdefault(id(metric), []).append(None if known is None else tf.reduce_mean(known))

    def metric_read(self, metric: Any, result: Any) -> None:
        """A metric was asked for its result."""
        self._results[id(result)] = metric
        self._alive.append(result)  # an id is only good while its object lives

    def of(self, outputs: Any) -> tuple[Any, bool]:
        """The loss of the step, a floating scalar, and whether it was found as what a metric was given.

        Of a dict it is the entry ``"loss"``, else ``"total_loss"``, else the only one with ``loss`` in its name; of a
        tuple the only floating scalar. A metric that the step did not update says nothing. None where nothing fits.
        """
        self.metric = None
        value = _chosen(outputs, self._is_stale)
        metric = self._results.get(id(value))
        if metric is None:
            return _scalar(value), False
        self.metric = metric if isinstance(metric, keras.metrics.Mean) else None
        given = self._given[id(metric)]
        if any(part is None for part in given):
            return None, True
        return tf.add_n(given) / len(given), True

    def _is_stale(self, value: Any) -> bool:
        metric = self._results.get(id(value))
        return metric is not None and id(metric) not in self._given


def _chosen(outputs: Any, is_stale: Callable[[Any], bool]) -> Any:
    if isinstance(outputs, Mapping):
        named = {key: value for key, value in outputs.items() if isinstance(key, str) and not is_stale(value)}
        for name in _NAMES:
            if name in named:
                return named[name]
        return _only([value for key, value in named.items() if "loss" in key])
    if isinstance(outputs, (tuple, list)):
        return _only([value for value in outputs if _scalar(value) is not None])
    return outputs


def _only(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else None


def _floating(value: Any) -> Any:
    """A floating tensor, also from a number or an array of numpy; None for anything else."""
    if isinstance(value, (float, np.floating, np.ndarray)):
        value = tf.convert_to_tensor(value)
    return value if tf.is_tensor(value) and value.dtype.is_floating else None


def _scalar(value: Any) -> Any:
    value = _floating(value)
    return value if value is not None and value.shape.rank == 0 else None
