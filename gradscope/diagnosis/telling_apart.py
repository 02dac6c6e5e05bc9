"""What would tell two causes apart that explain the same: one cheap experiment per pair."""

from __future__ import annotations

from gradscope.diagnosis.verdict import Finding

__all__ = ["telling_experiment"]

_SLOWER = "Train the first hundred steps at a tenth of the learning rate"
_RATE = ("learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient:over-time")
_LARGE = ("gain-mismatch:too-large", "exploding-gradient:across-depth")
_INPUT = ("badly-scaled-input",)
_LOSS = ("mismatched-loss",)
_SMALL = ("gain-mismatch:too-small", "symmetric-weights")
_SLOW = ("learning-rate-too-low", "update-ratio-out-of-range:too-small", "permanent-clipping", "stale-optimizer")
_FLOAT16 = ("gradient-underflow",)

_PAIRS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (_RATE, _LARGE, f"{_SLOWER}: if it is ill at step 0 all the same, it is the initial weights, else the rate"),
    (_RATE, _INPUT, f"{_SLOWER}: if it is ill at step 0 all the same, it is the scale of the input, else the rate"),
    (_RATE, _LOSS, f"{_SLOWER} on a few dozen examples: a loss that still does not fall is the wrong one"),
    (_RATE, ("dead-units", "saturated-activation"), f"{_SLOWER}: units that are off at step 0 are so from the start"),
    (_LARGE, _INPUT, "Record one step on standardised input: if the layers are ill all the same, it is their weights"),
    (_SMALL, _INPUT, "Record one step on standardised input: if the gradient is as weak, it is the initial weights"),
    (
        _SMALL,
        _SLOW,
        "Raise the learning rate tenfold: if only the output layer moves, it is the initial weights",
    ),
    (
        _SMALL,
        _LOSS,
        "Train on a few dozen examples with He or Glorot weights: a loss that stays is the wrong one",
    ),
    (_FLOAT16, (*_SMALL, *_SLOW), "Train a hundred steps in float32: what stays ill is none of float16's doing"),
    (_INPUT, _LOSS, "Train on standardised input and a few dozen examples: a loss that does not fall is the wrong one"),
)


def telling_experiment(one: Finding, other: Finding) -> str:
    """What to try, and what its outcome says; a sentence without full stop.

    For a pair that the table does not know it is to mend one of the two.
    """
    for these, those, experiment in _PAIRS:
        if (_among(one, these) and _among(other, those)) or (_among(one, those) and _among(other, these)):
            return experiment
    return f"Mend the one alone ({one.title}) and train again: what stays ill is the work of the other ({other.title})"


def _among(finding: Finding, names: tuple[str, ...]) -> bool:
    return finding.rule in names or finding.pathology in names
