"""Where NaN and infinite values first appeared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.half_precision import computes_in_float16
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.run import Run, TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = ["Nonfinite", "Occurrence", "nonfinite"]

BoolArray = npt.NDArray[np.bool_]

_PHASES = {
    "weight": "update",
    "input": "input",
    "target": "target",
    "preactivation": "forward",
    "activation": "forward",
    "loss": "loss",
    "activation_gradient": "backward",
    "preactivation_gradient": "backward",
    "gradient": "backward",
    "clipped_gradient": "backward",
    "update": "update",
}
_KINDS = tuple(_PHASES)
_COURSE = ("input", "target", "forward", "loss", "backward", "update")
_SCALED = ("activation_gradient", "preactivation_gradient", "gradient", "clipped_gradient")


@dataclass(frozen=True)
class Occurrence:
    """The first tensor, in the order of computation, that held a value that is not finite."""

    step: int
    key: TensorKey
    """Kind ``loss`` and an empty name for the loss itself."""
    phase: str
    """``input``, ``target``, ``forward``, ``loss``, ``backward`` or ``update``; weights are bad because an earlier
    update was."""
    nan_count: int
    inf_count: int


@dataclass(frozen=True, eq=False)
class Nonfinite:
    """Which sampled steps held values that are not finite; the arrays have shape ``[steps]``."""

    first: Occurrence | None
    broken: BoolArray
    """The loss, a weight, a gradient or an update was not finite."""
    skipped: BoolArray
    """The gradients overflowed under float16 loss scaling and the optimizer left the step out: normal now and then."""
    recorded: bool
    """False where nothing was recorded in which a NaN could be seen."""

    @property
    def first_broken(self) -> int | None:
        """Index of the first broken sample, or None."""
        return int(np.argmax(self.broken)) if self.broken.any() else None


def nonfinite(run: Run, layers: tuple[Layer, ...]) -> Nonfinite:
    """Find the steps with NaN or infinite values, and the tensor where they began."""
    nan, inf = (run.values[:, :, STATISTIC_NAMES.index(name)] for name in ("nan_count", "inf_count"))
    bad = (nan > 0) | (inf > 0)
    kinds = np.array([key.kind for key in run.tensors], dtype=object)
    loss = np.asarray(run.step_statistics.get("loss", np.zeros(0)))
    bad_loss = _bad_loss(loss, bad, kinds, run)
    forward = bad[:, np.isin(kinds, ("input", "preactivation", "activation"))].any(axis=1)
    backward = bad[:, np.isin(kinds, _SCALED)].any(axis=1)
    updated = bad[:, np.isin(kinds, ("weight", "update"))].any(axis=1)
    skipped = backward & ~updated & ~bad_loss & ~forward if computes_in_float16(run) else np.zeros(len(run.steps), bool)
    broken = (backward | updated | bad_loss) & ~skipped
    seen = broken | (forward & ~skipped)
    return Nonfinite(
        first=_first(run, layers, int(np.argmax(seen)), nan, inf, bad_loss=bad_loss) if seen.any() else None,
        broken=broken,
        skipped=skipped,
        recorded=bool(len(loss) and np.isfinite(loss).any()) or bool(_recorded(run)),
    )


def _recorded(run: Run) -> bool:
    return bool(np.isfinite(run.values[:, :, STATISTIC_NAMES.index("nan_count")]).any())


def _bad_loss(loss: npt.NDArray[np.floating], bad: BoolArray, kinds: npt.NDArray[np.object_], run: Run) -> BoolArray:
    # A NaN loss may also mean "not recorded at this step"; then nothing else of the step is NaN.
    if not len(loss):
        return np.zeros(len(run.steps), bool)
    if np.isfinite(loss).any():
        confirmed = bad.any(axis=1) if _recorded(run) else np.ones(len(loss), bool)
    else:  # targets may be masked, and scaled gradients overflow now and then
        confirmed = bad[:, ~np.isin(kinds, ("target", *(_SCALED if computes_in_float16(run) else ())))].any(axis=1)
    return np.asarray(np.isinf(loss) | (np.isnan(loss) & confirmed))


def _first(
    run: Run,
    layers: tuple[Layer, ...],
    sample: int,
    nan_counts: npt.NDArray[np.floating],
    inf_counts: npt.NDArray[np.floating],
    *,
    bad_loss: BoolArray,
) -> Occurrence:
    nan, inf = (np.nan_to_num(counts[sample].astype(np.float64)) for counts in (nan_counts, inf_counts))
    depth = {layer.name: position for position, layer in enumerate(layers)}

    statistics = {variable.name for variable in run.model.variables if variable.role.startswith("moving_")}

    def order(entry: tuple[TensorKey, int]) -> tuple[int, int, int]:
        key, _ = entry
        phase, kind, position = _PHASES[key.kind], _KINDS.index(key.kind), depth.get(key.layer, len(depth))
        if key.kind == "weight":
            # As an earlier update left it; moving statistics as the forward pass of this step did.
            return len(_COURSE) if key.name in statistics else -1, position, kind
        # The backward pass meets the last layer first.
        return _COURSE.index(phase), -position if phase == "backward" else position, kind

    # Targets that were not finite before, and broke nothing, are masked.
    harmless = np.any(np.nan_to_num(nan_counts[:sample] + inf_counts[:sample]) > 0, axis=0)
    found = [
        (key, row)
        for row, key in enumerate(run.tensors)
        if key.kind in _PHASES and nan[row] + inf[row] and not (key.kind == "target" and harmless[row])
    ]
    if bad_loss[sample]:
        found.append((TensorKey("loss", "", ""), -1))
    key, row = min(found, key=order)
    counts = (int(nan[row]), int(inf[row])) if row >= 0 else (1, 0)
    return Occurrence(int(run.steps[sample]), key, _PHASES[key.kind], *counts)
