"""How the back-propagated gradient and the signal change across depth, relative to the network's output.

Norms are compared, not rms: He initialisation keeps ‖∂loss/∂a‖ from layer to layer whatever their sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer, input_names
from gradscope.diagnosis.evidence.window import Window, median
from gradscope.diagnosis.rule import NotJudged
from gradscope.run import Run

__all__ = ["Flow", "flow"]

FloatArray = npt.NDArray[np.floating]
_OFTEN = 0.2


@dataclass(frozen=True, eq=False)
class Flow:
    """Ratios of shape ``[steps, layers]``, NaN where unknown or 0/0; layers in forward order, without the output."""

    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    gradient: FloatArray
    """‖∂loss/∂a‖ of the layer / the same of the output."""
    signal: FloatArray
    """‖a‖ of the layer / ‖a‖ of the output; NaN where activations were not recorded."""
    measured: str
    """What the gradient ratios were taken from: ``activation gradients`` or ``bias gradients``."""
    head: tuple[int, ...] = ()
    """Columns of the layers with no other of these layers before them; their input-side third, at least one, where the
    connections are unknown."""
    input_reaches_output: bool = False
    """True where a path from the input to an output passes none of these layers."""
    missing: str = ""
    """Why there is no ratio at all; empty where there is one."""

    def require(self) -> None:
        """Raise `NotJudged` with the reason where there is no ratio to judge."""
        if self.missing:
            raise NotJudged(self.missing)

    def level(self, series: FloatArray, window: Window, *, early: bool = False, brief: str = "upper") -> float:
        """Robust level of one column: the median of the samples that are not zero, or 0 if almost all are.

        A unit that is off (ReLU) gives an exact zero at single steps of small batches; that is no sign of illness.
        """
        chosen = window.early if early else window.usable if window.brief else window.late
        values = series[chosen & np.isfinite(series)]
        if not len(values):
            return float("nan")
        positive = values[values > 0]
        if len(positive) < _OFTEN * len(values):
            return 0.0
        if window.brief and not early:
            return float(positive.max() if brief == "upper" else positive.min())
        return median(positive)


def flow(run: Run, layers: tuple[Layer, ...]) -> Flow:
    """Gradient and signal of each learning layer relative to the output.

    A layer whose output is normalised is left out: the normalisation layer behind it stands for it. Where the gradient
    of the output is unknown, or no layer below it learns, there are no layers and ``missing`` says why.
    """
    outputs = tuple(layer.name for layer in layers if layer.is_output)
    gradients, measured = _gradients(run, layers)
    reference = _together([gradients[name] for name in outputs if name in gradients], len(run.steps))
    below = tuple(
        layer
        for layer in layers
        if layer.name not in outputs and layer.name in gradients and layer.learns and not layer.normalised
    )
    missing = ""
    if not np.isfinite(reference).any():
        missing = "the gradient of the network's output was not recorded; record activation gradients"
    elif not below:
        missing = "no trainable layer below the output has a recorded gradient"
    if missing:
        nothing = np.zeros((len(run.steps), 0))
        return Flow((), outputs, nothing, nothing, measured, missing=missing)
    head, bypassed = _first_columns(below, layers)
    signal = _together([_norm(run, "activation", name) for name in outputs], len(run.steps))
    return Flow(
        below,
        outputs,
        np.stack([_ratio(gradients[layer.name], reference) for layer in below], axis=1),
        np.stack([_ratio(_norm(run, "activation", layer.name), signal) for layer in below], axis=1),
        measured,
        head,
        bypassed,
    )


def _first_columns(below: tuple[Layer, ...], layers: tuple[Layer, ...]) -> tuple[tuple[int, ...], bool]:
    names = {layer.name for layer in below}
    behind = input_names(layers)  # what the input reaches without passing one of these layers
    reached: list[str] = []
    for layer in layers:
        inbound = layer.card.inbound if layer.card else None
        if not inbound:
            return tuple(range(-(-len(below) // 3))), False
        if not behind.isdisjoint(inbound):
            (reached.append if layer.name in names else behind.add)(layer.name)
    columns = tuple(i for i, layer in enumerate(below) if layer.name in reached)
    bypassed = any(layer.is_output and layer.name in behind for layer in layers)
    return columns or (0,), bypassed


def _gradients(run: Run, layers: tuple[Layer, ...]) -> tuple[dict[str, FloatArray], str]:
    gradients = {}
    for layer in layers:
        series = _norm(run, "activation_gradient", layer.name)
        if layer.is_output and not np.isfinite(series).any():
            series = _norm(run, "preactivation_gradient", layer.name)
        if np.isfinite(series).any():
            gradients[layer.name] = series
    if len(gradients) > 1:
        return gradients, "activation gradients"
    # The gradient of a bias is the back-propagated gradient, summed over the batch.
    roles = {variable.name: variable.role for variable in run.model.variables}
    biases = {
        key.layer: _norm(run, "gradient", key.name)
        for key in run.tensors
        if key.kind == "gradient" and (key.name.endswith("bias") or roles.get(key.name) == "bias")
    }
    if len(biases) > 1:
        return biases, "bias gradients"
    return gradients, "activation gradients"


def _norm(run: Run, kind: str, name: str) -> FloatArray:
    norm = run.series(kind, name, "norm").astype(np.float64)
    if np.isfinite(norm).any():
        return norm
    return run.series(kind, name, "rms").astype(np.float64) * np.sqrt(run.series(kind, name, "count"))


def _together(norms: list[FloatArray], steps: int) -> FloatArray:
    known = [norm for norm in norms if np.isfinite(norm).any()]
    return np.asarray(np.sqrt(np.sum(np.square(known), axis=0))) if known else np.full(steps, np.nan)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    known = (whole > 0) & np.isfinite(whole) & np.isfinite(part)
    ratio: FloatArray = np.divide(part, whole, out=np.full(len(part), np.nan), where=known)
    return ratio
