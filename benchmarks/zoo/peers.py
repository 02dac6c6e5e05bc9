"""What the peers' published thresholds say of the same logs.

Each baseline is a set of limits on statistics that gradscope recorded. None of the peers names a root cause; a baseline
says which sicknesses it sees, and of which layers. Limits on update ratios and zero gradients are held against matrices
only, since biases that start at zero would trip them in every run. Where a peer needs more than statistics (accuracy
curves, for DeepDiagnosis and AUTOTRAINER) only what its limits on gradients, weights, updates and activations give is
taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from gradscope.run import Run

__all__ = ["PEERS", "Alarm"]

Alarm = tuple[str, str]
"""(what it sees, tensor or layer)."""


def _series(run: Run, kind: str, statistic: str) -> dict[str, np.ndarray]:
    names = {key.name: key.layer for key in run.tensors if key.kind == kind}
    found = {name: run.series(kind, name, statistic).astype("f8") for name in names}
    return {name: series for name, series in found.items() if np.isfinite(series).any()}


def _matrices(run: Run, kind: str, statistic: str) -> dict[str, np.ndarray]:
    shapes = {variable.name: variable.shape for variable in run.model.variables}
    return {name: series for name, series in _series(run, kind, statistic).items() if len(shapes.get(name, ())) > 1}


def _layer(run: Run, kind: str, name: str) -> str:
    return next(key.layer for key in run.tensors if (key.kind, key.name) == (kind, name))


def _nonfinite(run: Run) -> list[Alarm]:
    found = []
    for kind in ("gradient", "weight", "activation"):
        for key in (key for key in run.tensors if key.kind == kind):
            counts = run.series(kind, key.name, "nan_count") + run.series(kind, key.name, "inf_count")
            if np.nansum(counts) > 0:
                found.append(("not finite", key.layer))
    loss = run.step_statistics.get("loss")
    if loss is not None and len(loss) and not np.isfinite(loss).all():
        found.append(("not finite", ""))
    return found


def sagemaker(run: Run) -> list[Alarm]:
    """SageMaker Debugger's built-in rules with their default limits; each fires as soon as one step meets it."""
    found = [("vanishing", _layer(run, "gradient", n)) for n, s in _series(run, "gradient", "abs_mean").items()
             if (s < 1e-7).any()]  # fmt: skip
    found += _nonfinite(run)
    for name, series in _matrices(run, "update", "update_to_weight_ratio").items():
        known = series[np.isfinite(series)]
        if ((known < 1e-8) | (known > 10)).any():
            found.append(("update ratio", _layer(run, "update", name)))
    for name, series in _series(run, "activation", "dead_unit_fraction").items():
        if _shape(run, name) == "rectifier" and (series > 0.5).any():
            found.append(("dead", name))
    found += _saturated(run, {"tanh": (-9.5, 9.5), "sigmoid": (-23.0, 17.0)})
    return found


def autotrainer(run: Run) -> list[Alarm]:
    """AUTOTRAINER's limits: the first kernel's gradient against the last one's."""
    kernels = list(_matrices(run, "gradient", "norm").items())
    found = _nonfinite(run)
    if len(kernels) > 1:
        (first, low), (_, high) = kernels[0], kernels[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = low / high
        if ((ratio < 1e-3) & (low < 1e-4)).any():
            found.append(("vanishing", _layer(run, "gradient", first)))
        if (ratio[np.isfinite(ratio)] > 70).any():
            found.append(("exploding", _layer(run, "gradient", first)))
    for name, series in _matrices(run, "gradient", "zero_fraction").items():
        if (series >= 0.7).any():
            found.append(("dead", _layer(run, "gradient", name)))
    return found


def thedeepchecker(run: Run) -> list[Alarm]:
    """TheDeepChecker's limits; "halving" and "doubling" are taken over three samples in a row."""
    found = _nonfinite(run)
    for name, series in _series(run, "gradient", "abs_mean").items():
        known = series[np.isfinite(series)]
        layer = _layer(run, "gradient", name)
        if (known < 1e-6).any() or _steady(known, lambda a, b: b <= a / 2):
            found.append(("vanishing", layer))
        if (known > 1e6).any() or _steady(known, lambda a, b: b >= 2 * a):
            found.append(("exploding", layer))
    for name, series in _matrices(run, "update", "update_to_weight_ratio").items():
        known = series[np.isfinite(series) & (series > 0)]
        if len(known) and not 1e-4 <= np.median(known) <= 1e-1:
            found.append(("update ratio", _layer(run, "update", name)))
    for name, series in _series(run, "activation", "dead_unit_fraction").items():
        if _shape(run, name) == "rectifier" and (series > 0.5).any():
            found.append(("dead", name))
    for name, series in _series(run, "preactivation", "saturation_fraction").items():
        if _shape(run, name) == "bounded" and (series > 0.5).any():
            found.append(("saturated", name))
    return found


def deepdiagnosis(run: Run) -> list[Alarm]:
    """DeepDiagnosis' limits on gradients, weight changes and activations."""
    found = _nonfinite(run)
    found += [("vanishing", _layer(run, "gradient", n)) for n, s in _series(run, "gradient", "abs_mean").items()
              if (s < 1e-7).any()]  # fmt: skip
    for name, series in _matrices(run, "update", "update_to_weight_ratio").items():
        known = series[np.isfinite(series)]
        if len(known) and not 1e-5 <= np.median(known) <= 1e-1:
            found.append(("update ratio", _layer(run, "update", name)))
    for name, series in _series(run, "activation", "zero_fraction").items():
        if _shape(run, name) == "rectifier" and (series >= 0.7).any():
            found.append(("dead", name))
    found += _saturated(run, {"tanh": (-5.0, 5.0), "sigmoid": (-5.0, 5.0)})
    return found


def _shape(run: Run, layer: str) -> str:
    card = run.model.layer(layer)
    return card.activation.shape if card and card.activation else ""


def _saturated(run: Run, bounds: dict[str, tuple[float, float]]) -> list[Alarm]:
    """More than half of the entries beyond the bounds: by the quartiles, which are what was recorded."""
    found = []
    low, median, high = (_series(run, "preactivation", f"quantile_{q}") for q in ("25", "50", "75"))
    for name in low:
        card = run.model.layer(name)
        least, most = bounds.get(card.activation.name if card and card.activation else "", (-np.inf, np.inf))
        both_sides = (low[name] < least) & (high[name] > most)
        if ((median[name] < least) | (median[name] > most) | both_sides).any():
            found.append(("saturated", name))
    return found


def _steady(known: np.ndarray, step: Callable[[float, float], bool], length: int = 3) -> bool:
    in_a_row = 0
    for a, b in itertools.pairwise(known):
        in_a_row = in_a_row + 1 if step(a, b) and a > 0 else 0
        if in_a_row >= length:
            return True
    return False


PEERS: dict[str, Callable[[Run], list[Alarm]]] = {
    "SageMaker Debugger": sagemaker,
    "AUTOTRAINER": autotrainer,
    "TheDeepChecker": thedeepchecker,
    "DeepDiagnosis": deepdiagnosis,
}
