"""What batch normalisations normalise by, and what they remember for inference."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, prod, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.window import Window, finite_window, median
from gradscope.model_card import LayerCard
from gradscope.run import Run

__all__ = ["BatchNorm", "batch_norms"]

FloatArray = npt.NDArray[np.floating]

_MOMENTUM = 0.99  # the default of Keras
_GROUPS = 32  # the default of Keras
_VECTORS = 2
_WITHIN_EXAMPLE = ("LayerNormalization", "GroupNormalization")


@dataclass(frozen=True)
class BatchNorm:
    """One trainable normalisation, lately; NaN where not recorded."""

    layer: Layer
    signal: float
    """How far its output varies, over the rms of gamma: about 1 where it normalises, 0 without variance."""
    settled: float
    """Share of the moving statistics that batches of this run make up by now, 1 - momentum^steps; the rest is still
    their initial value."""
    updated: bool
    """False where the moving mean is still exactly zero and the moving variance exactly one."""
    starved: bool
    """True where a layer before it gives nothing but zeros."""
    variance_ratio: float
    """√(moving variance) over the standard deviation that the batches have: 1 where they agree. Known to within the
    variation between channels and positions; the value nearest to 1 is given."""
    mean_distance: float
    """How far the moving mean is from the mean that the batches have, over their standard deviation: 0 where they
    agree. Root mean square over the channels; where the log leaves room for several values, about the least."""
    features: int | None = None
    """Entries of one example that layer or group normalisation takes the spread over; None for others, or unknown."""

    examples: float = nan
    """Over how many vectors a batch normalisation takes its statistics; NaN for maps, whose places count as well."""

    @property
    def within_example(self) -> bool:
        """True for layer and group normalisation, which take no statistics over the batch."""
        return self.layer.card is not None and self.layer.card.kind in _WITHIN_EXAMPLE


def batch_norms(run: Run, layers: tuple[Layer, ...], nonfinite: Nonfinite) -> tuple[BatchNorm, ...]:
    """The normalisations in forward order, without frozen ones, which use the moving statistics on purpose.

    Layer and group normalisation remember nothing: they count as settled and updated.
    """
    window = finite_window(run, nonfinite)
    found, starved = [], False
    for layer in layers:
        kind = layer.card.kind if layer.card else ""
        if kind == "BatchNormalization" and not layer.frozen:
            found.append(_batch_norm(run, layer, window, starved=starved))
        elif kind in _WITHIN_EXAMPLE and not layer.frozen:
            found.append(_within_example(run, layer, window, starved=starved))
        zeros = run.series("activation", layer.name, "zero_fraction")[window.late]
        starved |= bool(len(zeros)) and bool((zeros == 1).all())
    return tuple(found)


def _within_example(run: Run, layer: Layer, window: Window, *, starved: bool) -> BatchNorm:
    gamma = _gamma(run, layer, window)
    spread = median(run.series("activation", layer.name, "std")[window.late])
    return BatchNorm(
        layer,
        spread / gamma,
        settled=1.0,
        updated=True,
        starved=starved,
        variance_ratio=nan,
        mean_distance=nan,
        features=_features(layer.card) if layer.card else None,
    )


def _features(card: LayerCard) -> int | None:
    shape, axis = card.output_shape, card.arguments.get("axis", -1)
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    if not shape or not all(isinstance(at, int) and -len(shape) <= at < len(shape) for at in axes):
        return None
    count = prod(shape[at] or 0 for at in axes)
    if card.kind == "GroupNormalization":  # its axis is that of the channels, and it takes all places together
        groups = int(card.arguments.get("groups", _GROUPS))
        count = prod(size or 0 for size in shape[1:]) // max(1, count if groups == -1 else groups)
    return count or None


def _gamma(run: Run, layer: Layer, window: Window) -> float:
    names = [card.name for card in run.model.variables if card.layer == layer.name and card.role == "gamma"]
    gamma = median(run.series("weight", names[0] if names else "", "rms")[window.late])
    return gamma if gamma > 0 else 1.0


def _batch_norm(run: Run, layer: Layer, window: Window, *, starved: bool) -> BatchNorm:
    roles = {card.role: card.name for card in run.model.variables if card.layer == layer.name}
    mean = run.series("weight", roles.get("moving_mean", ""), "rms")[window.usable]
    level = run.series("weight", roles.get("moving_mean", ""), "mean")[window.usable]
    variance = run.series("weight", roles.get("moving_variance", ""), "mean")[window.usable]
    moves = bool(np.nan_to_num(mean).any() or np.nan_to_num(variance - 1.0).any())
    momentum = layer.card.arguments.get("momentum", _MOMENTUM) if layer.card else _MOMENTUM
    steps = int(window.steps[window.usable][-1]) + 1 if window.usable.any() else 0
    settled = 1.0 - float(momentum) ** steps
    known = variance[np.isfinite(variance)]
    batches = _batches(run, layer, window)
    return BatchNorm(
        layer,
        _signal(run, layer, window) / _gamma(run, layer, window),
        settled=settled,
        updated=moves or not len(known),
        starved=starved,
        variance_ratio=_variance_ratio(batches, sqrt(max(0.0, float(known[-1])))) if batches and len(known) else nan,
        mean_distance=_mean_distance(batches, _last(level), _last(mean), settled) if batches else nan,
        examples=example_count(run) if _takes_vectors(layer) else nan,
    )


def _takes_vectors(layer: Layer) -> bool:
    return layer.card is not None and len(layer.card.output_shape) == _VECTORS


def _last(series: FloatArray) -> float:
    known = series[np.isfinite(series)]
    return float(known[-1]) if len(known) else nan


def _signal(run: Run, layer: Layer, window: Window) -> float:
    vectors = _takes_vectors(layer)
    if example_count(run) == 1 and vectors:
        return 0.0  # one vector is its own mean
    spread = median(run.series("activation", layer.name, "example_std")[window.late])
    return (
        spread if np.isfinite(spread) and vectors else median(run.series("activation", layer.name, "std")[window.late])
    )


@dataclass(frozen=True)
class _Batches:
    """What comes into a batch normalisation lately; a channel's spread lies between ``example_std`` and ``std``."""

    mean: float
    rms: float
    example_std: float
    std: float


def _batches(run: Run, layer: Layer, window: Window) -> _Batches | None:
    inbound = (layer.card.inbound if layer.card else None) or ()
    if len(inbound) != 1:
        return None
    kind = "input" if inbound[0] in run.names("input") else "activation"
    mean, rms, least, greatest = (
        median(run.series(kind, inbound[0], statistic)[window.late])
        for statistic in ("mean", "rms", "example_std", "std")
    )
    if not (np.isfinite([least, greatest]).all() and least > 0):
        return None
    return _Batches(mean, rms, least, max(least, greatest))


def _variance_ratio(batches: _Batches, remembered: float) -> float:
    return remembered / min(max(remembered, batches.example_std), batches.std)


def _mean_distance(batches: _Batches, level: float, remembered: float, settled: float) -> float:
    # The channels' own means are not recorded. Without its initial zeros the moving mean would be 1 / `settled`
    # times as large; what comes in bounds the rms of the means from both sides.
    least = abs(batches.mean)
    greatest = sqrt(max(batches.rms**2 - batches.example_std**2, least**2))
    means = min(max(remembered / settled if settled > 0 else 0.0, least), greatest)
    spread = max(batches.example_std, sqrt(max(batches.rms**2 - means**2, 0.0)))
    return max(abs(means - remembered), abs(level - batches.mean)) / spread
