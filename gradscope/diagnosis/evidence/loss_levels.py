"""What each of several losses counts for, so that they can be held against each other."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis.evidence.constant_answer import ConstantAnswer
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.loss_terms import LossTerm
from gradscope.diagnosis.evidence.loss_trend import LossTrend

__all__ = ["LossLevel", "loss_levels"]


@dataclass(frozen=True, eq=False)
class LossLevel:
    """What the loss of one output counts for in the sum of all."""

    term: LossTerm
    output: Layer
    level: float
    """What it has for the best constant answer, times its weight: all there is to gain from it; above 0."""
    left: float
    """The same, or the late loss of all together where that is less: what it counts for now at most."""

    @property
    def name(self) -> str:
        """The output's."""
        return self.output.name


def loss_levels(
    loss_terms: tuple[LossTerm, ...], constant_answer: ConstantAnswer, loss_trend: LossTrend
) -> tuple[LossLevel, ...]:
    """The levels of the terms whose output and constant answer are known, in the order of ``loss_terms``."""
    return tuple(
        LossLevel(term, term.output, level, min(level, loss_trend.late))  # the former where the latter is NaN
        for term, level in zip(loss_terms, constant_answer.terms, strict=True)
        if term.output and level > 0
    )
