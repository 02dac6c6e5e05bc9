"""Rule constant-output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Flow, LossTrend, OutputSpread, ShutOut, Window
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import number
from gradscope.run import Run

_ALIKE = "the output does not depend on the input"


@dataclass(frozen=True)
class ConstantOutput(Rule):
    """An output that does not depend on the input.

    ## What it detects
    A network that gives one and the same answer whatever it is shown, typically the mean of the targets.

    ## Why it matters
    The loss is finite and may even fall at first, while the output bias learns; nothing else ever will.

    ## Evidence
    From differentials, so that batches of one example suffice: (‖∂loss/∂a‖ / ‖∂loss/∂y‖) · (‖a‖ / ‖y‖) estimates the
    share of the output y that the signal a of a layer can move. It is taken for the layers that stand first behind the
    input (where the connections are unknown: for the input-side third), and the best of them counts. A small share with
    a sound gradient and a falling loss is an output with a large offset, and no finding. Where the loss is known to
    stand where a constant answer stands, or has not fallen by half where that is unknown, the answers themselves are
    compared over the examples of a batch: their standard deviation over that of the right answers. Answers that are the
    same to within rounding are constant whatever the loss says, unless it fell to a tenth; those of one of several
    outputs are whatever the loss of all says. Where an operation in front of the output lets nothing of the examples
    through that the layer before it tells apart, that place is named.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run({("activation_gradient", "hidden_1"): 1e-6}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [ConstantOutput()]).findings()]
    ['what hidden_1 gives has no say in the output']
    >>> list(diagnose(toy_run(), [ConstantOutput()]).findings())
    []

    ## Remedies
    Initialise for fan-in and activation; revive dead units; standardise the input.

    ## References
    Glorot & Bengio 2010; the autoencoder with N(0, 1e-3) weights of the examples.
    """

    name: ClassVar[str] = "constant-output"
    min_output_share: float = limit(
        1e-4, "1", "1e-6 to 5e-6 in the failing autoencoder, 1 to 40 in simulated healthy networks"
    )
    min_output_spread: float = limit(
        0.02, "1", "of the right answers' spread, where the loss is that of a constant answer"
    )
    min_relative_spread: float = limit(1e-5, "1", "of the answers' rms: the same to within the rounding of float32")
    min_differing_spread: float = limit(0.01, "1", "of the answers' rms: they differ, whatever it is that tells them")
    error_steps: float = limit(100, "steps", "healthy networks answer alike at first, but not that long")
    min_gradient_ratio: float = limit(1e-2, "1", "below it the small share comes from the gradient, not from an offset")

    def check(
        self,
        *,
        run: Run,
        flow: Flow,
        window: Window,
        loss_trend: LossTrend,
        output_spread: OutputSpread,
        output_spreads: tuple[OutputSpread, ...],
        shut_out: ShutOut | None,
    ) -> Iterable[Finding]:
        """Judge the answers where their targets are known, else the best connected of the first layers."""
        idle = [each for each in output_spreads if window.upper(each.relative) < self.min_relative_spread]
        if idle and loss_trend.reach >= self.error_steps:
            yield from (self._one_of_several(window, each) for each in idle)
            return
        alike = self._alike(output_spread, window, loss_trend)
        if alike is None:
            differ = window.upper(output_spread.relative) > self.min_differing_spread
            yield from self._immovable(run, flow, window, loss_trend, differ=differ)
            return
        statistic, series, bound, healthy = alike
        with np.errstate(invalid="ignore"):
            where = window.span(series < bound)
        measured = Measurement(statistic, window.upper(series), bound, "1", output_spread.layer, healthy)
        relative = statistic.endswith("right ones")
        early = loss_trend.reach < self.error_steps and relative
        severity = window.cap(Severity.WARNING if early else Severity.ERROR)
        share = f"{number(100 * measured.value)} % of what the right ones do"
        sentence = f"the answers hardly depend on the input (they differ by {share})" if relative else _ALIKE
        finding = self._finding(run, flow, where, measured, severity, sentence=sentence)
        if shut_out and shut_out.after.is_output:
            remedy = remedies.look_between(shut_out.before, shut_out.after)
            finding = replace(finding, sentence=shut_out.sentence, remedies=(remedy,), variant="shut-out")
        yield finding

    def _immovable(
        self, run: Run, flow: Flow, window: Window, loss_trend: LossTrend, *, differ: bool
    ) -> Iterable[Finding]:
        """Judge by how much of the output the best connected of the first layers can move."""
        flow.require()
        if flow.input_reaches_output:
            raise NotJudged("a path from the input to the output passes no trainable layer with a recorded gradient")
        share = flow.gradient * flow.signal
        levels = {i: flow.level(share[:, i], window) for i in flow.head}
        known = {i: level for i, level in levels.items() if np.isfinite(level)}
        if not known:
            raise NotJudged("activations or their gradients were not recorded; record both")
        column, value = max(known.items(), key=lambda item: item[1])
        if value >= self.min_output_share:
            return
        weak = flow.level(flow.gradient[:, column], window) < self.min_gradient_ratio
        if not weak and not loss_trend.flat:
            return
        name = flow.layers[column].name
        judged = np.nan_to_num(share[:, list(known)], nan=0.0).max(axis=1)
        what = f"share of the output that {name} can move"
        measured = Measurement(what, value, self.min_output_share, "1", name, "1 to 40")
        severity = window.cap(Severity.ERROR, extreme=value < self.min_output_share / 100)
        sentence = f"what {name} gives has no say in the output" if differ else _ALIKE
        yield self._finding(
            run, flow, window.span(judged < self.min_output_share), measured, severity, sentence=sentence
        )

    def _one_of_several(self, window: Window, spread: OutputSpread) -> Finding:
        value, bound = window.upper(spread.relative), self.min_relative_spread
        with np.errstate(invalid="ignore"):
            first, last = window.span(spread.relative < bound)
        return Finding(
            rule=self.name,
            title="constant output",
            sentence=f"{spread.layer} does not depend on the input",
            severity=window.cap(Severity.ERROR),
            layers=(spread.layer,),
            first_step=first,
            last_step=last,
            measurements=(
                Measurement("spread of the answers over their rms", value, bound, "1", spread.layer, "0.1 to 1"),
            ),
            remedies=(remedies.check_targets(),),
            variant="one-of-several",
            explains=frozenset({"loss-plateau"}),
        )

    def _alike(
        self, output_spread: OutputSpread, window: Window, loss_trend: LossTrend
    ) -> tuple[str, npt.NDArray[np.floating], float, str] | None:
        """By which measure the answers are alike: its name, the series, the limit and what is healthy."""
        spread = window.upper(output_spread.ratio)
        identical = window.upper(output_spread.relative) < self.min_relative_spread
        if identical and not loss_trend.fallen and not spread >= self.min_output_spread:
            return "spread of the answers over their rms", output_spread.relative, self.min_relative_spread, "0.1 to 1"
        unlearnt = loss_trend.answers_constantly or (loss_trend.slow and not loss_trend.knows_constant)
        if unlearnt and spread < self.min_output_spread:
            statistic = "spread of the answers over that of the right ones"
            return statistic, output_spread.ratio, self.min_output_spread, "about 1"
        return None

    def _finding(
        self, run: Run, flow: Flow, where: tuple[int, int], measured: Measurement, severity: Severity, *, sentence: str
    ) -> Finding:
        return Finding(
            rule=self.name,
            title="constant output",
            sentence=sentence,
            severity=severity,
            layers=flow.outputs or (measured.layer,),
            first_step=where[0],
            last_step=where[1],
            measurements=(measured,),
            remedies=(*_keep_signal(flow, run), *remedies.scale_input_if_off(run)),
            explains=frozenset({"loss-plateau"}),
        )


def _keep_signal(flow: Flow, run: Run) -> tuple[Remedy, ...]:
    if not flow.layers:
        return ()
    return remedies.initialise_others(flow.layers, run) or (remedies.normalise(flow.layers, run),)
