"""Remedies at the learning rate and its schedule."""

from __future__ import annotations

from math import floor, isfinite, log10, sqrt

from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import number

__all__ = [
    "begin_to_step",
    "decay_later",
    "decay_learning_rate",
    "healthy_factor",
    "lower_learning_rate",
    "raise_learning_rate",
    "set_learning_rate",
    "stable_factor",
    "stable_learning_rate",
    "warm_up",
    "warm_up_sooner",
]

_HEALTHY_RATIO = 1e-3
_LARGEST_RAISE = 100  # tiny updates may have other reasons than the learning rate: go in steps
_LARGEST_CUT = 1000  # the steps of an explosion are large whatever began it
_TOPIC = "learning-rate"
_USUAL = {
    **dict.fromkeys(("Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adafactor", "Lamb"), "1e-3"),
    **dict.fromkeys(("SGD", "Adagrad"), "1e-2"),
    "Adadelta": "1.0",
    "Lion": "1e-4",
}
_ALONE = "Take callbacks that set the rate (ReduceLROnPlateau, LearningRateScheduler) out: a schedule forbids it."


def set_learning_rate(learning_rate: float, ratio: float) -> Remedy:
    """A learning rate that brings ‖update‖ / ‖weight‖ to about 1e-3, a hundredfold or a thousandth at most.

    Args:
        learning_rate: the present one; if it is not finite and positive the remedy names the factor only.
        ratio: the measured update-to-weight ratio, > 0.
    """
    reason = f"The measured update-to-weight ratio is {number(ratio)}; about 1e-3 is healthy."
    return _change(learning_rate, healthy_factor(ratio), reason)


def healthy_factor(ratio: float) -> float:
    """What to multiply the learning rate by so that ‖update‖ / ‖weight‖ comes from ``ratio`` to about 1e-3.

    A hundred or a thousandth at most; a tenth where the ratio is not finite and positive.
    """
    if not (isfinite(ratio) and ratio > 0):
        return 0.1
    return max(1 / _LARGEST_CUT, min(_HEALTHY_RATIO / ratio, _LARGEST_RAISE))


def begin_to_step(optimizer: str) -> Remedy:
    """Some learning rate in place of none.

    Args:
        optimizer: its class; empty if unknown.
    """
    rate = _USUAL.get(optimizer, "1e-3")
    return Remedy(
        "Set a learning rate above 0",
        "The learning rate is 0 at every step, so nothing can change. Look at what sets it: the optimizer's argument, "
        "a schedule that begins at 0 or is over, a callback that puts it to 0.",
        f"optimizer = keras.optimizers.{optimizer}(learning_rate={rate})  # then compile() anew"
        if optimizer in _USUAL
        else f"optimizer.learning_rate = {rate}",
        topic=_TOPIC,
    )


def stable_learning_rate(learning_rate: float, growth: float) -> Remedy:
    """Half of the longest rate at which plain descent on a parabola does not diverge.

    There an error e becomes (1 - ηλ) e with the curvature λ, and the loss, its square, grows by (ηλ - 1)² per step: so
    the growth tells λ, and η = 1/λ brings the error to zero where it was the steepest.

    Args:
        learning_rate: the present one, η; if it is not finite and positive the remedy names the factor only.
        growth: factor of the loss per step, > 1.

    References:
        LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 5.1 (optimal and largest stable learning rate).
    """
    factor = stable_factor(growth)
    where = f" at {number(2 * factor * learning_rate)}" if _is_known(learning_rate) else ""
    return _change(
        learning_rate,
        factor,
        f"The loss grows {growth:.3g} times per step; plain descent that does so turns stable{where}.",
    )


def stable_factor(growth: float) -> float:
    """What `stable_learning_rate` multiplies the learning rate by, for a loss that grows so many times per step."""
    return 1 / (1 + sqrt(growth))


def lower_learning_rate(
    learning_rate: float,
    reason: str = "Units die when one large step drives their weights so low that no example switches them on again.",
) -> Remedy:
    """A tenth of the present learning rate; if it is not finite and positive the remedy names the factor only."""
    return _change(learning_rate, 0.1, reason)


def raise_learning_rate(learning_rate: float, factor: float, reason: str) -> Remedy:
    """``factor`` times the present learning rate, but a hundred times at most; likewise where that is unknown."""
    return _change(learning_rate, min(factor, _LARGEST_RAISE), reason)


def warm_up(learning_rate: float) -> Remedy:
    """A linear rise of the learning rate over the first steps, then cosine decay.

    Args:
        learning_rate: to rise to; the lowered one where the present one is too high. 1e-3 is used if it is not finite
            and positive.
    """
    rate = f"{_one_digit(learning_rate):g}" if _is_known(learning_rate) else "1e-3"
    return Remedy(
        "Warm the learning rate up",
        "The first steps are the most fragile: the optimizer's averages are not settled yet. Where the rate itself is "
        f"too high, rise to the lowered one only. {_ALONE}",
        f"learning_rate = keras.optimizers.schedules.CosineDecay(\n"
        f"    0.0, decay_steps=100_000, warmup_target={rate}, warmup_steps=1_000\n)",
        topic="schedule",
    )


def warm_up_sooner(steps: int) -> Remedy:
    """A warm-up that is over in the first tenth of a run of so many steps."""
    return Remedy(
        "Let the warm-up end early in the run",
        "A warm-up protects the first steps; here all of the run lies within it. Count it in optimizer steps, not in "
        f"examples or epochs. {_ALONE}",
        f"learning_rate = keras.optimizers.schedules.CosineDecay(\n"
        f"    0.0, decay_steps={steps}, warmup_target=1e-3, warmup_steps={max(1, steps // 10)}\n)",
        topic="schedule",
    )


def decay_learning_rate(learning_rate: float) -> Remedy:
    """A learning rate that falls exponentially, tenfold over training."""
    rate = _or_usual(learning_rate)
    return Remedy(
        "Let the learning rate decay",
        f"Large steps cover the distance at first, small ones settle the loss at the end. {_ALONE}",
        f"learning_rate = keras.optimizers.schedules.ExponentialDecay(\n"
        f"    {rate}, decay_steps=10_000, decay_rate=0.1  # decay_steps: about as many as you train\n)",
        topic="schedule",
    )


def decay_later(learning_rate: float) -> Remedy:
    """A schedule that ends later."""
    rate = _or_usual(learning_rate)
    return Remedy(
        "Let the schedule end later",
        "The learning rate has come down to a small share of what it was: from then on nothing moves, learnt or not. "
        f"{_ALONE}",
        f"learning_rate = keras.optimizers.schedules.CosineDecay({rate}, decay_steps=epochs * steps_per_epoch)",
        topic="schedule",
    )


def _change(learning_rate: float, factor: float, reason: str) -> Remedy:
    way = "Lower" if factor < 1 else "Raise"
    if not _is_known(learning_rate):
        title = f"{way} the learning rate by a factor of {_one_digit(max(factor, 1 / factor)):g}"
        return Remedy(title, reason, topic=_TOPIC)
    new = f"{_one_digit(learning_rate * factor):g}"
    return Remedy(
        f"{way} the learning rate from {learning_rate:.3g} to about {new}",
        reason,
        f"optimizer.learning_rate = {new}",
        topic=_TOPIC,
    )


def _is_known(learning_rate: float) -> bool:
    return isfinite(learning_rate) and learning_rate > 0


def _or_usual(learning_rate: float) -> str:
    return f"{learning_rate:.3g}" if _is_known(learning_rate) else "1e-3"


def _one_digit(value: float) -> float:
    return round(value, -floor(log10(value))) if value > 0 else value
