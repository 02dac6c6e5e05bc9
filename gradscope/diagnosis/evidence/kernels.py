"""The weight matrices and convolution kernels that the optimizer changes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.model_card import VariableCard
from gradscope.run import Run, TensorKey

__all__ = ["Kernel", "kernels"]

FloatArray = npt.NDArray[np.floating]
_MATRIX = 2


@dataclass(frozen=True, eq=False)
class Kernel:
    """One trainable variable with at least two axes; the series have shape ``[steps]``, NaN where not recorded."""

    name: str
    layer: Layer
    role: str
    """``kernel``, ``embeddings``, …; ``kernel`` where there is no model card."""
    fan_in: int | None
    fan_out: int | None
    weight_rms: FloatArray
    update_to_weight_ratio: FloatArray
    """‖update‖ / ‖weight‖; NaN where the weight is zero."""
    drift: float = float("nan")
    """How far mean, std, min or max of the weights moved from the first to the last sample, over their largest rms.

    Says little where updates were recorded, but a log of weights and gradients alone has nothing else; NaN if unknown.
    """
    largest_drift: float = float("nan")
    """The largest drift among all variables of the run, biases included."""


def kernels(run: Run, layers: tuple[Layer, ...]) -> tuple[Kernel, ...]:
    """The trainable kernels in forward order; frozen variables, biases and scale vectors are left out.

    Without a model card a variable counts as a kernel if its name ends with ``kernel``.
    """
    by_name = {layer.name: layer for layer in layers}
    cards = {variable.name: variable for variable in run.model.variables}
    found = []
    drifts = {name: _drift(run, name) for name in run.names("weight")}
    largest = max(drifts.values(), key=np.nan_to_num, default=float("nan"))
    for key in _variables(run):
        card = cards.get(key.name)
        layer = by_name.get(key.layer)
        if layer is not None and (_is_kernel(card) if card else key.name.endswith("kernel")):
            fan_in, fan_out = _fans(layer, card)
            found.append(
                Kernel(
                    key.name,
                    layer,
                    card.role if card else "kernel",
                    fan_in,
                    fan_out,
                    run.series("weight", key.name, "rms"),
                    _update_ratio(run, key.name),
                    drifts.get(key.name, float("nan")),
                    largest,
                )
            )
    position = {layer.name: index for index, layer in enumerate(layers)}
    return tuple(sorted(found, key=lambda kernel: position[kernel.layer.name]))


def _variables(run: Run) -> tuple[TensorKey, ...]:
    unique = {key.name: key for key in run.tensors if key.kind in ("weight", "gradient", "update")}
    return tuple(unique.values())


def _is_kernel(card: VariableCard) -> bool:
    if not card.shape and card.role == "kernel":
        return True  # another tool's log tells no shapes
    # Attention and GRU layers have biases with two axes.
    matrix = len(card.shape) >= _MATRIX and min(card.shape) > 0 and not card.role.endswith("bias")
    return card.trainable and card.optimized and matrix


def _fans(layer: Layer, card: VariableCard | None) -> tuple[int | None, int | None]:
    if layer.card is not None and layer.card.fan_in is not None:
        return layer.card.fan_in, layer.card.fan_out
    if card is None or len(card.shape) < _MATRIX:
        return None, None
    field = prod(card.shape[:-2])
    return field * card.shape[-2], field * card.shape[-1]


def _drift(run: Run, name: str) -> float:
    table = np.stack([run.series("weight", name, statistic) for statistic in ("mean", "std", "min", "max", "rms")])
    known = table[:, np.isfinite(table).all(axis=0)].astype(np.float64)
    if known.shape[1] < _MATRIX or not known[-1].max() > 0:
        return float("nan")
    return float(np.abs(known[:-1, -1] - known[:-1, 0]).max() / known[-1].max())


def _update_ratio(run: Run, name: str) -> FloatArray:
    for kind in ("update", "weight"):
        ratio = run.series(kind, name, "update_to_weight_ratio")
        if np.isfinite(ratio).any():
            break
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = run.series("update", name, "norm") / run.series("weight", name, "norm")
    return np.where(np.isfinite(ratio), ratio, np.nan)
