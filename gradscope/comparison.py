"""Two runs side by side: which statistics of which layers moved, since when, and which findings came or went."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

import numpy as np
import numpy.typing as npt

from gradscope.configuration import Configuration
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.verdict import Diagnosis, Finding
from gradscope.run import Run, TensorKey

__all__ = ["Change", "Comparison", "compare"]

FloatArray = npt.NDArray[np.floating]
_SCALES = {
    "activation_gradient": ("rms",),
    "gradient": ("rms",),
    "weight": ("rms",),
    "update": ("update_to_weight_ratio",),
    "activation": ("rms", "saturation_fraction", "dead_unit_fraction"),
}
_LATE = 1 / 3
_LASTING = 0.8
_FACTOR = 0.5  # of log10: a factor of 3
_SHARE = 0.1


@dataclass(frozen=True)
class Change:
    """One statistic of one tensor, late in either run; the median over the last third of the steps."""

    key: TensorKey
    statistic: str
    before: float
    after: float
    since: int | None
    """First step of both runs from which on at least 80 % of the samples had moved; None if they overlap nowhere."""

    @property
    def log10_ratio(self) -> float:
        """log10(after / before); infinite where one of both is 0."""
        if self.before > 0 and self.after > 0:
            return log10(self.after / self.before)
        return 0.0 if self.before == self.after else float("inf") if self.after > self.before else float("-inf")


@dataclass(frozen=True)
class Comparison:
    """What is different in the second run."""

    before: Diagnosis
    after: Diagnosis
    changes: tuple[Change, ...]
    """Those that moved by a factor of 3, or a share by 0.1; largest first."""
    compared: int
    """Statistics that both runs have."""
    only_before: tuple[TensorKey, ...]
    only_after: tuple[TensorKey, ...]
    gone: tuple[Finding, ...]
    new: tuple[Finding, ...]
    """Findings of a pathology that the first run did not have, or had at other layers only."""


def compare(before: Run, after: Run, *, configuration: Configuration | None = None) -> Comparison:
    """Hold one run against another, tensor by tensor of the same kind and name.

    Args:
        before: the run to compare with.
        after: the other run.
        configuration: the project's settings, by which both are judged; None: those by default.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> found = compare(toy_run({("gradient", "hidden_1/kernel"): 1e-3}), toy_run())
        >>> [(c.key.name, c.statistic, round(c.log10_ratio, 2)) for c in found.changes]
        [('hidden_1/kernel', 'rms', 3.0)]
    """
    mine, theirs = set(before.tensors), set(after.tensors)
    shared = [key for key in before.tensors if key in theirs]
    pairs = [(key, statistic) for key in shared for statistic in _SCALES.get(key.kind, ())]
    judged = [change for key, statistic in pairs if (change := _change(before, after, key, statistic))]
    first, second = (diagnose(run, configuration=configuration) for run in (before, after))
    return Comparison(
        before=first,
        after=second,
        changes=tuple(sorted(filter(_moved, judged), key=lambda change: -abs(change.log10_ratio))),
        compared=len(judged),
        only_before=tuple(key for key in before.tensors if key not in theirs),
        only_after=tuple(key for key in after.tensors if key not in mine),
        gone=_unmatched(first, second),
        new=_unmatched(second, first),
    )


def _change(before: Run, after: Run, key: TensorKey, statistic: str) -> Change | None:
    one = before.series(key.kind, key.name, statistic)
    other = after.series(key.kind, key.name, statistic)
    level, new_level = _late(before.steps, one), _late(after.steps, other)
    if np.isnan(level) or np.isnan(new_level):
        return None
    return Change(key, statistic, level, new_level, _since(before.steps, one, after.steps, other, statistic))


def _late(steps: npt.NDArray[np.int64], series: FloatArray) -> float:
    known = np.isfinite(series)
    if not known.any():
        return float("nan")
    steps, series = steps[known], series[known]
    return float(np.median(series[steps >= steps[-1] - _LATE * (steps[-1] - steps[0])]))


def _since(
    steps: npt.NDArray[np.int64], one: FloatArray, new_steps: npt.NDArray[np.int64], other: FloatArray, statistic: str
) -> int | None:
    place = np.searchsorted(new_steps, steps, side="right") - 1
    usable = (place >= 0) & (steps <= new_steps[-1])
    pairs = np.stack([one[usable], other[place[usable]]]).astype(np.float64)
    known = np.isfinite(pairs).all(axis=0)
    moved = _apart(pairs[0, known], pairs[1, known], statistic)
    if not len(moved):
        return None
    share = np.cumsum(moved[::-1])[::-1] / np.arange(len(moved), 0, -1)
    settled = moved & (share >= _LASTING)
    return int(steps[usable][known][np.argmax(settled)]) if settled.any() else None


def _apart(one: FloatArray, other: FloatArray, statistic: str) -> npt.NDArray[np.bool_]:
    if statistic.endswith("_fraction"):
        return np.abs(other - one) >= _SHARE
    low, high = np.minimum(one, other), np.maximum(one, other)
    return (high > 0) & (high >= low * 10**_FACTOR)


def _moved(change: Change) -> bool:
    return bool(_apart(np.array([change.before]), np.array([change.after]), change.statistic)[0])


def _unmatched(these: Diagnosis, others: Diagnosis) -> tuple[Finding, ...]:
    known: dict[str, set[str]] = {}
    for finding in others.findings():
        known.setdefault(finding.pathology, set()).update(finding.layers)
    return tuple(
        finding
        for finding in these.findings()
        if finding.pathology not in known
        or (finding.layers and known[finding.pathology] and known[finding.pathology].isdisjoint(finding.layers))
    )
