"""Collector: gathers the tensors of one training step, measures them in graph and carries the numbers out.

Numbers leave the graph through `tf.Variable` buffers, written inside the step and read once after it. That works in a
`tf.function`, under XLA, inside the loop of ``steps_per_execution`` and eagerly alike.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.recording.frameworks import tf
from gradscope.recording.statistics import MOMENTS, measure
from gradscope.run import TensorKey

__all__ = ["Collector", "Layout", "Measured"]

_STACK_ENTRIES = 65536
"""Tensors up to this size wait for others of their size and are measured together; larger ones at once and alone."""

ScalarKey = tuple[str, str, str]
"""(kind, name, statistic) of a tensor's scalar, or ("step", "", statistic)."""


@dataclass(frozen=True)
class Layout:
    """What the buffers of one trace of the step hold, in order."""

    tensors: tuple[TensorKey, ...]
    scalars: tuple[ScalarKey, ...]
    units: tuple[tuple[str, int], ...]
    """(layer, number of units) of each stretch of the silent-unit buffer."""


@dataclass(frozen=True)
class Measured:
    """The numbers of one sampled step, on the host."""

    layout: Layout
    moments: npt.NDArray[np.float32]
    """``[tensors, len(MOMENTS)]``."""
    histograms: npt.NDArray[np.int32]
    """``[tensors, BUCKETS]``."""
    scalars: npt.NDArray[np.float32]
    silent_units: npt.NDArray[np.float32]
    """1 where a unit was zero on every example of the batch; see `Layout.units`."""


class _Buffers:
    """Variables that hold the numbers of one layout between the step and the host."""

    def __init__(self, layout: Layout, rows: Any, histograms: Any, scalars: Any, units: Any) -> None:
        self.layout = layout
        shapes = [(rows, tf.float32), (histograms, tf.int32), (scalars, tf.float32), (units, tf.float32)]
        # Not tracked by the model and outside its strategy's reach: plain variables of the host program.
        with tf.init_scope():
            self.variables = [tf.Variable(tf.zeros(t.shape, dtype), trainable=False) for t, dtype in shapes]

    def write(self, *tensors: Any) -> None:
        for variable, tensor in zip(self.variables, tensors, strict=True):
            variable.assign(tensor)

    def read(self) -> Measured:
        moments, histograms, scalars, units = (variable.numpy() for variable in self.variables)
        histograms = histograms.copy()
        histograms[:, -1] = 0  # where the graph counted NaN and infinities
        return Measured(self.layout, moments, histograms, scalars, units)


class Collector:
    """Between `begin` and `flush` of one step: `tensor`, `scalar` and `units` note what is to be measured.

    A step is traced once per kind of batch; each trace that differs in what it holds has buffers of its own, and the
    ``stamp`` says which of them the step that just ran has written.
    """

    def __init__(self) -> None:
        self._buffers: list[_Buffers] = []
        with tf.init_scope():
            self._stamp = tf.Variable(-1, trainable=False, dtype=tf.int32)
        self._active = False
        self._graph: Any = None
        self._reset()

    def _reset(self) -> None:
        self._tensors: dict[TensorKey, Any] = {}
        self._moments: dict[TensorKey, tuple[Any, Any]] = {}
        self._scalars: dict[ScalarKey, Any] = {}
        self._units: dict[str, Any] = {}

    def begin(self) -> None:
        """Start a step, in the graph (or eager context) of the caller."""
        self._reset()
        self._graph = _current_graph()
        self._active = True

    @property
    def listening(self) -> bool:
        """Whether the caller stands in the step's own graph: tensors of an inner one (a loop's) may not leave it."""
        return self._active and _current_graph() is self._graph

    @property
    def active(self) -> bool:
        """Whether a step is being noted, be it in this graph or around it."""
        return self._active

    def noted(self, kind: str) -> list[TensorKey]:
        """The tensors of that kind noted in this step."""
        return [key for key in self._tensors if key.kind == kind]

    def has(self, kind: str, name: str) -> bool:
        """Whether a tensor of that kind and name was noted in this step."""
        return any(key.name == name for key in self.noted(kind))

    def tensor(self, key: TensorKey, value: Any) -> None:
        """Note a tensor of any shape and real dtype; the first of its key wins."""
        if key in self._tensors:
            return
        flat = tf.reshape(tf.cast(tf.convert_to_tensor(value), tf.float32), [1, -1])
        self._tensors[key] = flat
        size = flat.shape.num_elements()
        if size is not None and size > _STACK_ENTRIES:
            self._moments[key] = measure(flat)

    def scalar(self, key: ScalarKey, value: Any) -> None:
        """Note a single number."""
        self._scalars[key] = tf.reshape(tf.cast(value, tf.float32), [])

    def units(self, layer: str, silent: Any) -> None:
        """Note which units of a layer were zero throughout: float32 ``[units]`` with a static shape."""
        self._units[layer] = silent

    def drop(self, kind: str, name: str) -> None:
        """Forget a tensor noted before."""
        for key in [key for key in self.noted(kind) if key.name == name]:
            del self._tensors[key]
            self._moments.pop(key, None)

    def flush(self) -> None:
        """End the step: measure what was noted and write it into the buffers."""
        self._active = False
        self._measure_stacks()
        layout = Layout(
            tensors=tuple(self._tensors),
            scalars=tuple(self._scalars),
            units=tuple((layer, int(silent.shape[0])) for layer, silent in self._units.items()),
        )
        moments = tf.concat([self._moments[key][0] for key in layout.tensors] or [tf.zeros([0, len(MOMENTS)])], axis=0)
        histograms = tf.concat(
            [self._moments[key][1] for key in layout.tensors] or [tf.zeros([0, 2048], tf.int32)], axis=0
        )
        scalars = tf.stack(list(self._scalars.values())) if self._scalars else tf.zeros([0])
        units = tf.concat(list(self._units.values()) or [tf.zeros([0])], axis=0)
        moments = tf.ensure_shape(moments, [len(layout.tensors), len(MOMENTS)])
        histograms = tf.ensure_shape(histograms, [len(layout.tensors), 2048])
        number = next((i for i, buffers in enumerate(self._buffers) if buffers.layout == layout), None)
        if number is None:
            number = len(self._buffers)
            self._buffers.append(_Buffers(layout, moments, histograms, scalars, units))
        self._buffers[number].write(moments, histograms, scalars, units)
        self._stamp.assign(number)
        self._reset()

    def _measure_stacks(self) -> None:
        groups: dict[Any, list[TensorKey]] = defaultdict(list)
        for key, flat in self._tensors.items():
            if key not in self._moments:
                size = flat.shape.num_elements()
                groups[key if size is None else size].append(key)
        for keys in groups.values():
            moments, histograms = measure(tf.concat([self._tensors[key] for key in keys], axis=0))
            for row, key in enumerate(keys):
                self._moments[key] = (moments[row : row + 1], histograms[row : row + 1])

    def read(self) -> Measured | None:
        """The numbers of the step that just ran; None if it wrote none."""
        number = int(self._stamp.numpy())
        if number < 0:
            return None
        self._stamp.assign(-1)
        return self._buffers[number].read()


def _current_graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
