"""LearningRate: the rate by which an optimizer changes variables; where a function gives it, what that gave it."""

from __future__ import annotations

from typing import Any

from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import keras
from gradscope.recording.hearing import Hearing
from gradscope.recording.optimizer_state import innermost
from gradscope.recording.scope import scope
from gradscope.recording.trouble import Trouble

__all__ = ["RATES", "LearningRate"]

RATES = Hearing(keras.optimizers.Optimizer, "_get_current_learning_rate")
"""Every time an optimizer asks for its rate, or is asked for it."""

_KEY = ("step", "", "learning_rate")


class LearningRate:
    """Notes the rate of a step: of several optimizers that of the model's own, else of the first.

    A function may give another rate each time it is called, so it is left to the optimizer to call it.

    Args:
        collector: takes what is noted.
        trouble: told of a rate that could not be noted.
    """

    def __init__(self, collector: Collector, trouble: Trouble) -> None:
        self._collector = collector
        self._trouble = trouble
        self._asking: Any = None

    def about_to_apply(self, optimizer: Any, *, is_own: bool) -> None:
        """An optimizer is about to apply gradients; ``is_own`` says that it is the model's."""
        self._asking = None
        if not is_own and self._collector.noted_scalar(_KEY) is not None:
            return
        if _may_be_read(optimizer):
            self._collector.scalar(_KEY, optimizer.learning_rate)
        else:
            self._asking = innermost(optimizer)

    def asked(self, optimizer: Any, rate: Any) -> None:
        """An optimizer asked for its rate; the update is the last to ask, after the decay of weights."""
        if optimizer is not self._asking or not self._collector.active:
            return
        if not self._collector.listening:
            self._trouble.report("the learning rate is not recorded: a function gives it, in a branch of the graph")
            return
        with scope(), self._trouble.instead_of_raising("the learning rate is not recorded"):
            self._collector.scalar(_KEY, rate)

    def applied(self) -> None:
        """The gradients have been applied; who asks from now on does so for something else."""
        self._asking = None


def _may_be_read(optimizer: Any) -> bool:
    """Whether to ask for the rate once more changes nothing: it is a variable, or a schedule of the step's number.

    A schedule of the user's own is taken for one only where the optimizer asks for the rate in a branch.
    """
    working = innermost(optimizer)
    rate = getattr(working, "_learning_rate", None)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        branches = working is not optimizer or getattr(working, "gradient_accumulation_steps", None)
        return bool(branches) or type(rate).__module__.startswith("keras.")
    return not callable(rate)
