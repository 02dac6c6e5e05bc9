"""Where what tells the examples apart is shut out, at once and whatever the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.example_spread import ExampleSpread, relative_spread
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.run import Run

__all__ = ["ShutOut", "shut_out"]

_APART = 0.05  # of the signal: the examples plainly differ
_ALIKE = 1e-5  # of the signal: the rounding of float32


@dataclass(frozen=True)
class ShutOut:
    """Two layers with an operation between them that lets nothing of the examples through."""

    before: Layer
    """The last layer whose output differs from example to example."""
    after: Layer
    """The first of those up to the output that give the same for all examples."""
    spread_before: float
    """``example_std`` over rms at the first sampled step."""

    @property
    def sentence(self) -> str:
        """What happens there."""
        differ = f"they differ by {100 * self.spread_before:.0f} % of the signal"
        return (
            f"what tells the examples apart at {self.before.name} ({differ}) does not come through to {self.after.name}"
        )


def shut_out(run: Run, layers: tuple[Layer, ...], example_spread: ExampleSpread) -> ShutOut | None:
    """The place where the examples become alike, if it is none where weights could make them so; else None.

    From the first to the last sampled step all layers from there to the output give the same for all examples, to the
    rounding of float32, and the layer in front does not. Between the two stands something else than layers that are
    known to feed each other: the scores of an attention, a pooling under a mask, an operation of the user's own.

    Example:
        >>> from gradscope.diagnosis.evidence import Evidence
        >>> from gradscope.diagnosis.example import toy_run
        >>> Evidence(toy_run())["shut_out"] is None
        True
    """
    spreads: Mapping[str, npt.NDArray[np.floating]] = {
        **example_spread.hidden,
        **{layer.name: relative_spread(run, "activation", layer.name) for layer in layers if layer.is_output},
    }
    known = [(layer, spreads[layer.name]) for layer in layers if np.isfinite(spreads.get(layer.name, np.nan)).any()]
    after: Layer | None = None
    for layer, series in reversed(known):
        if np.nanmax(series) < _ALIKE:
            after = layer
        elif after is None or not series[0] > _APART or _is_fed(after) or _gives_nothing(run, after):
            return None
        else:
            return ShutOut(layer, after, float(series[0]))
    return None


def _gives_nothing(run: Run, layer: Layer) -> bool:
    """Whether the layer is dead or has no weights but zeros, which is reason enough."""
    kernels = [card.name for card in run.model.variables if card.layer == layer.name and card.role == "kernel"]
    sizes = [run.series("activation", layer.name, "rms"), *(run.series("weight", name, "rms") for name in kernels)]
    return any(not np.nan_to_num(size, nan=1.0).any() for size in sizes)


def _is_fed(layer: Layer) -> bool:
    """Whether the layers are known that feed the layer, with nothing between."""
    return layer.card is None or bool(layer.card.inbound)
