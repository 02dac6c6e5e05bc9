"""Remedies at the data, and what the run tells of it that other remedies depend on."""

from __future__ import annotations

import numpy as np

from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = [
    "batch_size",
    "check_input",
    "check_targets",
    "drop_targets",
    "input_is_off",
    "keep_tokens_whole",
    "look_at_input",
    "scale_alike",
    "scale_columns",
    "scale_input",
    "scale_input_if_off",
    "shuffle_examples",
]

# Initialisers assume inputs of unit scale; within a factor of ten of it the first layer's gain is off by no more than
# that of a usual initialiser. A sparse input counts by its entries other than zero.
_SCALE_FREE = ("Embedding", "StringLookup", "Rescaling", "Normalization")
_SMALLEST_RMS, _LARGEST_RMS = 0.1, 10.0


def input_is_off(run: Run) -> bool | None:
    """Whether an input is far from unit scale: its rms (zeros left out) outside 0.1 to 10; None if not recorded.

    What an embedding takes are numbers of words, whose scale means nothing, and what a Rescaling or Normalization takes
    is scaled there: left out, and False where all are such.
    """
    exempt = {name for card in run.model.layers if card.kind in _SCALE_FREE for name in card.inbound or ()}
    scales = [_scale(run, name) for name in run.names("input") if name not in exempt]
    known = [scale for scale in scales if np.isfinite(scale)]
    if run.names("input") and not scales:
        return False
    return any(not _SMALLEST_RMS <= scale <= _LARGEST_RMS for scale in known) if known else None


def batch_size(run: Run) -> int | None:
    """Examples in a batch, the median over the sampled steps; None if not recorded."""
    count = example_count(run)
    return round(count) if count >= 1 else None


def scale_input() -> Remedy:
    """Inputs of zero mean and unit variance."""
    return Remedy(
        "Standardise the input",
        "Inputs far from unit scale push the first layer into saturation, or make its signal vanish or explode.",
        "normalise = keras.layers.Normalization()\nnormalise.adapt(x_train)  # then: first layer of the model",
        topic="input-scale",
    )


def scale_columns(column: int) -> Remedy:
    """Every column of the input to zero mean and unit variance by itself.

    Args:
        column: 0-based number of the one that drowns the others.
    """
    return Remedy(
        "Standardise every column of the input by itself",
        f"One scale for all leaves column {column} to drown the others. Of amounts that span orders of magnitude take "
        "the logarithm first.",
        "normalise = keras.layers.Normalization(axis=-1)\n"
        "normalise.adapt(x_train)  # each column's own mean and variance; then: first layer of the model",
        topic="input-scale",
    )


def scale_alike(rms: float) -> Remedy:
    """All inputs on one scale.

    Args:
        rms: of those that come in as they should.
    """
    return Remedy(
        "Scale all of the data alike",
        f"Part of it reaches the network with another scale than the rest, whose rms is {number(rms)}: a file, a "
        "source or a step of the preprocessing that is left out, or done twice.",
        "dataset = first_source.concatenate(second_source).map(preprocess)  # once, behind all sources",
        topic="input-scale",
    )


def scale_input_if_off(run: Run) -> tuple[Remedy, ...]:
    """`scale_input` unless the recorded input has unit scale already."""
    return () if input_is_off(run) is False else (scale_input(),)


def shuffle_examples() -> Remedy:
    """Batches drawn at random."""
    return Remedy(
        "Shuffle the examples",
        "A batch stands for the whole data only if its examples are drawn from all of it; fit() shuffles arrays by "
        "itself, but no tf.data.Dataset and no generator.",
        "dataset = dataset.shuffle(len(x_train))  # before batch(); or order = rng.permutation(len(x_train))",
        topic="shuffling",
    )


def check_input() -> Remedy:
    """Find the entries that are not finite, by column and by example."""
    return Remedy(
        "Mend or remove what is not finite in the data",
        "The input itself holds NaN or infinite values; no setting of the network can mend that. Where whole columns "
        "are NaN, a constant column was divided by its standard deviation, 0; where single examples are, values are "
        "missing.",
        "bad = ~np.isfinite(x_train)\n"
        "print(np.flatnonzero(bad.all(axis=0)))  # whole columns: leave them out, or divide by std + 1e-7\n"
        "keep = ~bad.reshape(len(bad), -1).any(axis=1)  # then, of what is left: whole examples\n"
        "x_train, y_train = x_train[keep], y_train[keep]",
        topic="input-values",
    )


def drop_targets() -> Remedy:
    """Find the examples whose targets are not finite."""
    return Remedy(
        "Leave out the examples whose targets are not finite",
        "A missing target makes the loss of its whole batch NaN, and with it every weight; no guard within the network "
        "mends that. Or give such examples a sample weight of 0 and any finite target.",
        "known = np.isfinite(y_train).reshape(len(y_train), -1).all(axis=1)\n"
        "x_train, y_train = x_train[known], y_train[known]",
        topic="targets",
    )


def _scale(run: Run, name: str) -> float:
    rms = median(run.series("input", name, "rms"))
    zeros = median(run.series("input", name, "zero_fraction"))
    share = 1.0 - zeros if np.isfinite(zeros) else 1.0
    return rms / float(np.sqrt(share)) if share > 0 else float("nan")


def look_at_input() -> Remedy:
    """See what the pipeline makes of the examples."""
    return Remedy(
        "Look at what the model is fed",
        "All examples of all batches are one and the same: a step of the preprocessing maps everything to one value (a "
        "vocabulary that was never adapted, numbers cast to integers after scaling, the wrong column).",
        "x, y = next(iter(dataset))\nprint(np.unique(np.asarray(x), return_counts=True))",
        topic="input-values",
    )


def keep_tokens_whole() -> Remedy:
    """Numbers of words as they are, where an embedding looks them up."""
    return Remedy(
        "Feed the embedding the numbers of the tokens as they are",
        "An embedding looks each whole number up in its table, and cuts fractions off: numbers that were scaled to "
        "between 0 and 1 all become 0. Only what a Dense or convolutional layer takes is to be scaled.",
        'x_train = tokens.astype("int32")  # 0 to vocabulary - 1; neither divided nor standardised',
        topic="input-scale",
    )


def check_targets() -> Remedy:
    """Find out whether the targets can be learnt from the inputs at all."""
    return Remedy(
        "Overfit a single batch first",
        "A network that cannot learn even one batch by heart has a fault in itself or in how its targets are made; one "
        "that can is fed targets that do not belong to their inputs, or too hard ones.",
        "model.fit(x_train[:32], y_train[:32], epochs=200)  # a loss that can reach 0 should get near it",
        topic="targets",
    )
