"""What one call of a layer does to the signal that passes through it, and to the gradient that comes back."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from gradscope.model_card import ModelCard
from gradscope.recording.frameworks import tf
from gradscope.recording.jacobian import Function
from gradscope.recording.witness import LayerCall

__all__ = ["backward_gain", "effective_gain", "forward_gain"]


def forward_gain(call: LayerCall, function: Function) -> float:
    """Rms of the output over that of the input; NaN without a floating input, or for one of zeros."""
    return _ratio(_norm([call.output], rms=True), _norm(function.inputs, rms=True))


def backward_gain(call: LayerCall, function: Function, tape: Any, at_output: Any, at_argument: Any) -> float:
    """‖∂loss/∂input‖, by way of this layer alone, over ‖∂loss/∂output‖.

    Args:
        call: the call, on ``tape``.
        function: the same as a function of its floating inputs.
        tape: a persistent one.
        at_output: ∂loss/∂output, or None where the loss is computed from ``call.z``.
        at_argument: ∂loss/∂z, then.
    """
    if not function.inputs:
        return nan
    if at_output is not None:
        batch = int(at_output.shape[0])
        gradient = tf.reshape(tf.cast(at_output, tf.float64), [batch, -1]).numpy()
        # Made again rather than read off the tape, where another layer may connect two inputs of this one.
        pulled = function.at(np.arange(batch)).pulled_back(gradient)
        return _ratio(float(np.linalg.norm(pulled)), float(np.linalg.norm(gradient)))
    if at_argument is None:
        return nan
    parts = tape.gradient(call.z, function.inputs, output_gradients=at_argument)
    return _ratio(_norm([part for part in parts if part is not None]), _norm([at_argument]))


def effective_gain(call: LayerCall, card: ModelCard) -> float:
    """fan_in · Var(w) · E[f'(z)²]; NaN for a layer without a kernel of known fan-in, and for a softmax."""
    known = card.layer(call.path)
    if known is None or known.fan_in is None:
        return nan
    kernel: np.ndarray[Any, np.dtype[np.float64]] = np.asarray(call.layer.kernel, np.float64)
    return float(known.fan_in * np.var(kernel) * call.slope_square)


def _norm(tensors: Sequence[Any], *, rms: bool = False) -> float:
    arrays = [tf.cast(tensor, tf.float64).numpy() for tensor in tensors]
    square = sum(float(np.square(array).sum()) for array in arrays)
    size = sum(array.size for array in arrays) if rms else 1
    return float(np.sqrt(square / size)) if size else nan


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else nan
