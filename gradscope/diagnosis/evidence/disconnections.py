"""Layers that are trained but never get a gradient, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradscope.diagnosis.evidence.layers import Layer, input_names
from gradscope.diagnosis.evidence.window import Window
from gradscope.diagnosis.rule import NotJudged
from gradscope.model_card import VariableCard
from gradscope.run import Run

__all__ = ["Disconnection", "disconnections"]

_FEW = 3  # samples: with fewer a gradient may be zero by chance


@dataclass(frozen=True)
class Disconnection:
    """One layer none of whose variables gets a gradient, though all were to be trained."""

    layer: Layer
    variables: tuple[str, ...]
    absent: bool
    """True where there is no gradient at all (None), False where it is exactly zero at every usable sample."""
    matters: bool
    """True where the layer stands first behind the input, is an output, or leads to one: the network does not train as
    meant. False for a side branch, whose output nothing that is trained seems to use."""
    idle: bool
    """True where one of several optimizers has nothing to train but layers that get no gradient, this among them."""


def disconnections(run: Run, layers: tuple[Layer, ...], window: Window) -> tuple[Disconnection, ...]:
    """The disconnected layers in forward order; empty where every trained layer gets a gradient.

    A layer of which one variable gets a gradient counts as connected, so that a bias in front of a normalisation, or
    of the keys of an attention, is none. Layers that were not called are left out.

    Raises:
        NotJudged: no gradients were recorded.
    """
    if not run.names("gradient"):
        raise NotJudged("no gradients were recorded; record gradients")
    trained: dict[str, list[VariableCard]] = {}
    for card in run.model.variables:
        if card.trainable and card.optimized:
            trained.setdefault(card.layer, []).append(card)
    states = {
        layer.name: [_is_cut(run, window, card) for card in trained.get(layer.name, ())]
        for layer in layers
        if layer.learns
    }
    cut = {name for name, known in states.items() if known and all(known)}
    sound = {name for name, known in states.items() if known and name not in cut}
    first = _first_behind_input(layers, sound)
    leading = _leading_to_output(layers)
    idle = _idle_optimizers(trained, cut)
    return tuple(
        Disconnection(
            layer,
            tuple(card.name for card in trained[layer.name]),
            absent=not any(card.connected for card in trained[layer.name]),
            matters=layer.is_output or layer.name in first or layer.name in leading,
            idle=any(card.optimizer in idle for card in trained[layer.name]),
        )
        for layer in layers
        if layer.name in cut
    )


def _idle_optimizers(trained: dict[str, list[VariableCard]], cut: set[str]) -> set[int]:
    """Which of several optimizers have nothing to train but layers that get no gradient."""
    trainers = {name: {card.optimizer for card in cards} for name, cards in trained.items()}
    all_of_them = {place for places in trainers.values() for place in places if place is not None}
    busy = {place for name, places in trainers.items() if name not in cut for place in places}
    return all_of_them - busy if len(all_of_them) > 1 else set()


def _is_cut(run: Run, window: Window, card: VariableCard) -> bool:
    norm = run.series("gradient", card.name, "norm")[window.usable]
    known = norm[np.isfinite(norm)]
    # The card tells of the first sampled step, and a loop may take its losses in turns.
    return not known.any() and (not card.connected or len(known) >= _FEW)


def _first_behind_input(layers: tuple[Layer, ...], sound: set[str]) -> set[str]:
    """The layers that the input reaches without passing a sound one."""
    reached, seen_sound = input_names(layers), False
    for layer in layers:
        inbound = layer.card.inbound if layer.card else None
        if layer.name in sound:
            seen_sound = True
        elif not reached.isdisjoint(inbound) if inbound else not seen_sound:
            reached.add(layer.name)
    return reached


def _leading_to_output(layers: tuple[Layer, ...]) -> set[str]:
    leading: set[str] = set()
    for layer in reversed(layers):
        if layer.is_output or layer.name in leading:
            leading.update((layer.card.inbound if layer.card else None) or ())
    return leading
