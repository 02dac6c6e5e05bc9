"""Rule gradient-underflow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Kernel, LossTrend, Nonfinite, Window
from gradscope.diagnosis.evidence.half_precision import computes_in_float16
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among, shares
from gradscope.run import Run

_BY_SQUARES = ("Adam", "AdamW", "Nadam", "RMSprop")


@dataclass(frozen=True)
class GradientUnderflow(Rule):
    """Gradients too small for float16.

    ## What it detects
    Training in float16 where most entries of a gradient lie below the least normal number, or have all become zero;
    optimizers that keep the squares of gradients in float16 itself.

    ## Why it matters
    Below 2^-14 float16 loses digits, and below 2^-24 it gives zero: such weights get no gradient, whatever the
    learning rate.

    ## Evidence
    The share of a kernel's gradient, among its entries other than zero, that lies below 2^-14 after multiplication by
    the loss scale; a gradient that is zero at every sampled step, without loss scaling, counts as 1. It is an error
    where nearly all entries are concerned and the loss stands where it began, a warning where it falls little, and no
    finding where it falls by half: the last digits of small gradients can be spared. float32 and bfloat16 are not
    concerned. Of float16 variables, the epsilon of an optimizer that divides by the root of mean squares; an error
    where the run breaks down or its loss falls little.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> put = {("gradient", "hidden_1/kernel", "underflow_fraction"): 0.98}
    >>> ill = toy_run(put=put, loss=1.0, settings={"dtype_policy": "mixed_float16"})
    >>> [f.sentence for f in diagnose(ill, [GradientUnderflow()]).findings()]
    ['98 % of the gradient of hidden_1 is too small for float16']
    >>> list(diagnose(toy_run(), [GradientUnderflow()]).findings())
    []

    ## Remedies
    Loss scaling, which Keras does by itself unless ``auto_scale_loss=False`` or a loop of one's own leaves it out;
    bfloat16.

    ## References
    Micikevicius et al. 2018, Mixed Precision Training (section 3.2, loss scaling).
    """

    name: ClassVar[str] = "gradient-underflow"
    max_underflow_fraction: float = limit(
        0.5, "1", "most entries; small healthy networks without loss scaling reach 0.3"
    )
    error_underflow_fraction: float = limit(0.9, "1", "nearly all entries")

    min_epsilon: float = limit(
        2.0**-12, "1", "the root of the least float16 number: smaller ones are drowned or stand alone"
    )

    def check(
        self, run: Run, kernels: tuple[Kernel, ...], window: Window, loss_trend: LossTrend, nonfinite: Nonfinite
    ) -> Iterable[Finding]:
        """One finding for all kernels whose gradient underflows, one for squares that do in the optimizer."""
        if not run.names("gradient"):
            raise NotJudged("no gradients were recorded; record gradients")
        squares = tuple(self._squares(run, loss_trend, broken=bool(nonfinite.broken.any())))
        yield from squares
        recorded = any(np.isfinite(run.series("gradient", k.name, "underflow_fraction")).any() for k in kernels)
        if not recorded and not computes_in_float16(run):
            return
        series = {kernel.name: self._underflow(run, kernel.name) for kernel in kernels}
        if not any(np.isfinite(values).any() for values in series.values()):
            if squares:
                return
            raise NotJudged("underflow_fraction was not recorded; record with a present gradscope.Recorder")
        levels = {kernel: window.lower(series[kernel.name]) for kernel in kernels}
        found = [kernel for kernel, level in levels.items() if level > self.max_underflow_fraction]
        if not found or loss_trend.falling:
            return
        names = list(dict.fromkeys(kernel.layer.name for kernel in found))
        with np.errstate(invalid="ignore"):
            ill = np.any([series[kernel.name] > self.max_underflow_fraction for kernel in found], axis=0)
        first, last = window.span(ill)
        most = max(levels[kernel] for kernel in found)
        grave = loss_trend.slow and most > self.error_underflow_fraction
        yield Finding(
            rule=self.name,
            title="gradients underflow",
            sentence=f"{shares([levels[kernel] for kernel in found])} of the gradient of {among(names)} is too small "
            "for float16",
            severity=window.cap(Severity.ERROR, extreme=most == 1) if grave else Severity.WARNING,
            layers=tuple(names),
            first_step=first,
            last_step=last,
            measurements=tuple(
                Measurement(
                    "underflow_fraction",
                    levels[kernel],
                    self.error_underflow_fraction if grave else self.max_underflow_fraction,
                    "1",
                    kernel.layer.name,
                    "below 0.1",
                )
                for kernel in found
            ),
            remedies=(remedies.scale_loss(),),
            explains=frozenset(
                {
                    "constant-output",
                    "disconnected-variable:zero",
                    "update-ratio-out-of-range:too-small",
                    "vanishing-gradient",
                }
            ),
        )

    def _squares(self, run: Run, loss_trend: LossTrend, *, broken: bool) -> Iterable[Finding]:
        settings = optimizer_settings(run)
        lost = settings.float16 and settings.name in _BY_SQUARES and settings.epsilon < self.min_epsilon
        if not (lost and (broken or loss_trend.slow)):
            return
        yield Finding(
            rule=self.name,
            title="squares of gradients underflow",
            sentence=f"{settings.name} keeps the squares of the gradients in float16, where that of 1.7e-4 is zero, "
            f"and divides by their root and an epsilon of {settings.epsilon:g}",
            severity=Severity.ERROR,
            layers=(),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(Measurement("epsilon", settings.epsilon, self.min_epsilon, "1", "", "1e-3 in float16"),),
            remedies=(remedies.keep_float32_optimizer(settings),),
            variant="squares",
            explains=frozenset(
                {
                    "diverging-loss",
                    "exploding-gradient",
                    "learning-rate-too-high",
                    "loss-plateau",
                    "nonfinite-values:backward",
                    "nonfinite-values:update",
                    "update-ratio-out-of-range:too-large",
                }
            ),
        )

    def _underflow(self, run: Run, name: str) -> npt.NDArray[np.float64]:
        """The recorded share; 1 at samples where what is left of an underflowing gradient is zero."""
        fraction = run.series("gradient", name, "underflow_fraction").astype(np.float64)
        zero = run.series("gradient", name, "norm") == 0
        known = fraction[np.isfinite(fraction)]
        scale = median(np.asarray(run.step_statistics.get("loss_scale", np.ones(1)), np.float64))
        lost = median(known) > self.max_underflow_fraction if len(known) else zero.all() and not scale > 1
        if lost:
            fraction[zero] = 1.0
        return fraction
