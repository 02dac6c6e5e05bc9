"""GraphFetch: tensors of a TF1 graph under their recorded names, measured in graph and fetched as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.recording.collector import Collector, Layout, Measured
from gradscope.recording.frameworks import tf

__all__ = ["GraphFetch", "join"]


class GraphFetch(Collector):
    """A collector whose numbers a session fetches: noted while the graph is being built, measured where it is run."""

    def build(self) -> tuple[Layout, Any]:
        """Add the measuring operations to the graph.

        Returns:
            What the numbers stand for, and what to fetch: float32 ``[sum(layout.sizes)]``.
        """
        moments, histograms = self._measure_stacks()
        layout = Layout(
            tensors=tuple(self._tensors),
            scalars=tuple(self._scalars),
            units=tuple((layer, int(silent.shape[0])) for layer, silent in self._units.items()),
        )
        parts = [
            tf.reshape(moments, [-1]),
            tf.cast(tf.reshape(histograms, [-1]), tf.float32),
            *([tf.stack(list(self._scalars.values()))] if self._scalars else []),
            *self._units.values(),
        ]
        return layout, tf.ensure_shape(tf.concat(parts, axis=0), [sum(layout.sizes)])


def join(parts: Iterable[tuple[Layout, npt.NDArray[np.float32] | None]]) -> Measured:
    """What several fetches of one step gave, as one; those that were not fetched (None) are left out.

    Raises:
        ValueError: numbers do not fit their layout.
    """
    measured = []
    for layout, numbers in parts:
        if numbers is not None:
            if np.shape(numbers) != (sum(layout.sizes),):
                raise ValueError(f"fetched numbers of shape {np.shape(numbers)}, and not ({sum(layout.sizes)},)")
            measured.append(Measured.unpack(layout, np.asarray(numbers)))
    return Measured(
        Layout(
            tensors=tuple(key for part in measured for key in part.layout.tensors),
            scalars=tuple(key for part in measured for key in part.layout.scalars),
            units=tuple(units for part in measured for units in part.layout.units),
        ),
        np.concatenate([part.moments for part in measured]),
        np.concatenate([part.histograms for part in measured]),
        np.concatenate([part.scalars for part in measured]),
        np.concatenate([part.silent_units for part in measured]),
    )
