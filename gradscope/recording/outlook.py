"""Outlook: from one batch's signal and gradient to what training will meet."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.evidence.flow import Flow
from gradscope.diagnosis.rules.exploding_gradient import ExplodingGradient
from gradscope.diagnosis.rules.vanishing_gradient import VanishingGradient
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = ["Outlook", "outlook"]

_DOUBT = 10.0  # within this factor of the limit of exploding-gradient training may still go either way


@dataclass(frozen=True)
class Outlook:
    """How much of the gradient that leaves the network's output reaches its first layer."""

    word: str
    """``will vanish``, ``may vanish``, ``will arrive``, ``may explode``, ``will explode`` or ``unknown``."""
    gradient_ratio: float
    """‖∂loss/∂a‖ of the first layer over that of the output; of several first layers the best connected. NaN: unknown.
    The limits are those of the rules: below 1e-3, where vanishing-gradient fires whatever the loss, it will vanish;
    below 1e-2, where it fires if the loss stands still, it may. Beyond 1e3 it will explode, beyond 100 it may."""
    depth: int
    """Layers with a kernel behind that first layer, the output included."""
    reason: str = ""
    """Why nothing is known."""

    @property
    def per_layer(self) -> float:
        """The geometric mean over the layers; NaN where nothing is known."""
        if not self.depth or not isfinite(self.gradient_ratio):
            return nan
        return float(self.gradient_ratio ** (1.0 / self.depth))

    @property
    def sentence(self) -> str:
        """``will vanish: 0.3 per layer over 12 layers ≈ 5.3e-07``: a clause about the gradient, without a full stop."""
        if not isfinite(self.gradient_ratio):
            return f"unknown: {self.reason}"
        layers = f"{self.depth} layer{'s' if self.depth > 1 else ''}"
        return f"{self.word}: {number(self.per_layer)} per layer over {layers} ≈ {number(self.gradient_ratio)}"


def outlook(run: Run) -> Outlook:
    """Judge a run of one step in which nothing was trained."""
    flow: Flow = Evidence(run)["flow"]
    if flow.missing:
        return Outlook("unknown", nan, 0, flow.missing)
    best = max(flow.head, key=lambda column: np.nan_to_num(flow.gradient[0, column], nan=-1.0))
    ratio = float(flow.gradient[0, best])
    if not isfinite(ratio):
        return Outlook("unknown", nan, 0, "the gradient is not finite")
    names = [layer.name for layer in run.model.layers]
    behind = run.model.layers[names.index(flow.layers[best].name) + 1 :]
    depth = sum(layer.fan_in is not None and layer.depth is not None for layer in behind)
    return Outlook(_word(ratio), ratio, max(depth, 1))


def _word(ratio: float) -> str:
    vanishing, high = VanishingGradient(), ExplodingGradient().max_gradient_ratio
    if ratio < vanishing.min_gradient_ratio:
        return "will vanish"
    if ratio > high:
        return "will explode"
    if ratio < vanishing.min_gradient_ratio_at_rest:
        return "may vanish"
    return "may explode" if ratio > high / _DOUBT else "will arrive"
