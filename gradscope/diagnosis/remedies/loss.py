"""Remedies at the loss."""

from __future__ import annotations

from gradscope.diagnosis.verdict import Remedy

__all__ = ["scale_loss", "stable_loss"]


def stable_loss() -> Remedy:
    """Compute the loss from logits, so that no logarithm of zero arises."""
    return Remedy(
        "Compute the loss from logits",
        "log(softmax(z)) computed in one go stays finite where log of a rounded probability is -inf; guard your own "
        "logarithms, divisions and square roots with a small epsilon.",
        "# linear output layer, and:\nloss = keras.losses.CategoricalCrossentropy(from_logits=True)",
        topic="loss",
    )


def scale_loss() -> Remedy:
    """Loss scaling, or bfloat16, where float16 gradients underflow."""
    return Remedy(
        "Scale the loss, or compute in bfloat16",
        "float16 holds nothing below 6e-8: a loss multiplied by a large factor lifts the gradients above that, and the "
        "optimizer divides by it again; bfloat16 has the range of float32 and needs no factor.",
        "optimizer = keras.optimizers.LossScaleOptimizer(optimizer)\n"
        '# or, before the model is built: keras.config.set_dtype_policy("mixed_bfloat16")',
        topic="loss-scale",
    )
