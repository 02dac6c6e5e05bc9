"""Remedies at the number format of the weights."""

from __future__ import annotations

from math import isfinite

from gradscope.diagnosis.evidence.optimizer_settings import OptimizerSettings
from gradscope.diagnosis.verdict import Remedy

__all__ = ["keep_float32_optimizer", "keep_float32_variables"]


def keep_float32_variables() -> Remedy:
    """A mixed policy: compute in 16 bits, keep the weights in 32."""
    return Remedy(
        "Keep the weights in float32",
        "A step smaller than 1/256 (bfloat16) or 1/2048 (float16) of a weight is rounded away; under a mixed policy "
        "the layers compute in 16 bits, but the variables that the optimizer changes have 32.",
        'keras.config.set_dtype_policy("mixed_bfloat16")  # before the model is built',
        topic="precision",
    )


def keep_float32_optimizer(settings: OptimizerSettings) -> Remedy:
    """A mixed policy with loss scaling, so that the optimizer computes in 32 bits."""
    lost = ""
    if isfinite(settings.epsilon):
        vanishing = f"so is an epsilon of {settings.epsilon:g}, and it" if settings.epsilon_is_zero else "and it then"
        lost = f" The square of a gradient below 1.7e-4 is zero there, {vanishing} divides by next to nothing."
    return Remedy(
        "Keep the weights in float32",
        f"{settings.name or 'The optimizer'} computes in the format of the weights, and float16 ends at 65,504.{lost} "
        "Under the mixed policy the layers compute in 16 bits, weights and optimizer in 32, and compile() has the loss "
        "scaled.",
        'keras.config.set_dtype_policy("mixed_float16")  # before the model is built',
        topic="precision",
    )
