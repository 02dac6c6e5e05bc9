"""How much each layer's weights enlarge or shrink the signal, at the first sampled step and lately."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from gradscope.diagnosis.evidence.kernels import Kernel
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import finite_window, median
from gradscope.run import Run

__all__ = ["LayerGain", "gains"]

# Their kernels are no matrix between two layers' units: one row per word, one filter per channel, gates, heads.
_OTHER_KINDS = ("Embedding", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
_GATED = ("LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_ONE_SIGN = 0.5  # of the rms: random weights about zero have means of a tenth and less
_RECTIFIERS = ("rectifier", "leaky", "half_saturating")


@dataclass(frozen=True)
class LayerGain:
    """The effective gain of one layer: rms(weight) · √fan_in / the gain its activation asks for; about 1 is healthy."""

    layer: Layer
    initial: float
    """At the first sampled step."""
    late: float
    """Over the last third of the steps."""
    smallest_usual: float
    """The gain that the smaller of He and Glorot initialisation gives this layer; below 1 where fan_out is large."""
    largest_usual: float
    """The gain that the larger of both gives."""
    recurrent: bool = False
    """True for the kernel that takes a recurrent layer's own state: its gain acts once per step of the sequence."""
    looked_up: bool = False
    """True for the vectors of an embedding, of which one is taken at a time: their gain is their rms."""
    one_sign: bool = False
    """True where nearly all initial weights have the same sign, so that they add up over the inputs."""

    def shortfall(self, gain: float) -> float:
        """``gain`` over the smallest usual one: below 1 the weights are smaller than any common initialiser's.

        Infinite for the state of an LSTM or GRU: gates keep what small weights would lose; and for an embedding.
        """
        return gain / self.smallest_usual if self.smallest_usual else inf

    def excess(self, gain: float) -> float:
        """``gain`` over the largest usual one: above 1 the weights are larger than any common initialiser's."""
        return gain / self.largest_usual


def gains(run: Run, kernels: tuple[Kernel, ...], nonfinite: Nonfinite) -> tuple[LayerGain, ...]:
    """Gains of the layers with one ordinary kernel of known fan-in, in forward order.

    Left out: layers that a normalisation follows and depthwise kernels; of a recurrent layer only the kernel of its
    state counts, which an orthogonal matrix gives the gain 1; an embedding's vectors are held against normal ones of
    unit variance. Recommended gains are √2 before ReLU and its kin and 1 otherwise (He et al. 2015, Glorot & Bengio
    2010), 1 for SELU.
    """
    window = finite_window(run, nonfinite)
    owned = Counter(kernel.layer.name for kernel in kernels)
    found = []
    for kernel in kernels:
        alone = owned[kernel.layer.name] == 1
        ordinary = kernel.role == "recurrent_kernel" or (alone and (kernel.role == "kernel" or _is_matrix(kernel)))
        kind = kernel.layer.card.kind if kernel.layer.card else ""
        rms = kernel.weight_rms
        # Weights are measured before the step, so those of a broken step may still be sound.
        first = rms[np.isfinite(rms)][:1]
        if kernel.role == "embeddings" and not kernel.layer.normalised and len(first):
            late = median(rms[window.late])
            late = late if np.isfinite(late) else float(first[0])
            found.append(LayerGain(kernel.layer, float(first[0]), late, 0.0, 1.0, looked_up=True))
            continue
        if not ordinary or kernel.layer.normalised or kind in _OTHER_KINDS or not kernel.fan_in or not len(first):
            continue
        if kernel.role == "recurrent_kernel":
            gain = float(first[0]) * sqrt(kernel.fan_in)
            usual = 0.0 if kind in _GATED else 1.0
            found.append(LayerGain(kernel.layer, gain, gain, usual, 1.0, recurrent=True))
            continue
        recommended = _recommended(kernel.layer)
        scale = sqrt(kernel.fan_in) / recommended
        glorot = sqrt(2 / (kernel.fan_in + (kernel.fan_out or kernel.fan_in))) * scale
        mean = np.abs(run.series("weight", kernel.name, "mean").astype(np.float64))
        one_sign = mean > _ONE_SIGN * rms
        size = np.where(one_sign, np.fmax(rms, mean * sqrt(kernel.fan_in)), rms)
        initial = float(size[np.isfinite(rms)][0]) * scale
        late = median(size[window.late]) * scale
        found.append(
            LayerGain(
                kernel.layer,
                initial,
                late if np.isfinite(late) else initial,
                min(1.0, glorot),
                max(1.0, glorot),
                one_sign=bool(one_sign[np.isfinite(rms)][0]),
            )
        )
    return tuple(found)


def _is_matrix(kernel: Kernel) -> bool:
    """Whether the only kernel of a layer of one's own leads from all of its inputs to all of its units."""
    card = kernel.layer.card
    if card is None or kernel.role == "embeddings" or not card.input_shapes or not card.input_shapes[0]:
        return False
    return (kernel.fan_in, kernel.fan_out) == (card.input_shapes[0][-1], card.units)


def _recommended(layer: Layer) -> float:
    selu = layer.activation == "selu"
    return sqrt(2) if layer.shape in _RECTIFIERS and not selu else 1.0
