"""What an activation function is like: found by evaluating it and its derivative, so custom ones are known too."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.model_card import ActivationCard
from gradscope.recording.frameworks import keras, tf
from gradscope.vocabulary import SATURATION_BOUND

__all__ = ["activation_name", "derivative", "describe", "evaluable"]

# Wide enough for the flat parts of every common activation, with 0 on the grid for the slope of sigmoid and tanh.
_STEEPEST = 1e3  # beyond it (exp, cosh) a share of the maximum says nothing
_GRID = np.linspace(-30.0, 30.0, 2401, dtype=np.float32)
_READING = ("Placeholder", "VarHandleOp", "ReadVariableOp")


def derivative(function: Callable[[Any], Any], z: Any) -> Any:
    """f'(z), entry by entry, for an elementwise ``function``; shape and dtype of ``z``.

    The function is evaluated once more, apart from the step's own forward pass, so that nothing of the step changes.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(z)
        a = function(z)
    return tape.gradient(a, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def activation_name(function: Any) -> str:
    """Keras' name of an activation function, layer or lambda."""
    if isinstance(function, keras.layers.Layer):
        return str(type(function).__name__)
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


def evaluable(function: Any) -> Callable[..., Any]:
    """The function to evaluate an activation by, apart from the step's own forward pass.

    A layer that serves as one is not called as such: that would build it for what it is tried with.
    """
    return function.call if isinstance(function, keras.layers.Layer) else function  # type: ignore[no-any-return]


def describe(activation: Callable[[Any], Any], name: str) -> ActivationCard:
    """Classify an activation, a function or a layer, by its derivative on a grid from -30 to 30; see `ActivationCard`.

    To be called eagerly. A function that does not take a float32 tensor ``[1, 2401]`` counts as ``joint``, as does one
    whose entries depend on each other, and one that draws random numbers, keeps a state or is made of layers, which is
    not evaluated: nothing is said of the saturation of any of them.
    """
    z, function = tf.constant(_GRID[None, :]), evaluable(activation)
    if isinstance(activation, keras.layers.Layer) and activation._flatten_layers(include_self=False):  # noqa: SLF001
        return ActivationCard(name=name, shape="joint")
    state = random.getstate()
    try:
        if not _is_pure(function):
            return ActivationCard(name=name, shape="joint")
        a = tf.convert_to_tensor(function(z))
        alone = tf.convert_to_tensor(function(z[:, :2]))
    except Exception:  # noqa: BLE001  a user's function may raise anything on a tensor it was not made for
        random.setstate(state)  # Keras 3.3 draws the seed of a generator before it fails to make that in a graph
        return ActivationCard(name=name, shape="joint")
    if a.shape != z.shape or not np.allclose(alone, a[:, :2], atol=1e-6, equal_nan=True):
        return ActivationCard(name=name, shape="joint")
    slope = np.abs(derivative(function, z).numpy()[0])
    return ActivationCard(name=name, shape=_shape(slope, a.numpy()[0]), max_derivative=float(np.nanmax(slope)))


def _is_pure(function: Callable[[Any], Any]) -> bool:
    """Whether evaluating a function once more leaves all as it is, so that the training goes on as it would have."""
    with tf.__internal__.FuncGraph("activation").as_default() as scratch:
        function(tf.zeros([1, len(_GRID)]))
        return not any(op.op_def.is_stateful and op.type not in _READING for op in scratch.get_operations())


def _shape(slope: npt.NDArray[np.floating], values: npt.NDArray[np.floating]) -> str:
    highest = float(np.nanmax(slope))
    flat = slope < SATURATION_BOUND * highest
    if np.allclose(slope, slope[0], rtol=1e-4):
        return "linear"
    if not np.isfinite(highest) or highest > _STEEPEST:
        return "leaky"
    left, right = bool(flat[:100].all()), bool(flat[-100:].all())
    # ReLU6 is flat on the right too, yet what kills its units is the zero on the left.
    if left and not np.any(values[_GRID < -1.0]):
        return "rectifier"
    if left and right:
        return "bounded"
    return "half_saturating" if left or right else "leaky"
