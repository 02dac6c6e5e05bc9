"""What would tell two causes apart that explain the same: one cheap experiment per pair."""

from __future__ import annotations

from gradscope.diagnosis.verdict import Finding, Remedy

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

    For a pair that the table does not know it is to mend one of the two, and what to go on to if that is not it.
    """
    for these, those, experiment in _PAIRS:
        if (_among(one, these) and _among(other, those)) or (_among(one, those) and _among(other, these)):
            return experiment
    first, second = _first_steps(one, other)
    return f"{first} and train again: if that is enough, it was this one ({one.title}); else {second} ({other.title})"


def _first_steps(one: Finding, other: Finding) -> tuple[str, str]:
    """What to begin with for each: its first remedy, for the other one of another topic than the one has."""
    begin = next(iter(one.remedies), None)
    instead = next((remedy for remedy in other.remedies if begin is None or _differ(begin, remedy)), None)
    then = instead.title[:1].lower() + instead.title[1:] if instead else "mend the other"
    return begin.title if begin else "Mend the one alone", then


def _differ(one: Remedy, other: Remedy) -> bool:
    return one.title != other.title and (not one.topic or one.topic != other.topic)


def _among(finding: Finding, names: tuple[str, ...]) -> bool:
    return finding.rule in names or finding.pathology in names
