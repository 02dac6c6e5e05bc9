"""Layers within layers: which of them was written by the user, and how to get at it from the model."""

from __future__ import annotations

from gradscope.diagnosis.evidence.layers import RECURRENT
from gradscope.model_card import LayerCard, ParentCard

__all__ = ["ATTENTION", "is_part_of_attention", "maker", "own_name", "trainable_code"]

ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
"""Names of the classes; Keras hands the second out as ``GroupQueryAttention``."""
_WRAPPERS = ("Bidirectional", "TimeDistributed", "SpectralNormalization")
_PROJECTIONS = ("query", "key", "value", "attention_output")


def maker(card: LayerCard | None) -> ParentCard | None:
    """The layer of Keras that made this one or was wrapped around it; None for a layer that stands by itself.

    Older logs do not tell; there the parts of an attention and of a Bidirectional are known by their names.
    """
    if card is None:
        return None
    if card.parents:
        parent = card.parents[-1]
        return parent if parent.kind in (*ATTENTION, *_WRAPPERS) else None
    above, _, name = card.name.rpartition("/")
    if above and card.kind == "EinsumDense" and name in _PROJECTIONS:
        return ParentCard(above, "MultiHeadAttention", is_model=False)
    if above and card.kind in RECURRENT and name.startswith(("forward_", "backward_")):
        return ParentCard(above, "Bidirectional", is_model=False)
    return None


def is_part_of_attention(card: LayerCard | None) -> bool:
    """Whether the layer is one of the projections that an attention layer of Keras makes."""
    made_by = maker(card)
    return made_by is not None and made_by.kind in ATTENTION


def own_name(path: str) -> str:
    """The name that the layer at that path bears itself: ``dense`` of ``encoder/dense``."""
    return path.rpartition("/")[2]


def trainable_code(name: str, card: LayerCard | None, value: bool) -> str:  # noqa: FBT001  it is what is assigned
    """The assignment to ``trainable`` of a layer; of what a layer of Keras made, to that one's.

    Only models hand out their layers: for what is part of a layer of the user's own it is a comment.

    Example:
        >>> trainable_code("encoder/dense", LayerCard("encoder/dense", "Dense"), False)
        'model.get_layer("encoder").get_layer("dense").trainable = False'
    """
    if made_by := maker(card):
        name = made_by.name
    layers = {parent.name for parent in (card.parents if card else ()) if not parent.is_model} - {name}
    *parents, last = name.split("/")
    code = "model"
    for place, parent in enumerate(parents):
        code += f'.get_layer("{parent}")'
        if "/".join(parents[: place + 1]) in layers:
            within = "/".join([*parents[place + 1 :], last])
            return f"# {within} within {code}: trainable = {value}"
    return f'{code}.get_layer("{last}").trainable = {value}'
