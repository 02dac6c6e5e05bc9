"""Remedies at labels and targets, and at losses that do not suit them."""

from __future__ import annotations

from gradscope.diagnosis.evidence.reach import TargetRange
from gradscope.diagnosis.verdict import Remedy

__all__ = [
    "align_shapes",
    "clip_targets",
    "compare_classes",
    "error_of_values",
    "fix_labels",
    "scale_targets",
    "smooth_less",
    "standardise_targets",
    "tame_outliers",
]

_FEWEST, _MOST = 2, 200  # the greatest number of a class; 255 is a pixel


def scale_targets() -> Remedy:
    """Targets brought into the range of the output's activation."""
    return Remedy(
        "Or scale the targets into the range of the output's activation",
        "With targets between 0 and 1 a sigmoid can reach them all; undo the scaling when predicting.",
        "low, high = y_train.min(), y_train.max()\ny_train = (y_train - low) / (high - low)",
        topic="targets",
    )


def standardise_targets() -> Remedy:
    """Targets of zero mean and unit variance."""
    return Remedy(
        "Standardise the targets",
        "An output layer starts at about unit scale, and usual learning rates assume that the errors are of that size.",
        "mean, std = y_train.mean(axis=0), y_train.std(axis=0)\n"
        "y_train = (y_train - mean) / std  # model.predict(x) * std + mean gives the answers",
        topic="targets",
    )


def fix_labels(loss: str, units: int | None, targets: TargetRange, *, linear: bool = False) -> Remedy:
    """Labels in the form that the loss wants; for targets that are no labels an error of values, or a scale.

    Args:
        loss: its name in full.
        units: of the output; None if unknown.
        targets: of which a greatest one that is a whole number from 2 to 200 is taken for the number of a class where
            the output has a single unit.
        linear: True for an output without a bound.
    """
    greatest = targets.greatest
    if loss.startswith("sparse"):
        return Remedy(
            "Number the classes from 0",
            "Labels are positions of output units; one that does not exist has no probability.",
            "classes, y_train = np.unique(y_train, return_inverse=True)"
            + (f"  # needs len(classes) <= {units}" if units else ""),
            topic="targets",
        )
    if loss.startswith("binary") and units == 1 and _FEWEST <= greatest <= _MOST and float(greatest).is_integer():
        return Remedy(
            f"Give the output a unit for each of the {greatest + 1:.0f} classes",
            "A single sigmoid tells two classes apart; several take a softmax over as many units and labels that are "
            "their numbers.",
            f'output = keras.layers.Dense({greatest + 1:.0f}, activation="softmax")\n'
            "loss = keras.losses.SparseCategoricalCrossentropy()",
            topic="targets",
        )
    if targets.is_graded and (loss.startswith("binary") or targets.least < 0):
        return error_of_values() if linear else _scale_to_unit()
    code = "y_train = (y_train > 0).astype('float32')  # for labels -1 and 1, or 0 and 255"
    return Remedy(
        "Give the loss targets between 0 and 1",
        "Cross-entropy compares probabilities; outside 0 to 1 it has no lower bound. For other values use a squared "
        "error.",
        code if loss.startswith("binary") else "y_train = keras.utils.to_categorical(y_train)",
        topic="targets",
    )


def clip_targets() -> Remedy:
    """Shares that were carried a little beyond 0 and 1."""
    return Remedy(
        "Clip the targets to 0 and 1",
        "Resizing and smoothing carry shares a little beyond their bounds, and there the loss has no lower bound.",
        "y_train = np.clip(y_train, 0.0, 1.0)",
        topic="targets",
    )


def tame_outliers() -> Remedy:
    """What to do about a few targets that lie far from all others."""
    return Remedy(
        "Look at the farthest targets",
        "Codes for missing values (999, -1) are no targets: drop those examples. Of a true heavy tail learn the "
        "logarithm; a Huber loss keeps single errors from ruling the step.",
        "keep = np.abs(y - np.median(y)) < 10 * np.std(np.clip(y, *np.quantile(y, (0.02, 0.98))))\n"
        "x, y = x[keep], y[keep]  # or y = np.log1p(y), or loss=keras.losses.Huber()",
        topic="outliers",
    )


def smooth_less() -> Remedy:
    """The usual share of label smoothing."""
    return Remedy(
        "Smooth the labels by 0.1, or not at all",
        "Label smoothing takes its share from each target and gives it to all classes alike; at 1 nothing tells them "
        "apart any more.",
        "loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)",
        topic="loss",
    )


def align_shapes() -> Remedy:
    """Give targets and answers one shape."""
    return Remedy(
        "Give targets and answers the same shape",
        "Subtracting a column of answers from a row of targets compares every answer with every target: the best that "
        "can be learnt from that is their mean.",
        "targets = tf.reshape(targets, tf.shape(answers))  # or: tf.squeeze(answers, axis=-1)",
        topic="loss",
    )


def compare_classes() -> Remedy:
    """A loss for shares of classes whose targets are the classes' numbers."""
    return Remedy(
        "Compare the shares with the numbers of the classes by cross-entropy",
        "A softmax gives each class a share, and the targets are numbers of classes: the difference of the two means "
        "nothing. This loss takes the share of the class of that number.",
        "loss = keras.losses.SparseCategoricalCrossentropy()",
        topic="loss",
    )


def error_of_values() -> Remedy:
    """A loss for targets that are amounts."""
    return Remedy(
        "Measure the squared error",
        "Cross-entropy compares shares and probabilities; the targets are amounts, which take a squared or an absolute "
        "error and a linear output.",
        'loss = "mean_squared_error"',
        topic="loss",
    )


def _scale_to_unit() -> Remedy:
    return Remedy(
        "Scale the targets to between 0 and 1, or take a squared error",
        "Cross-entropy compares probabilities; outside 0 to 1 it has no lower bound. These targets are no labels of "
        "two classes: of an autoencoder they are its inputs, to be scaled alike.",
        "low, high = y_train.min(axis=0), y_train.max(axis=0)\n"
        "y_train = (y_train - low) / (high - low + 1e-7)\n"
        '# or, with a linear output: loss = "mean_squared_error"',
        topic="targets",
    )
