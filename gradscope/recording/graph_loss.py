"""GraphLoss: what the loss of a TF1 graph holds the outputs against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradscope.recording.graph_walk import GraphLayer
from gradscope.recording.loss_calls import LossCalls
from gradscope.recording.naming import numbered, sizes
from gradscope.recording.origins import Origins

__all__ = ["GraphLoss", "graph_loss"]


@dataclass(frozen=True)
class GraphLoss:
    """What is known of a loss; nothing is, where there is none, or where its operations do not tell."""

    losses: Sequence[Mapping[str, Any]] = ()
    """As the model card has them, one for each output that is compared with something."""
    targets: Sequence[Any] = ()
    """What the outputs are compared with, in the order of ``losses``."""
    called: Any = None
    """The sum of those losses, each a mean over its entries."""

    @property
    def settings(self) -> dict[str, Any]:
        """For the model card."""
        return {
            "losses": list(self.losses),
            "target_shapes": {name: sizes(tensor) for name, tensor in self.named_targets},
            "loss_additions": ["terms of one's own"],
        }

    @property
    def named_targets(self) -> list[tuple[str, Any]]:
        """The targets by the names that they are recorded under."""
        return numbered("target", self.targets)


def graph_loss(loss: Any, layers: Iterable[GraphLayer], targets: Sequence[Any]) -> GraphLoss:
    """Read off the operations of a loss what it compares.

    Args:
        loss: the tensor that is differentiated, or None.
        layers: those that are recorded.
        targets: those that the user knows of; they stand for what is found.
    """
    origins, calls = Origins(), LossCalls()
    for layer in layers:
        if layer.is_output:
            origins.outputs[layer.activation.name] = layer.name
            if layer.function is not None and layer.function.shape == "joint":
                origins.logits[layer.preactivation.name] = layer.name
    calls.read_off(loss, origins)
    if not calls.clear:
        return GraphLoss(targets=targets)
    return GraphLoss(calls.describe(), targets or calls.targets, calls.total())
