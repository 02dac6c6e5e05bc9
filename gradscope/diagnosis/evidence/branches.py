"""The branches of a network: what lies behind one of its first layers and behind no other."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis.evidence.flow import Flow
from gradscope.diagnosis.evidence.layers import Layer

__all__ = ["Branch", "branches"]


@dataclass(frozen=True)
class Branch:
    """One branch, up to where it meets another."""

    column: int
    """Of its first layer in `Flow`."""
    layers: tuple[str, ...]
    """That layer and those behind it, in forward order."""


def branches(flow: Flow, layers: tuple[Layer, ...]) -> tuple[Branch, ...]:
    """One for each of the layers that stand first; none where there is one, or the connections are unknown."""
    heads = {flow.layers[column].name: column for column in flow.head}
    if len(heads) <= 1 or any(layer.card is None or layer.card.inbound is None for layer in layers):
        return ()
    behind: dict[str, set[str]] = {}
    for layer in layers:
        inbound = (layer.card.inbound if layer.card else None) or ()
        behind[layer.name] = set().union(*(behind.get(name, set()) for name in inbound), heads.keys() & {layer.name})
    return tuple(
        Branch(column, tuple(name for name, origins in behind.items() if origins == {head}))
        for head, column in heads.items()
    )
