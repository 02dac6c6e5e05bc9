"""Collector: gathers the tensors of one training step, measures them in graph and carries the numbers out.

Numbers leave the graph through one `tf.Variable`, written inside the step and read once after it. That works in a
`tf.function`, under XLA, inside the loop of ``steps_per_execution`` and eagerly alike.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.histograms import BUCKETS
from gradscope.recording.frameworks import tf
from gradscope.recording.large_tensors import SAMPLE_ENTRIES, measure_change, measure_large, measure_samples
from gradscope.recording.replica import Replica
from gradscope.recording.sparse import fill_in_zeros, summed_rows
from gradscope.recording.statistics import MOMENTS, dot, example_std, flattened, leading_unit, measure
from gradscope.run import TensorKey

__all__ = ["Collector", "Layout", "Measured"]

_STACK_ENTRIES = 2 * SAMPLE_ENTRIES
"""Tensors up to this size wait for others of their size and are measured together; larger ones at once and alone."""

_MOST_COLUMNS = 4096  # a table has fewer

ScalarKey = tuple[str, str, str]
"""(kind, name, statistic) of a tensor's scalar, or ("step", "", statistic)."""


@dataclass(frozen=True)
class Layout:
    """What one trace of the step measures, in order."""

    tensors: tuple[TensorKey, ...]
    scalars: tuple[ScalarKey, ...]
    units: tuple[tuple[str, int], ...]
    """(layer, number of units) of each stretch of the silent-unit numbers."""

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Lengths of the parts of a buffer: moments, histograms, scalars, silent units."""
        rows = len(self.tensors)
        return rows * len(MOMENTS), rows * BUCKETS, len(self.scalars), sum(units for _, units in self.units)


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

    @classmethod
    def unpack(cls, layout: Layout, numbers: npt.NDArray[np.float32]) -> Measured:
        """From the numbers of a buffer, float32 ``[sum(layout.sizes)]``."""
        ends = np.cumsum(layout.sizes)
        moments, histograms, scalars, silent = np.split(numbers, ends[:-1])
        moments = moments.reshape(-1, len(MOMENTS))
        counts = histograms.reshape(-1, BUCKETS).astype(np.int32)
        counts[:, -1] = 0  # where the graph counted NaN and infinities
        row = {(key.kind, key.name): number for number, key in enumerate(layout.tensors)}
        for (kind, name, statistic), value in zip(layout.scalars, scalars, strict=True):
            if statistic == "further_zeros":
                fill_in_zeros(moments[row[kind, name]], counts[row[kind, name]], float(value))
        return cls(layout, moments, counts, scalars, silent)

    def with_scalar(self, key: ScalarKey, value: float) -> Measured:
        """These numbers and one more, which the host knows."""
        return replace(
            self,
            layout=replace(self.layout, scalars=(*self.layout.scalars, key)),
            scalars=np.append(self.scalars, np.float32(value)),
        )

    def joined(self, probe: Measured) -> Measured:
        """These numbers and those of a probe batch, whose tensors are of kind ``probe_activation`` and so on."""
        seen = probe.layout
        layout = Layout(
            self.layout.tensors + tuple(TensorKey(f"probe_{k.kind}", k.name, k.layer) for k in seen.tensors),
            self.layout.scalars + tuple((f"probe_{kind}", name, what) for kind, name, what in seen.scalars),
            self.layout.units,
        )
        return Measured(
            layout,
            np.concatenate([self.moments, probe.moments]),
            np.concatenate([self.histograms, probe.histograms]),
            np.concatenate([self.scalars, probe.scalars]),
            self.silent_units,
        )


class _Buffer:
    """The variable that holds the numbers of one layout between the step and the host: a serial number, then they."""

    def __init__(self, layout: Layout, replica: Replica | None) -> None:
        self.layout = layout
        self.serial = 0.0
        size = 1 + sum(layout.sizes) * (replica.count if replica else 1)

        def make() -> Any:
            # A step that is seen to make variables is traced a second time, to have a form that makes none.
            return tf.Variable(tf.zeros([size]), trainable=False, experimental_enable_variable_lifting=False)

        if replica:
            self.variable = replica.outside(make)
        else:
            with tf.init_scope():
                self.variable = make()

    def read(self) -> npt.NDArray[np.float32] | None:
        """The numbers, of one replica after the other, if they were written since they were last read."""
        numbers: npt.NDArray[np.float32] = self.variable.numpy()
        if numbers[0] == self.serial:
            return None
        self.serial = float(numbers[0])
        return numbers[1:]


class Collector:
    """Between `begin` and `flush` of one step: `tensor`, `scalar` and `units` note what is to be measured.

    A step is traced once per kind of batch, and traces that differ in what they measure have buffers of their own.

    Args:
        replica: the one whose step it is, if there are several; their numbers then go together into one buffer.
    """

    def __init__(self, replica: Replica | None = None) -> None:
        self.replica = replica
        self._buffers: list[_Buffer] = []
        self._active = False
        self._graph: Any = None
        self._reset()

    def _reset(self) -> None:
        self._tensors: dict[TensorKey, Any] = {}
        self._moments: dict[TensorKey, Any] = {}
        self._scalars: dict[ScalarKey, Any] = {}
        self._units: dict[str, Any] = {}

    def begin(self) -> None:
        """Start a step, in the graph (or eager context) of the caller."""
        self._reset()
        self._graph = _current_graph()
        self._active = True

    def abandon(self) -> None:
        """Forget the step that was begun."""
        self._active = False
        self._reset()

    @property
    def active(self) -> bool:
        """Whether a step is being noted, be it in this graph or around it."""
        return self._active

    @property
    def listening(self) -> bool:
        """Whether the caller stands in the step's own graph: tensors of an inner one (a loop's) may not leave it.

        `tf.vectorized_map` writes the body of its loop into the graph around it, where it stands for no iteration.
        """
        return self._active and _current_graph() is self._graph and "loop_body" not in tf.get_current_name_scope()

    def noted(self, kind: str) -> list[TensorKey]:
        """The tensors of that kind noted in this step."""
        return [key for key in self._tensors if key.kind == kind]

    def has(self, kind: str, name: str) -> bool:
        """Whether a tensor of that kind and name was noted in this step."""
        return any(key.name == name for key in self.noted(kind))

    def tensor(self, key: TensorKey, value: Any) -> None:
        """Note a tensor of any shape and real dtype, or `tf.IndexedSlices`; the first of its key wins."""
        if key in self._tensors:
            return
        if isinstance(value, tf.IndexedSlices) and value.dense_shape is not None:
            value, zeros = summed_rows(value)
            self.scalar((key.kind, key.name, "further_zeros"), zeros)
        flat = flattened(value)
        if _is_small(flat):
            self._tensors[key] = flat
        else:
            self._moments[key], self._tensors[key] = measure_large(flat)

    def change(self, key: TensorKey, after: Any, before: Any, gradient: Any) -> Any:
        """Note ``after - before``, the first of its key; returns the sum of it times ``gradient``, of the same shape.

        ``gradient`` may be `tf.IndexedSlices`.
        """
        if key in self._tensors or _is_small(before) or isinstance(gradient, tf.IndexedSlices):
            change = after - before
            self.tensor(key, change)
            return dot(gradient, change)
        self._moments[key], self._tensors[key], product = measure_change(*map(flattened, (after, before, gradient)))
        return product

    def scalar(self, key: ScalarKey, value: Any) -> None:
        """Note a single number."""
        self._scalars[key] = tf.reshape(tf.cast(value, tf.float32), [])

    def example_std(self, kind: str, name: str, value: Any) -> None:
        """Note how much a tensor differs between its examples, those of its first axis; of a scalar nothing."""
        if value.shape.rank:
            values = tf.cast(value, tf.float32)
            values = tf.reshape(values, [tf.shape(values)[0], -1]) if value.shape.rank != 2 else values
            self.scalar((kind, name, "example_std"), example_std(values))

    def leading_unit(self, kind: str, name: str, value: Any) -> None:
        """Note which unit of a tensor, along its last axis, varies most, and by how much more than the others."""
        units = value.shape[-1] if value.shape.rank and value.shape.rank > 1 else None
        if units is not None and 1 < units <= _MOST_COLUMNS:
            ratio, number = leading_unit(tf.reshape(tf.cast(value, tf.float32), [-1, units]))
            self.scalar((kind, name, "leading_unit_ratio"), ratio)
            self.scalar((kind, name, "leading_unit"), number)

    def noted_scalar(self, key: ScalarKey) -> Any:
        """That number of this step, or None."""
        return self._scalars.get(key)

    def units(self, layer: str, silent: Any) -> None:
        """Note which units of a layer were zero throughout: float32 ``[units]`` with a static shape."""
        self._units[layer] = silent

    def drop(self, kind: str, name: str) -> None:
        """Forget a tensor noted before."""
        for key in [key for key in self.noted(kind) if key.name == name]:
            del self._tensors[key]
            self._moments.pop(key, None)

    def pack(self) -> tuple[Layout, Any]:
        """Add the measuring operations: what the numbers stand for, and they, float32 ``[sum(layout.sizes)]``."""
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

    def flush(self) -> None:
        """End the step: measure what was noted and write it into its buffer."""
        self._active = False
        layout, numbers = self.pack()
        if self.replica is None:
            self._write(layout, numbers)
        else:
            together = self.replica.gathered(numbers)
            if self.replica.writes:
                self._write(layout, tf.reshape(together, [-1]))
        self._reset()

    def _write(self, layout: Layout, packed: Any) -> None:
        buffer = next((buffer for buffer in self._buffers if buffer.layout == layout), None)
        if buffer is None:
            buffer = _Buffer(layout, self.replica)
            self._buffers.append(buffer)
        numbers = tf.concat([[buffer.variable[0] + 1.0], packed], axis=0)
        buffer.variable.assign(tf.ensure_shape(numbers, buffer.variable.shape))

    def _measure_stacks(self) -> tuple[Any, Any]:
        """Moments and histograms of all tensors, in order: small ones by size, the samples of the others at once."""
        groups: dict[int, list[TensorKey]] = defaultdict(list)
        for key, flat in self._tensors.items():
            groups[-1 if key in self._moments else flat.shape.num_elements()].append(key)
        moments, histograms = [], []
        for keys in groups.values():
            stack = tf.stack([self._tensors[key] for key in keys])
            if keys[0] in self._moments:
                some_moments, some_histograms = measure_samples(tf.stack([self._moments[key] for key in keys]), stack)
            else:
                some_moments, some_histograms = measure(stack)
            moments.append(some_moments)
            histograms.append(some_histograms)
        if not groups:
            return tf.zeros([0, len(MOMENTS)]), tf.zeros([0, BUCKETS], tf.int32)
        measured = [key for keys in groups.values() for key in keys]
        order = [measured.index(key) for key in self._tensors]
        return tf.gather(tf.concat(moments, axis=0), order), tf.gather(tf.concat(histograms, axis=0), order)

    def read_replicas(self) -> list[Measured]:
        """The numbers of the step that just ran, of each replica (or the sole one); none if it wrote none.

        Reads one buffer as long as batches are of one kind: the one that was written last is looked at first.
        """
        for buffer in list(self._buffers):
            numbers = buffer.read()
            if numbers is not None:
                self._buffers.remove(buffer)
                self._buffers.insert(0, buffer)
                size = sum(buffer.layout.sizes)
                starts = range(0, size * (self.replica.count if self.replica else 1), max(size, 1))
                return [Measured.unpack(buffer.layout, numbers[start : start + size]) for start in starts]
        return []


def _is_small(tensor: Any) -> bool:
    size = tensor.shape.num_elements()
    return size is not None and size <= _STACK_ENTRIES


def _current_graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
