"""Rule exploding-gradient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Flow, GlobalGradient, Kernel, Layer, LossTrend, Memory, Window
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_EXPLAINS = frozenset(
    {
        "dead-units",
        "diverging-loss",
        "learning-rate-too-high",
        "loss-plateau",
        "nonfinite-values",
        "saturated-activation",
        "update-ratio-out-of-range:too-large",
    }
)


@dataclass(frozen=True)
class ExplodingGradient(Rule):
    """Gradients that grow towards the input, or from step to step, by orders of magnitude.

    ## What it detects
    Across depth: a back-propagated gradient that arrives at the first layers far larger than it left the output.
    Through time: one that arrives at the first steps of a new recurrent layer's sequences far larger than at their
    last. Over the steps of training: a global gradient norm that leaves everything seen before far behind.

    ## Why it matters
    A single such step can throw the weights out of any useful region; a lasting growth ends in NaN.

    ## Evidence
    Across depth: ‖∂loss/∂a‖ of the first layers behind the input over that of the output, median. Through time:
    ∂loss/∂s of the state that a recurrent layer begins with, over ∂loss/∂a of what it gives, at the first sample
    (one that has learnt to look at the first steps has such a ratio by right, and too long steps bring it about).
    Over the steps of training: the global norm over the median of all samples before it and over a tenth of the
    largest of the first samples, so that the high gradients of the first steps and the noise of a converged network
    raise no alarm. Where clipping keeps the updates healthy and the loss falls it is a warning at most.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("activation_gradient", "hidden_1"): 1e5}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [ExplodingGradient()]).findings()]
    ["the gradient explodes towards the input (1e+05 times the output's at hidden_1)"]
    >>> list(diagnose(toy_run(), [ExplodingGradient()]).findings())
    []

    ## Remedies
    Clip the global norm; an initialiser that suits the activation; batch normalisation; a lower learning rate, warmed
    up.

    ## References
    Pascanu et al. 2013, On the difficulty of training recurrent networks; Philipp et al. 2018, The exploding gradient
    problem demystified. Limits of peers: TheDeepChecker mean absolute gradient > 1e6, AUTOTRAINER ratio > 70.
    """

    name: ClassVar[str] = "exploding-gradient"
    max_gradient_ratio: float = limit(1e3, "1", "simulated healthy networks show 0.003 to 85")
    max_gradient_through_time: float = limit(
        100.0, "1", "new recurrent layers that learn show 1e-5 to 7, those that explode 670 to 1,500"
    )
    max_idle_gradient_through_time: float = limit(10.0, "1", "the same where the loss has not fallen by half")
    error_steps: float = limit(100, "steps", "earlier no learning is to be expected")
    max_gradient_growth: float = limit(
        1e3, "1", "over the run's own past; simulated healthy batches of one stay below 20"
    )
    max_update_to_weight_ratio: float = limit(0.1, "1", "a hundred times the healthy 1e-3")

    def check(
        self,
        *,
        run: Run,
        layers: tuple[Layer, ...],
        flow: Flow,
        memories: tuple[Memory, ...],
        global_gradient: GlobalGradient,
        kernels: tuple[Kernel, ...],
        window: Window,
        loss_trend: LossTrend,
    ) -> Iterable[Finding]:
        """Judge depth, sequences and training apart."""
        has_norm = bool(np.isfinite(global_gradient.norm).any())
        if flow.missing and not has_norm:
            raise NotJudged("no gradients were recorded; record gradients or activation gradients")
        ratio = median(np.array([window.upper(kernel.update_to_weight_ratio) for kernel in kernels]))
        calm = ratio <= self.max_update_to_weight_ratio
        if not flow.missing:
            yield from self._across_depth(run, flow, window, loss_trend, calm=calm)
        yield from self._through_time(memories, window, loss_trend)
        if has_norm:
            yield from self._over_time(global_gradient, window, loss_trend, layers, calm=calm)

    def _across_depth(
        self, run: Run, flow: Flow, window: Window, loss_trend: LossTrend, *, calm: bool
    ) -> Iterable[Finding]:
        head = list(flow.head)
        late = median(np.array([flow.level(flow.gradient[:, i], window, brief="lower") for i in head]))
        early = median(np.array([flow.level(flow.gradient[:, i], window, early=True) for i in head]))
        lasting = late > self.max_gradient_ratio
        if not lasting and not early > self.max_gradient_ratio:
            return
        value = late if lasting else early
        layers = tuple(flow.layers[i] for i in head)
        over = np.nan_to_num(flow.gradient[:, head]).max(axis=1) > self.max_gradient_ratio
        first, last = window.span(over, lasting=lasting)
        ratio = f"{number(value)} times the output's at {layers[0].name}"
        if not lasting or (calm and loss_trend.falling):
            severity = Severity.NOTE
        elif window.cut is not None:
            severity = Severity.ERROR
        else:
            severity = Severity.WARNING if calm and not loss_trend.flat else window.cap(Severity.ERROR)
        yield Finding(
            rule=self.name,
            title="exploding gradient",
            sentence=f"the gradient explodes towards the input ({ratio})"
            if lasting
            else f"the gradient was large towards the input at first ({ratio})",
            severity=severity,
            layers=tuple(layer.name for layer in layers),
            first_step=first,
            last_step=last,
            measurements=(
                Measurement(
                    f"gradient ratio of {layers[0].name} to the output",
                    value,
                    self.max_gradient_ratio,
                    "1",
                    layers[0].name,
                    "0.01 to 100",
                ),
            ),
            remedies=(*remedies.contain_gradient(flow.layers, run), remedies.clip_gradients()),
            variant="across-depth",
            phase="forward",
            explains=_EXPLAINS if lasting else frozenset(),
        )

    def _through_time(self, memories: tuple[Memory, ...], window: Window, loss_trend: LossTrend) -> Iterable[Finding]:
        early = {memory.layer.name: _first(memory.gradient[window.usable]) for memory in memories}
        idle = loss_trend.slow and loss_trend.reach >= self.error_steps
        most = self.max_idle_gradient_through_time if idle else self.max_gradient_through_time
        ill = [memory for memory in memories if early[memory.layer.name] > most]
        if not ill:
            return
        harmful = window.cut is not None or loss_trend.slow
        names = [memory.layer.name for memory in ill]
        worst = max(names, key=lambda name: early[name])
        over = np.nan_to_num([memory.gradient for memory in ill]).max(axis=0) > most
        first, last = window.span(over, lasting=False)
        yield Finding(
            rule=self.name,
            title="gradient that explodes through time",
            sentence=f"the gradient explodes on its way back through the sequences ({number(early[worst])} times the "
            f"last step's at the first in {worst})",
            severity=Severity.ERROR if harmful else Severity.NOTE,
            layers=tuple(names),
            first_step=first,
            last_step=last,
            measurements=(Measurement("time_gradient_ratio", early[worst], most, "1", worst, "below 10"),),
            remedies=(*remedies.remember([memory.layer for memory in ill]), remedies.clip_gradients()),
            variant="through-time",
            phase="forward",
            # What the sequences do to it is part of what the depth is seen to do.
            explains=_EXPLAINS | {"exploding-gradient:across-depth"} if harmful else frozenset(),
        )

    def _over_time(
        self, gradient: GlobalGradient, window: Window, loss_trend: LossTrend, layers: tuple[Layer, ...], *, calm: bool
    ) -> Iterable[Finding]:
        growth = np.nan_to_num(gradient.growth)
        high = growth > self.max_gradient_growth
        samples = np.flatnonzero(window.usable & np.isfinite(gradient.norm))
        diverged = window.cut is not None and bool(high[samples[-3:]].any())
        peak = float(growth.max())
        norm = gradient.norm[samples]
        if window.cut is not None and len(norm) and norm[0] > 0 and norm[-1] / norm[0] > self.max_gradient_growth:
            diverged, peak = True, max(peak, float(norm[-1] / norm[0]))
            high[samples[-1]] = True
        if not high.any():
            return
        lasting = diverged or median(growth[window.late]) > self.max_gradient_growth
        first, last = window.span(high)
        clipped = bool((gradient.clipped_norm[high] < 0.1 * gradient.norm[high]).all())
        if not lasting:
            severity = Severity.NOTE if loss_trend.falling or clipped else Severity.WARNING
        else:
            severity = Severity.WARNING if calm and clipped and not loss_trend.flat else Severity.ERROR
        healthy = median(gradient.norm[window.usable & ~high])
        yield Finding(
            rule=self.name,
            title="exploding gradient",
            sentence=f"the gradient norm {'grows' if lasting else 'jumps'} to {number(peak)} times its own past "
            f"at step {first:,}",
            severity=severity,
            layers=(),
            first_step=first,
            last_step=last,
            measurements=(
                Measurement("growth of global_gradient_norm", peak, self.max_gradient_growth, "1", "", "below 100"),
            ),
            remedies=(
                *remedies.bound_states(layers),
                remedies.clip_gradients(healthy),
                remedies.warm_up(float("nan")),
            ),
            variant="over-time",
            explains=frozenset(
                {"dead-units", "diverging-loss", "loss-plateau", "nonfinite-values", "saturated-activation"}
            ),
        )


def _first(series: npt.NDArray[np.floating]) -> float:
    known = series[np.isfinite(series)]
    return float(known[0]) if len(known) else float("nan")
