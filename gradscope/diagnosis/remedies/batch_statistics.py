"""Remedies at normalisations."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among

__all__ = ["lower_momentum", "normalise_features", "replace_batch_norm", "train_mode", "usual_epsilon"]


def replace_batch_norm(names: Sequence[str], because: str) -> Remedy:
    """Layer normalisation instead, or larger batches.

    Args:
        names: of the batch normalisations.
        because: what is wrong with the batches, a clause.
    """
    return Remedy(
        f"Use larger batches, or layer normalisation instead of {among(names)}",
        f"Batch normalisation divides by the spread over the batch, and {because}; layer normalisation takes the "
        "spread within each example.",
        "keras.layers.LayerNormalization()  # or: model.fit(x_train, y_train, batch_size=32)",
        topic="normalisation",
    )


def normalise_features(kind: str, names: Sequence[str], features: int | None) -> Remedy:
    """Features that differ, for a normalisation within each example; or none at all.

    Args:
        kind: class of the normalisations.
        names: of the normalisations.
        features: how many of an example each normalises over together; None if unknown.
    """
    given = "a single feature" if features == 1 else "features that do not differ within an example"
    arguments = "groups=1" if kind == "GroupNormalization" else ""
    return Remedy(
        f"Leave {among(names)} out, or normalise over features that differ",
        f"It takes the mean of each example's features away and divides by their spread; of {given} nothing is left. "
        "Put it in front of the layer that makes so few, or over the axes that hold more.",
        f"keras.layers.{kind}({arguments})  # in front of that layer",
        topic="normalisation",
    )


def train_mode() -> Remedy:
    """Let the batch normalisation see that it is trained."""
    return Remedy(
        "Do not call it with training=False while training",
        "In inference mode it divides by its moving statistics and never updates them; Keras passes the right mode by "
        "itself. If it should be frozen, set trainable = False.",
        "x = batch_norm(x)  # or, in a loop of your own: model(x, training=True)",
        topic="training-mode",
    )


def lower_momentum(names: Sequence[str]) -> Remedy:
    """A momentum that settles within the run."""
    return Remedy(
        f"Lower the momentum of {among(names)} to 0.9",
        "Moving statistics need about 3 / (1 - momentum) steps to settle: 30 with 0.9, 300 with 0.99, 30,000 with "
        "0.9999. Until then the model answers differently at inference.",
        "keras.layers.BatchNormalization(momentum=0.9)",
        topic="momentum",
    )


def usual_epsilon(kind: str, names: Sequence[str]) -> Remedy:
    """An epsilon far below the variance that it is added to.

    Args:
        kind: class of the normalisations.
        names: of the normalisations.
    """
    return Remedy(
        f"Leave epsilon of {among(names)} at its default",
        "Epsilon keeps a division by zero away; one above the variance of the input takes the place of that variance, "
        "and nothing is normalised.",
        f"keras.layers.{kind}(epsilon=1e-3)",
        topic="epsilon",
    )
