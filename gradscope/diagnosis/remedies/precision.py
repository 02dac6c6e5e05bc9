"""Remedies at the number format of the weights."""

from __future__ import annotations

from gradscope.diagnosis.verdict import Remedy

__all__ = ["keep_float32_variables"]


def keep_float32_variables() -> Remedy:
    """A mixed policy: compute in 16 bits, keep the weights in 32."""
    return Remedy(
        "Keep the weights in float32",
        "A step smaller than 1/256 (bfloat16) or 1/2048 (float16) of a weight is rounded away; under a mixed policy "
        "the layers compute in 16 bits, but the variables that the optimizer changes have 32.",
        'keras.config.set_dtype_policy("mixed_bfloat16")  # before the model is built',
        topic="precision",
    )
