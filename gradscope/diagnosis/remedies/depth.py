"""Remedies that depend on how deep the network is, and how deep that is."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.evidence.layers import RECURRENT, Layer
from gradscope.diagnosis.layer_code import has_weights
from gradscope.diagnosis.remedies.architecture import normalise
from gradscope.diagnosis.remedies.initial_weights import initialise_others
from gradscope.diagnosis.verdict import Remedy
from gradscope.model_card import LayerCard
from gradscope.run import Run

__all__ = ["begin_small", "contain_gradient", "keep_signal", "plain_depth", "skip_connections"]

_LEAST_DEPTH = 6  # below, a block of two or three layers with a path around it is most of the network
_FEW_ON_THE_WAY = 3  # of as many layers one stands on the shortest way: the rest in branches
_DEEP = 10  # proper initial weights and normalisation carry 10 to 30 layers


def keep_signal(layers: Sequence[Layer], run: Run) -> tuple[Remedy, ...]:
    """What brings signal and gradient through the layers: initial weights, normalisation, skip connections.

    Skip connections come first where ten layers or more follow each other, last from six on, else not at all.

    Args:
        layers: where the signal is lost, at least one, in forward order.
        run: what was judged.
    """
    own = [layer for layer in layers if has_weights(layer)]
    weights = (*initialise_others(own, run), normalise(own, run)) if own else ()
    depth = plain_depth(run)
    skip = (skip_connections(),) if depth >= _LEAST_DEPTH else ()
    return (*skip, *weights) if depth >= _DEEP else (*weights, *skip)


def contain_gradient(layers: Sequence[Layer], run: Run) -> tuple[Remedy, ...]:
    """What keeps a gradient from growing on its way through the layers: initial weights and normalisation.

    Where most layers stand in branches beside a path that goes around them, the sums are what grows: then the branches
    are to begin small.

    Args:
        layers: on the way, at least one, in forward order.
        run: what was judged.
    """
    if len(layers) >= _LEAST_DEPTH and _FEW_ON_THE_WAY * plain_depth(run) <= len(layers):
        return (normalise(layers, run), begin_small())
    return (*initialise_others(layers, run), normalise(layers, run))


def begin_small() -> Remedy:
    """Residual branches that add nothing at first."""
    return Remedy(
        "Let each residual branch begin at zero",
        "Every branch adds its variance to the sum, so that signal and gradient grow from block to block, however well "
        "each layer is initialised; branches that begin at zero start as the identity and grow as they learn.",
        'keras.layers.Dense(units, kernel_initializer="zeros")  # the last layer of each branch',
        topic="residual-scale",
    )


def plain_depth(run: Run) -> int:
    """Layers with a kernel on the shortest way from the input to an output, so that skip connections shorten it.

    A layer whose input is unknown begins anew: what stands before it may be a sum. Where nothing is known of the
    connections the layers count as one row.
    """
    cards = sorted((card for card in run.model.layers if card.depth is not None), key=lambda card: card.depth or 0)
    if not cards:
        return len({tensor.layer for tensor in run.tensors if tensor.kind == "weight"})
    if all(card.inbound is None for card in cards):
        return sum(map(_has_kernel, cards))
    depths: dict[str, int] = {}
    for card in cards:
        below = min((depths.get(name, 0) for name in card.inbound or ()), default=0)
        depths[card.name] = below + _has_kernel(card)
    outputs = [card.name for card in cards if card.is_output] or [cards[-1].name]
    return max(depths[name] for name in outputs)


def skip_connections() -> Remedy:
    """A path around groups of layers along which the gradient flows unchanged."""
    return Remedy(
        "Add skip connections",
        "Along an identity path the gradient reaches the first layers undiminished, whatever the depth; below about "
        "ten layers proper initial weights do as well.",
        "x = keras.layers.Add()([x, block(x)])  # block: two or three layers that keep the shape of x",
        topic="skip-connections",
    )


def _has_kernel(card: LayerCard) -> bool:
    return card.fan_in is not None or card.kind in RECURRENT
