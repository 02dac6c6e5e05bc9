"""The layers of the run in forward order, with what the rules need to know of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradscope.model_card import LayerCard
from gradscope.run import Run

__all__ = ["RECURRENT", "Layer", "input_names", "is_normalisation", "layers", "without_activations"]

_NORMALISATIONS = (
    "BatchNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "UnitNormalization",
)
RECURRENT = ("SimpleRNN", "LSTM", "GRU", "Bidirectional", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


@dataclass(frozen=True)
class Layer:
    """One layer; ``card`` is None where the run has no model card for it."""

    name: str
    card: LayerCard | None
    is_output: bool
    learns: bool
    """True where the layer owns a trainable variable that the optimizer was handed, or where that is unknown."""
    normalised: bool
    """True where only normalisations take this layer's output, at once or behind an activation or the like: then its
    scale does not matter."""
    frozen: bool
    """True where the layer is set not trainable, or none of its variables is."""

    @property
    def gives_answers(self) -> bool:
        """True for an output known to be one; what the last layer gives may pass on through operations of the model."""
        return self.is_output and (self.card is None or self.card.is_output)

    @property
    def is_recurrent(self) -> bool:
        """True for a layer that runs over a sequence with a state of its own."""
        return self.card is not None and self.card.kind in RECURRENT

    @property
    def activation(self) -> str:
        """The activation's name, ``relu``; empty if unknown."""
        return self.card.activation.name if self.card and self.card.activation else ""

    @property
    def shape(self) -> str:
        """The activation's shape as in `gradscope.model_card.ActivationCard`; empty if unknown."""
        return self.card.activation.shape if self.card and self.card.activation else ""


def layers(run: Run) -> tuple[Layer, ...]:
    """The layers in forward order: by the model card, or by recorded order where there is no card.

    Layers that were not called are left out. Without a card the last layer counts as the output.
    """
    cards = sorted((card for card in run.model.layers if card.depth is not None), key=lambda card: card.depth or 0)
    if not cards:
        return _from_tensors(run)
    outputs = {card.name for card in cards if card.is_output} or {cards[-1].name}
    owners = {v.layer for v in run.model.variables}
    normalised = _normalised(cards, owners)
    learning = {v.layer for v in run.model.variables if v.trainable and v.optimized}
    return tuple(
        Layer(
            card.name,
            card,
            is_output=card.name in outputs,
            learns=card.trainable and (card.name in learning if owners else True),
            normalised=card.name in normalised,
            frozen=not card.trainable or (card.name in owners and card.name not in learning),
        )
        for card in cards
    )


def without_activations(run: Run) -> str:
    """Why nothing can be said of activation functions where no layer is known to have one."""
    if run.model.layers:
        return "no layer has an activation function that is known"
    return "the activation functions are unknown; record with gradscope.Recorder for a model card"


def is_normalisation(card: LayerCard) -> bool:
    """True for the normalisation layers of Keras."""
    return card.kind in _NORMALISATIONS


def input_names(layers: Iterable[Layer]) -> set[str]:
    """What the cards call the inputs of the network: ``input``, ``input_1`` and so on."""
    names = {layer.name for layer in layers}
    return {"input"} | {name for layer in layers if layer.card for name in layer.card.inbound or ()} - names


def _normalised(cards: list[LayerCard], owners: set[str]) -> set[str]:
    consumers: dict[str, list[LayerCard]] = {}
    for card in cards:
        for name in card.inbound or ():
            consumers.setdefault(name, []).append(card)
    found: set[str] = set()
    for card in reversed(cards):
        behind = consumers.get(card.name, [])
        passes = [_normalises(c, card) or (c.name in found and c.name not in owners) for c in behind]
        if passes and all(passes):
            found.add(card.name)
    return found


def _normalises(card: LayerCard, before: LayerCard) -> bool:
    # A frozen batch normalisation divides by what it once saw, and the layer before it goes on to change.
    return is_normalisation(card) and (card.kind != "BatchNormalization" or card.trainable or not before.trainable)


def _from_tensors(run: Run) -> tuple[Layer, ...]:
    kinds = ("activation", "activation_gradient", "preactivation", "weight", "gradient")
    of_kind = next((names for kind in kinds if (names := [t.layer for t in run.tensors if t.kind == kind])), [])
    names = list(dict.fromkeys(of_kind))
    return tuple(
        Layer(name, None, is_output=name == names[-1], learns=True, normalised=False, frozen=False) for name in names
    )
