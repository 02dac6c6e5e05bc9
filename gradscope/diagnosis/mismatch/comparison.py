"""A mismatch, and what all comparisons that find one measure with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gradscope.diagnosis.rule import Rule, limit
from gradscope.diagnosis.verdict import Measurement, Remedy, Severity

__all__ = ["ERRORS_OF_VALUES", "Comparison", "Mismatch"]

ERRORS_OF_VALUES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "huber",
    "log_cosh",
    "logcosh",
)
"""Losses that take the difference of answer and target."""


class Mismatch(NamedTuple):
    """Two things that do not fit each other."""

    variant: str
    sentence: str
    severity: Severity | None
    """None: an error unless the loss falls all the same."""
    measurement: Measurement
    remedies: tuple[Remedy, ...]


@dataclass(frozen=True)
class Comparison(Rule):
    """The limits that more than one of the comparisons holds to."""

    max_excess: float = limit(1e-3, "1", "how far a probability may lie outside [0, 1] by rounding")
    min_unreachable: float = limit(0.01, "1", "share of the targets' variance: less is a matter of rare targets")
    error_unreachable: float = limit(0.2, "1", "standardised targets miss 15 % with tanh, 50 % with ReLU")
