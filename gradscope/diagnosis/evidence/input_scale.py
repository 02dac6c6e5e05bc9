"""The scale of what the network is fed, where a layer with weights takes it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.evidence.layers import Layer, input_names, is_normalisation
from gradscope.diagnosis.evidence.reach import target_range
from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["MOST_OFFSET", "InputScale", "input_scale"]

# They hand on the numbers as they are, at least in scale.
_PASSING = (
    "Concatenate",
    "Cropping1D",
    "Cropping2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Identity",
    "InputLayer",
    "Masking",
    "Permute",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "RepeatVector",
    "Reshape",
    "Resizing",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
)
_SCALING = ("Normalization", "Rescaling")
_NUMBERS_OF_WORDS = ("Embedding", "StringLookup", "IntegerLookup", "Hashing", "CategoryEncoding", "Discretization")

_FEW = 3  # samples
_LEAST_WORD = 1.0  # what lies below is cut off to 0
_JUMP = 3.0  # the levels of 1,043 inputs in recorded runs stay within twice of each other
_STRAY = 0.1
_SPARSE = 0.5

MOST_OFFSET = 1e6  # examples that differ by less differ by the rounding of float32


@dataclass(frozen=True)
class InputScale:
    """One input; medians over the sampled steps, NaN where not recorded."""

    name: str
    rms: float
    """Over the entries other than zero, so that a sparse input counts by what it says."""
    offset: float
    """What all examples share over what they differ by: √(rms² - σ²) / σ, σ the standard deviation across examples (its
    rms across units, so that columns of different means do not pass for differences); 1e6 where all are alike."""
    largest: float
    """The largest magnitude in a batch."""
    takers: tuple[Layer, ...]
    """The layers with weights that take it as it is, in forward order."""
    constant: bool
    """True where all examples of all batches were the same, to the last digit, and not zero."""
    greatest_token: float
    """The largest magnitude of all, where embeddings look it up, which take whole numbers; NaN elsewhere, and where all
    are zero."""
    first_step: int
    last_step: int
    """The sampled steps of which this is said: all, or those before or after a jump of the scale."""
    rms_elsewhere: float = nan
    """The rms on the other side of that jump; NaN where there is none."""
    leading_ratio: float = nan
    """The standard deviation of the column that varies most over the median column's; NaN where most entries are zero,
    since columns of rare marks vary as they come."""
    leading_column: int = 0
    """The 0-based number of that column, the most frequent one."""
    outlying: float = nan
    """How far the farthest entry lies from the median, in distances from there to the farther outer quantile; NaN
    where most entries are alike."""


def input_scale(run: Run, layers: tuple[Layer, ...]) -> tuple[InputScale, ...]:
    """The inputs whose scale reaches a layer with weights; one whose scale jumps counts twice, before and after.

    Left out are inputs that go through a normalisation, an embedding, a layer of unknown effect or an operation that is
    no layer (``x / 255``), layers that a normalisation follows, and, where the log does not tell which of several
    inputs goes where, all inputs of a model with an embedding.
    """
    names = run.names("input")
    told = len(names) == 1 or len(input_names(layers)) > 1
    words = any(layer.card and layer.card.kind in _NUMBERS_OF_WORDS for layer in layers)
    if not told and words:
        return ()
    takers = {("input", name): _takers(run, layers, name if told else "input") for name in names}
    # One that was never adapted hands on what it is given.
    scalers = [layer.name for layer in layers if layer.card and layer.card.kind in _SCALING]
    takers |= {("activation", name): _takers(run, layers, name) for name in scalers}
    # Numbers of words have no scale, but they are to differ.
    odd = [
        name for name in names if told and (_is_constant(run, name) or _greatest_token(run, layers, name) < _LEAST_WORD)
    ]
    takers |= {("input", name): found for name in odd if (found := _readers(layers, name))}
    return tuple(scale for (kind, name), found in takers.items() if found for scale in _scales(run, kind, name, found))


def _takers(run: Run, layers: tuple[Layer, ...], name: str) -> tuple[Layer, ...]:
    raw, found = {name}, []
    owners = {card.layer for card in run.model.variables if len(card.shape) > 1}
    for layer in layers:
        card = layer.card
        if card is None or not card.inbound or raw.isdisjoint(card.inbound):
            continue
        if card.kind in _PASSING:
            raw.add(layer.name)
        elif layer.name in owners and not (
            layer.normalised or is_normalisation(card) or card.kind in _NUMBERS_OF_WORDS
        ):
            found.append(layer)
    return tuple(found)


def _readers(layers: tuple[Layer, ...], name: str) -> tuple[Layer, ...]:
    """The layers that look the numbers of an input up."""
    return tuple(
        layer
        for layer in layers
        if layer.card and layer.card.kind in _NUMBERS_OF_WORDS and name in (layer.card.inbound or ())
    )


def _greatest_token(run: Run, layers: tuple[Layer, ...], name: str) -> float:
    readers = _readers(layers, name)
    embedded = bool(readers) and all(layer.card is not None and layer.card.kind == "Embedding" for layer in readers)
    ends = np.abs([run.series("input", name, end) for end in ("min", "max")])
    known = ends[np.isfinite(ends)]
    return float(known.max()) if embedded and known.any() else nan


def _is_constant(run: Run, name: str) -> bool:
    """Whether all examples of all batches were the same, to the last digit."""
    spread, level = run.series("input", name, "example_std"), run.series("input", name, "mean")
    known = np.isfinite(spread) & np.isfinite(level)
    same = known.any() and not spread[known].any() and bool(np.ptp(level[known]) == 0)
    return bool(same) and example_count(run) > 1


def _scales(run: Run, kind: str, name: str, takers: tuple[Layer, ...]) -> Iterator[InputScale]:
    rms, spread = (run.series(kind, name, statistic).astype(np.float64) for statistic in ("rms", "example_std"))
    shared = np.sqrt(np.maximum(np.square(rms) - np.square(spread), 0.0))
    zeros = median(run.series(kind, name, "zero_fraction"))
    filled = 1.0 - zeros if np.isfinite(zeros) else 1.0
    if example_count(run) > 1:
        spread = np.maximum(spread, shared / MOST_OFFSET)
    offset = np.divide(shared, spread, out=np.full(len(rms), nan), where=spread > 0)
    level = rms / sqrt(filled) if filled > 0 else np.zeros(len(rms))
    largest = np.maximum(np.abs(run.series(kind, name, "min")), np.abs(run.series(kind, name, "max")))
    constant = kind == "input" and _is_constant(run, name) and median(rms) > 0
    jump = _jump(level)
    parts = [slice(0, jump), slice(jump, None)] if jump else [slice(None)]
    levels = [median(level[part]) for part in parts]
    ratio = median(run.series(kind, name, "leading_unit_ratio")) if filled > _SPARSE else nan
    column = _most_frequent(run.series(kind, name, "leading_unit"))
    for part, here, elsewhere in zip(parts, levels, [*levels[1:], levels[0]], strict=True):
        steps = run.steps[part]
        yield InputScale(
            name,
            here,
            median(offset[part]),
            median(largest[part]),
            takers,
            constant,
            _greatest_token(run, takers, name) if kind == "input" else nan,
            int(steps[0]),
            int(steps[-1]),
            elsewhere if jump else nan,
            ratio,
            column,
            target_range(run, name, kind).outlying,
        )


def _most_frequent(numbers: npt.NDArray[np.floating]) -> int:
    known = numbers[np.isfinite(numbers)].astype(np.int64)
    return int(np.bincount(known).argmax()) if known.size else 0


def _jump(level: npt.NDArray[np.floating]) -> int:
    """Place of the sample from which on the scale is another; 0 where it stays, or where the log is too short to tell.

    It is another where all samples but one in ten lie on the other side of the two levels' geometric mean.
    """
    if len(level) < 2 * _FEW:
        return 0
    early, late = median(level[: len(level) // 3]), median(level[-_FEW:])
    if not max(early, late) > _JUMP * min(early, late) > 0:
        return 0
    beyond = (level > sqrt(early * late)) == (late > early)
    wrong = np.cumsum(np.r_[0, beyond]) + np.cumsum(np.r_[0, ~beyond[::-1]])[::-1]
    place = int(np.argmin(wrong))
    return place if wrong[place] <= _STRAY * len(level) else 0
