"""Remedies at the optimizer: what it does to the gradient, and which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from gradscope.diagnosis.enclosing import maker, own_name
from gradscope.diagnosis.evidence.optimizer_settings import OptimizerSettings
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among, number
from gradscope.model_card import LayerCard

__all__ = [
    "accumulate_less",
    "average_apart",
    "clip_gradients",
    "divide_once",
    "loosen_clipping",
    "loosen_constraint",
    "lower_epsilon",
    "lower_high_momentum",
    "raise_epsilon",
    "use_optimizer",
    "weaken_decay",
    "weaken_dropout",
    "weaken_noise",
    "weaken_penalty",
]

_OPTIMIZERS = {
    "Adam": "Adam divides each weight's step by the size of its own gradient, so weak and strong ones move alike.",
    "RMSprop": "RMSprop forgets old gradients, where AdaGrad adds them up for ever and its steps fade away.",
    "SGD": "Momentum averages the batches' noise away and speeds up along a steady slope; Nesterov's looks ahead.",
}
_HIGH_MOMENTUM = 0.97
_SHOWN = 4  # layers
_LARGE_EPSILON = 1e-4  # 1e-7 and 1e-8 are usual
_ARGUMENTS = {"Adam": "", "RMSprop": "", "SGD": "momentum=0.9, nesterov=True"}


def clip_gradients(norm: float = 1.0) -> Remedy:
    """Clip the global gradient norm.

    Args:
        norm: the norm to clip at; best the run's own healthy median. 1 is used if it is not finite and positive.
    """
    limit = number(norm) if isfinite(norm) and norm > 0 else "1.0"
    return Remedy(
        f"Clip the global gradient norm at {limit}",
        "Clipping by the global norm keeps the gradient's direction and stops a single step from ruining the weights; "
        "where every step is clipped, lower the learning rate instead.",
        f"optimizer.global_clipnorm = {limit}  # before the first training step",
        topic="clipping",
    )


def loosen_clipping(norm: float) -> Remedy:
    """Clip above what the gradient usually is.

    Args:
        norm: the run's own median of the global norm before clipping; the remedy takes three times that. Where it is
            not finite and positive the remedy is to take clipping away.
    """
    if not (isfinite(norm) and norm > 0):
        return Remedy("Take gradient clipping away", "It cuts every step.", topic="clipping")
    limit = number(3 * norm)
    return Remedy(
        f"Clip at a global norm of {limit} instead",
        f"The gradient's norm is usually about {number(norm)}: clipping is for the rare step far above that.",
        f"optimizer.clipnorm = optimizer.clipvalue = None\noptimizer.global_clipnorm = {limit}",
        topic="clipping",
    )


def lower_high_momentum(settings: OptimizerSettings) -> tuple[Remedy, ...]:
    """The usual momentum in place of 0.97 and above; nothing where it is lower or unknown."""
    if not settings.momentum >= _HIGH_MOMENTUM:
        return ()
    remembered = f"about {1 / (1 - settings.momentum):,.0f} steps" if settings.momentum < 1 else "all steps to come"
    return (
        Remedy(
            f"Lower {settings.momentum_argument} from {settings.momentum:g} to 0.9",
            f"It carries each gradient on over {remembered}, long after it has ceased to point downhill; 0.9 carries "
            "it over 10.",
            f"optimizer.{settings.momentum_argument} = 0.9  # before the first training step",
            topic="optimizer-momentum",
        ),
    )


def raise_epsilon(settings: OptimizerSettings) -> Remedy:
    """The usual epsilon in place of none."""
    return Remedy(
        f"Raise epsilon from {settings.epsilon:g} to 1e-7",
        f"{settings.name} divides by the size of the gradient plus epsilon. Where a gradient is exactly zero, as "
        "behind an input that is always zero, that is 0/0 without it.",
        "optimizer.epsilon = 1e-7  # before the first training step",
        topic="optimizer-epsilon",
    )


def lower_epsilon(settings: OptimizerSettings) -> tuple[Remedy, ...]:
    """The usual epsilon in place of one above 1e-4; nothing where it is lower or unknown, or too small for float16."""
    if not settings.epsilon > _LARGE_EPSILON or settings.float16:
        return ()
    return (
        Remedy(
            f"Lower epsilon from {settings.epsilon:g} to 1e-7",
            f"{settings.name} divides its steps by the size of the gradient plus epsilon; where epsilon is the larger "
            "of both, the steps are as small as the gradient is.",
            "optimizer.epsilon = 1e-7  # before the first training step",
            topic="optimizer-epsilon",
        ),
    )


def use_optimizer(name: str, learning_rate: float | None = None) -> Remedy:
    """Another optimizer: ``Adam``, ``RMSprop``, or ``SGD`` with Nesterov momentum.

    Args:
        name: one of these.
        learning_rate: for the new optimizer; None takes Keras' default. The present one seldom fits another optimizer.
    """
    rate = f"learning_rate={learning_rate:.3g}" if learning_rate and isfinite(learning_rate) else ""
    arguments = ", ".join(filter(None, (rate, _ARGUMENTS[name])))
    return Remedy(
        f"Use {name}" + (" with Nesterov momentum" if name == "SGD" else ""),
        f"{_OPTIMIZERS[name]} Do not carry the old learning rate over: each optimizer has its own scale.",
        f"optimizer = keras.optimizers.{name}({arguments})",
        topic="optimizer",
    )


def divide_once(weight: float) -> Remedy:
    """A loss that is a mean once.

    Args:
        weight: what is differentiated over what the loss functions give, below 1.
    """
    return Remedy(
        "Divide the loss once",
        f"Keras' losses are means over the batch already; the loss is {weight:.2g} of that, and so is each step of an "
        "optimizer that does not adapt. Over several replicas divide the sum of the examples' losses by the examples "
        "of all replicas.",
        "loss = loss_function(y, model(x, training=True))  # as it is, without a further division",
        topic="loss",
    )


def accumulate_less(steps: int) -> Remedy:
    """Fewer batches for one update.

    Args:
        steps: how many the run has.
    """
    count = max(1, min(8, steps // 100))
    return Remedy(
        f"Accumulate over {count} steps" if count > 1 else "Do not accumulate gradients",
        "Weights change only when so many batches have been seen; training needs hundreds of updates at least.",
        f"optimizer.gradient_accumulation_steps = {count if count > 1 else None}",
        topic="accumulation",
    )


def average_apart() -> Remedy:
    """A moving average of the weights that leaves training alone."""
    return Remedy(
        "Let the average overwrite the weights at the end only",
        "Weights that are set back to their moving average every few steps keep next to nothing of a step.",
        "optimizer = keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=None)\n"
        "optimizer.finalize_variable_values(model.trainable_variables)  # when training is over",
        topic="average",
    )


def weaken_penalty() -> Remedy:
    """A hundredth of the penalty there is, on weights or on answers."""
    return Remedy(
        "Weaken the penalty",
        "Usual strengths of an l2 penalty are 1e-5 to 1e-3. A divergence from a prior is to be averaged over what the "
        "error is averaged over, and may rise from 0.",
        "kernel_regularizer = keras.regularizers.L2(1e-4)  # of weights\n"
        "# of what a layer adds: self.add_loss(1e-3 * keras.ops.mean(divergence))",
        topic="penalty",
    )


def weaken_decay() -> Remedy:
    """The usual weight decay."""
    return Remedy(
        "Weaken the weight decay",
        "Usual strengths are 1e-4 to 1e-2 for AdamW; times the learning rate it is the share of every weight that a "
        "step takes away.",
        "optimizer.weight_decay = 4e-3  # before the first training step",
        topic="penalty",
    )


def loosen_constraint(kind: str) -> Remedy:
    """Room for the weights to grow.

    Args:
        kind: class of the constraint.
    """
    wide = "MaxNorm(3.0)" if kind == "MaxNorm" else "MaxNorm(3.0)  # or none"
    return Remedy(
        f"Loosen the constraint {kind}",
        "A constraint acts after every step, whatever the gradient asks for. Usual bounds of a max-norm are 1 to 4 for "
        "all weights of a unit together.",
        f"kernel_constraint = keras.constraints.{wide}",
        topic="penalty",
    )


def weaken_noise(name: str, signal: float) -> Remedy:
    """A tenth of the signal.

    Args:
        name: of the layer that adds noise.
        signal: standard deviation of what it is added to.
    """
    return Remedy(
        f"Add less noise at {name}",
        "The deviation is in the units of the signal: inputs from 0 to 1 differ by 0.3, and noise of 1 hides them.",
        f'keras.layers.GaussianNoise({signal / 10:.1g}, name="{name}")',
        topic="dropout",
    )


def weaken_dropout(cards: Sequence[LayerCard]) -> Remedy:
    """A usual rate.

    Args:
        cards: of the layers that drop; recurrent layers and attention drop by an argument of theirs.
    """
    return Remedy(
        f"Drop less at {among([card.name for card in cards])}",
        "The rate is the share that is dropped, not the share that is kept; 0.5 is the usual most.",
        "\n".join(map(_dropping_less, cards[:_SHOWN])),
        topic="dropout",
    )


def _dropping_less(card: LayerCard) -> str:
    if made_by := maker(card):
        return f"# {made_by.name} ({made_by.kind}): dropout=0.3"
    if "rate" not in card.arguments:
        return f"# {card.name} ({card.kind}): dropout=0.3, recurrent_dropout=0.0"
    return f'keras.layers.{card.kind}(0.3, name="{own_name(card.name)}")'
