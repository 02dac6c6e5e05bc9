"""How the optimizer was set up, as far as a remedy may change it."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from gradscope.run import Run

__all__ = ["OptimizerSettings", "optimizer_settings"]


@dataclass(frozen=True)
class OptimizerSettings:
    """The configuration of one optimizer; NaN where it has no such argument or the log does not tell."""

    name: str
    """Its class; empty if unknown."""
    momentum: float
    """``momentum`` of SGD and RMSprop, ``beta_1`` of Adam and its kin: the share of the old direction that a step
    keeps, 0 to 1."""
    momentum_argument: str
    """Which of both it is called; empty if neither."""
    learning_rate: float
    """As it was configured."""
    epsilon: float
    """What is added to the root of the mean square gradient, so that it can be divided by."""
    weight_decay: float
    """Times the learning rate, the share of each weight that a step takes away."""
    float16: bool
    """Whether the variables are float16 themselves, not only what is computed with them."""
    accumulated: int
    """Over how many steps gradients are accumulated; 0 if they are not."""
    kept_by_average: float
    """Share of the way that is left where a moving average overwrites the weights every N steps, for a steady course:
    1 - m (1 - m^N) / (N (1 - m)) with the momentum m of the average; 1 where none does."""

    @property
    def epsilon_is_zero(self) -> bool:
        """Whether epsilon is zero in the format of the variables: in float16 one below 3e-8 is."""
        rounded = np.float16(self.epsilon) if self.float16 else np.float32(self.epsilon)
        return self.epsilon >= 0 and float(rounded) == 0


def optimizer_settings(run: Run, kernel: str = "") -> OptimizerSettings:
    """Of the optimizer that trains that variable; where none is named, of the only one.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> settings = {"optimizer": {"name": "SGD", "momentum": 0.99}}
        >>> optimizer_settings(toy_run(settings=settings)).momentum
        0.99
    """
    settings = _entry(run, kernel)
    argument = next((name for name in ("momentum", "beta_1") if isinstance(settings.get(name), (int, float))), "")
    return OptimizerSettings(
        str(settings.get("name", "")),
        _number(settings.get(argument)),
        argument,
        _number(settings.get("learning_rate")),
        _number(settings.get("epsilon")),
        _number(settings.get("weight_decay")),
        any(card.dtype == "float16" and card.optimized for card in run.model.variables if kernel in ("", card.name)),
        int(settings.get("gradient_accumulation_steps") or 0),
        _kept_by_average(settings),
    )


def _kept_by_average(settings: dict[str, Any]) -> float:
    every, kept = settings.get("ema_overwrite_frequency"), _number(settings.get("ema_momentum"))
    if not (settings.get("use_ema") and isinstance(every, int) and every > 0 and 0 <= kept < 1):
        return 1.0
    return 1 - kept * (1 - kept**every) / (every * (1 - kept))


def _entry(run: Run, kernel: str) -> dict[str, Any]:
    several = run.settings.get("optimizers")
    entry = run.settings.get("optimizer")
    if isinstance(several, list) and several:
        place = next((card.optimizer for card in run.model.variables if card.name == kernel), None)
        entry = several[place] if place is not None and place < len(several) else None
    return entry if isinstance(entry, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else nan
