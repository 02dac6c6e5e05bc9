"""Whether a run computes in float16, whose numbers end at 65,504 and below 6e-8; bfloat16 has the range of float32."""

from __future__ import annotations

from gradscope.run import Run

__all__ = ["computes_in_float16"]


def computes_in_float16(run: Run) -> bool:
    """Whether the dtype policy is ``float16``, ``mixed_float16`` or a quantised one of these.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> policies = ("mixed_float16", "mixed_bfloat16", "float32")
        >>> [computes_in_float16(toy_run(settings={"dtype_policy": policy})) for policy in policies]
        [True, False, False]
    """
    policy = str(run.settings.get("dtype_policy", ""))
    return "float16" in policy and "bfloat16" not in policy
