"""Singular values of the Jacobian of one layer, or of a whole network, at single examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.recording.frameworks import tf
from gradscope.recording.lanczos import golub_kahan_lanczos

__all__ = ["EXACT_ENTRIES", "Function", "SingularValues", "singular_values"]

FloatArray = npt.NDArray[np.floating]

EXACT_ENTRIES = 2**18
"""Jacobians of up to so many entries (512 x 512) are made and decomposed; larger ones are estimated."""
_PULLED_ENTRIES = 2**22
"""Of up to so many entries a Jacobian is made from products Jᵀ u alone where TensorFlow has none of J v."""
_EXACT_SIDE = 32  # a Jacobian with so short a side costs no more products than an estimate
_ROWS = 128  # products that are taken at once
_STEPS = 32
_VECTORS = 4
_LARGE = 2**15  # sum of both sides beyond which one vector is enough: the error falls as 1 / sqrt(side)


class Function:
    """A call of a layer, as a function of its floating-point inputs, example by example.

    Args:
        layer: what was called; it is called again, with the same arguments but for the examples.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call. Tensors whose first axis has the size of the batch are taken apart into
            examples, of all arguments; derivatives are by those with a floating dtype, taken together.
        batch: number of examples of the call.
    """

    def __init__(self, layer: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], batch: int) -> None:
        self._layer = layer
        self._structure = (list(args), dict(kwargs))
        self._leaves = tf.nest.flatten(self._structure)
        self._batched = [
            place
            for place, leaf in enumerate(self._leaves)
            if tf.is_tensor(leaf) and leaf.shape.rank and leaf.shape[0] == batch
        ]
        floating = {id(self._leaves[place]) for place in self._batched if self._leaves[place].dtype.is_floating}
        # A tensor that is handed over twice, as query and as key, is one input.
        self.inputs = [self._leaves[place] for place in self._batched if id(self._leaves[place]) in floating]
        self.inputs = list({id(tensor): tensor for tensor in self.inputs}.values())

    def at(self, rows: npt.NDArray[np.integer]) -> Point:
        """The function at these examples of the batch; int ``[m]``, repeated as you like."""
        return Point(self, rows)

    def arguments(self, rows: npt.NDArray[np.integer]) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """The inputs at ``rows``, and what computes the first floating output from them."""
        inputs = [tf.gather(tensor, rows) for tensor in self.inputs]
        others = {place: tf.gather(self._leaves[place], rows) for place in self._batched}
        position = {id(tensor): number for number, tensor in enumerate(self.inputs)}

        def call(tensors: list[Any]) -> Any:
            leaves = list(self._leaves)
            for place in self._batched:
                number = position.get(id(leaves[place]))
                leaves[place] = others[place] if number is None else tensors[number]
            args, kwargs = tf.nest.pack_sequence_as(self._structure, leaves)
            outputs = tf.nest.flatten(self._layer(*args, **kwargs))
            return next(tensor for tensor in outputs if tf.is_tensor(tensor) and tensor.dtype.is_floating)

        return inputs, call


class Point:
    """A function at ``m`` examples: its products with vectors, which float64 arrays hold."""

    def __init__(self, function: Function, rows: npt.NDArray[np.integer]) -> None:
        self._inputs, self._call = function.arguments(rows)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as self._tape:
            self._tape.watch(self._inputs)
            self._output = self._call(self._inputs)
        self.input_size = sum(int(np.prod(tensor.shape[1:])) for tensor in self._inputs)
        self.output_size = int(np.prod(self._output.shape[1:]))

    def pulled_back(self, u: FloatArray) -> FloatArray:
        """Jᵀ u for each example: ``[m, output_size] -> [m, input_size]``."""
        weights = tf.reshape(tf.cast(u, self._output.dtype), self._output.shape)
        parts = self._tape.gradient(
            self._output, self._inputs, output_gradients=weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return np.concatenate([_flat(part) for part in parts], axis=1)

    def pushed_forward(self, v: FloatArray) -> FloatArray:
        """J v for each example: ``[m, input_size] -> [m, output_size]``."""
        ends = np.cumsum([int(np.prod(tensor.shape[1:])) for tensor in self._inputs])[:-1]
        tangents = [
            tf.reshape(tf.cast(part, tensor.dtype), tensor.shape)
            for part, tensor in zip(np.split(v, ends, axis=1), self._inputs, strict=True)
        ]
        with tf.autodiff.ForwardAccumulator(self._inputs, tangents) as accumulator:
            output = self._call(self._inputs)
        return _flat(accumulator.jvp(output, unconnected_gradients=tf.UnconnectedGradients.ZERO))


@dataclass(frozen=True)
class SingularValues:
    """Singular values of a Jacobian over some examples of a batch.

    There are as many per example as the Jacobian's shorter side has; ``nan`` throughout where there is no Jacobian.
    """

    mean: float
    """Over all singular values and examples."""
    mean_error: float
    """Standard error of ``mean``, over examples and, for an estimate, start vectors; NaN with a single one."""
    rms: float
    """Square root of the mean of σ²: ‖J‖_F / √(shorter side). A random vector is enlarged by about this factor."""
    largest: float
    """The largest at any example. An estimate may be too low, by up to ``largest_error`` if it has converged."""
    largest_error: float
    smallest: float
    """The smallest at any example; of an estimate an upper bound."""
    condition_number: float
    """The greatest ratio of an example's largest to its smallest; infinite where that is zero up to float32 rounding.
    Of an estimate a lower bound."""
    exact: bool

    @classmethod
    def unknown(cls) -> SingularValues:
        """Of what has no Jacobian: an input of whole numbers, for example."""
        nan = float("nan")
        return cls(nan, nan, nan, nan, nan, nan, nan, exact=False)


def singular_values(
    function: Function, examples: npt.NDArray[np.integer], *, seed: int = 0, exact_entries: int = EXACT_ENTRIES
) -> SingularValues:
    """Singular values of the Jacobian of ``function`` at each of ``examples``.

    Args:
        function: what is differentiated. Its examples must not act on each other.
        examples: int ``[m]``, at least one, rows of the batch.
        seed: of the start vectors of an estimate.
        exact_entries: Jacobians of up to so many entries, and those with a side of at most 32, are made from products
            with unit vectors and decomposed by LAPACK; larger ones are estimated by 32 steps of Golub-Kahan-Lanczos
            from 4 random vectors (1 where the sides add up to more than 32,768) per example. Where TensorFlow lacks a
            second derivative (softsign), those of up to 2^22 entries are made and decomposed.
    """
    if not function.inputs:
        return SingularValues.unknown()
    point = function.at(examples[:1])
    sides = (point.output_size, point.input_size)
    if not min(sides):
        return SingularValues.unknown()
    entries = sides[0] * sides[1]
    try:
        if entries > exact_entries and min(sides) > _EXACT_SIDE:
            return _estimated(function, examples, sides, seed)
        return _exact(function, examples, sides, pulled=sides[0] <= sides[1])
    except LookupError:
        # J v takes a second derivative, which TensorFlow lacks of some operations, softsign among them; Jᵀ u does not.
        if entries > _PULLED_ENTRIES:
            raise
        return _exact(function, examples, sides, pulled=True)


def _exact(
    function: Function, examples: npt.NDArray[np.integer], sides: tuple[int, int], *, pulled: bool
) -> SingularValues:
    matrices = (_jacobian(function, example, sides, pulled=pulled) for example in examples)
    return _summary_of(np.stack([np.linalg.svd(matrix, compute_uv=False) for matrix in matrices]))


def _jacobian(function: Function, example: int, sides: tuple[int, int], *, pulled: bool) -> FloatArray:
    """``[output size, input size]`` at one example, by products Jᵀ u with unit vectors, or J v where not ``pulled``."""
    size = sides[0] if pulled else sides[1]
    blocks = []
    for first in range(0, size, _ROWS):
        unit = np.eye(min(_ROWS, size - first), size, first)
        point = function.at(np.full(len(unit), example))
        blocks.append(point.pulled_back(unit) if pulled else point.pushed_forward(unit))
    rows = np.concatenate(blocks)
    return rows if pulled else rows.T


def _summary_of(values: FloatArray) -> SingularValues:
    """From float64 ``[examples, values]``, each row descending."""
    zero = np.finfo(np.float32).eps * values.shape[1] * values[:, 0]
    smallest = np.where(values[:, -1] > zero, values[:, -1], 0.0)
    return _summary(values.mean(axis=1), (values**2).mean(axis=1), values[:, 0], 0.0, smallest, exact=True)


def _estimated(
    function: Function, examples: npt.NDArray[np.integer], sides: tuple[int, int], seed: int
) -> SingularValues:
    output_size, input_size = sides
    rows = np.repeat(examples, 1 if output_size + input_size > _LARGE else _VECTORS)
    point = function.at(rows)
    start = np.random.default_rng(seed).normal(size=(len(rows), min(sides)))
    products = (point.pulled_back, point.pushed_forward)
    forth, back = products if output_size <= input_size else products[::-1]
    found = golub_kahan_lanczos(forth, back, start, _STEPS)
    # Each value the most that is known of its example: the bounds of all its start vectors hold.
    of_example = (len(examples), -1)
    best = found.largest.reshape(of_example).argmax(axis=1)
    largest, error = (
        np.take_along_axis(array.reshape(of_example), best[:, None], axis=1)[:, 0]
        for array in (found.largest, found.largest_error)
    )
    smallest = found.smallest.reshape(of_example).min(axis=1)
    return _summary(found.mean, found.mean_square, largest, float(error[largest.argmax()]), smallest, exact=False)


def _summary(
    means: FloatArray,
    squares: FloatArray,
    largest: FloatArray,
    largest_error: float,
    smallest: FloatArray,
    *,
    exact: bool,
) -> SingularValues:
    ratios = np.divide(largest, smallest, out=np.full(len(largest), np.inf), where=smallest > 0)
    return SingularValues(
        mean=float(means.mean()),
        mean_error=float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan"),
        rms=float(np.sqrt(squares.mean())),
        largest=float(largest.max()),
        largest_error=largest_error,
        smallest=float(smallest.min()),
        condition_number=float(ratios.max()),
        exact=exact,
    )


def _flat(tensor: Any) -> FloatArray:
    array: FloatArray = tf.cast(tensor, tf.float64).numpy()
    return array.reshape(len(array), -1)
