"""Rule symmetric-weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Kernel, LossTrend, Window
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among
from gradscope.run import Run

_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "loss-plateau",
        "dead-units",
        "disconnected-variable",
        "gain-mismatch",
        "linear-units",
        "saturated-activation",
        "unchanged-weights",
        "update-ratio-out-of-range:too-small",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class SymmetricWeights(Rule):
    """Units that start with the same weights and stay alike.

    ## What it detects
    Hidden layers whose units all have the same weights, from the start and for good: initialised with zeros or with
    another constant.

    ## Why it matters
    Units that are alike compute the same, get the same gradient and take the same step: the layer works as one unit,
    whatever its width. With zeros in all layers nothing but the last bias learns.

    ## Evidence
    The standard deviation of the weights across the units of a kernel over their rms: about 1 for random weights, 0
    where all units are alike, and counted as 0 for a kernel of zeros. Only what is still alike late is reported: an
    output layer, or the last layer of a residual branch, may start at zero and breaks the symmetry by itself. Output
    layers, single units and frozen layers are not judged.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(put={("weight", "hidden_1/kernel", "unit_std"): 0.0}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [SymmetricWeights()]).findings()]
    ['all units of hidden_1 have the same weights, from the start']
    >>> list(diagnose(toy_run(), [SymmetricWeights()]).findings())
    []

    ## Remedies
    Random initial weights that suit the activation; zeros are for biases.

    ## References
    Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4 (breaking symmetry).
    """

    name: ClassVar[str] = "symmetric-weights"
    max_relative_spread: float = limit(
        1e-2, "1", "standard deviation across units over rms: random weights of two units or more have 0.5 to 1"
    )

    def check(self, run: Run, kernels: tuple[Kernel, ...], window: Window, loss_trend: LossTrend) -> Iterable[Finding]:
        """One finding for all layers that stay alike."""
        if not kernels:
            raise NotJudged("no trained kernel was recorded; record weights")
        spreads = {kernel.name: _relative_spread(run, kernel) for kernel in kernels}
        if not any(np.isfinite(spread[window.usable]).any() for spread in spreads.values()):
            raise NotJudged("how far units differ was not recorded; record weights with a present gradscope.Recorder")
        alike = [kernel for kernel in kernels if self._stays_alike(run, kernel, spreads[kernel.name], window)]
        if not alike:
            return
        layers = list({kernel.layer.name: kernel.layer for kernel in alike}.values())
        names = [layer.name for layer in layers]
        zero = all(window.upper(kernel.weight_rms) == 0 for kernel in alike)
        steps = window.steps[window.usable]
        yield Finding(
            rule=self.name,
            title="units all alike",
            sentence=f"all weights of {among(names)} are zero, from the start"
            if zero
            else f"all units of {among(names)} have the same weights, from the start",
            severity=Severity.WARNING if loss_trend.fallen and not zero else window.cap(Severity.ERROR, extreme=True),
            layers=tuple(names),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            measurements=tuple(
                Measurement(
                    "unit_std over rms",
                    window.upper(spreads[kernel.name]),
                    self.max_relative_spread,
                    "1",
                    kernel.layer.name,
                    "about 1",
                )
                for kernel in alike
            ),
            remedies=(remedies.initialise(layers),),
            explains=_EXPLAINS,
        )

    def _stays_alike(self, run: Run, kernel: Kernel, spread: npt.NDArray[np.float64], window: Window) -> bool:
        card = run.model.variable(kernel.name)
        if kernel.layer.is_output or (card and card.shape and card.shape[-1] < 2):
            return False
        known = spread[window.usable & np.isfinite(spread)]
        return bool(
            len(known) and known[0] < self.max_relative_spread and window.upper(spread) < self.max_relative_spread
        )


def _relative_spread(run: Run, kernel: Kernel) -> npt.NDArray[np.float64]:
    spread = run.series("weight", kernel.name, "unit_std").astype(np.float64)
    rms = np.asarray(kernel.weight_rms, np.float64)
    relative: npt.NDArray[np.float64] = np.divide(spread, rms, out=np.full(len(rms), np.nan), where=rms > 0)
    relative[rms == 0] = 0.0
    return relative
