"""Rule collapsed-representation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import ExampleSpread, Layer, LossTerm, LossTrend, Penalty, ShutOut, Window
from gradscope.diagnosis.evidence.window import quantile
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.run import Run

_MOST = 0.9  # of the samples: a peak of a few is none


@dataclass(frozen=True)
class CollapsedRepresentation(Rule):
    """Hidden layers that answer alike to all examples.

    ## What it detects
    Examples that differ in the input and no longer differ in the last hidden layers.

    ## Why it matters
    Whatever stands behind cannot tell the examples apart and can only give the mean answer.

    ## Evidence
    The standard deviation across the examples of a batch over the rms of the layer's output, lately. Judged are the
    hidden layers from the output backwards for as long as they are collapsed, so that a branch that is constant by
    design (positions, learned queries) is none; layers whose scale a normalisation behind them takes out are passed
    over. Or the standard deviation over what it was at first, of any layer that learns; where the loss was low and has
    come back to where it was, over what it was at most. It is an error where the loss stands where it began or where a
    constant answer stands, or where nothing of the example is left at all, and otherwise no finding where the loss fell
    by half. Where penalties (a divergence from a prior, on activities) made up much of the loss at first, they are the
    cause; where a loss without targets falls to nothing while the output's examples become alike, the loss is. With one
    example per batch there is nothing to compare. Where the examples differ up to one layer and are the same, to
    rounding and from the first step on, behind an operation that is no layer, that is what shuts them out: the mask of
    an attention, a pooling over the wrong axis.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(put={("activation", "hidden_2", "example_std"): 1e-5}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [CollapsedRepresentation()]).findings()]
    ['all examples look alike at hidden_2 (they differ by 1.4e-05 of the signal)']
    >>> list(diagnose(toy_run(), [CollapsedRepresentation()]).findings())
    []

    ## Remedies
    An initialiser that suits the activation; a normalisation; ReLU instead of sigmoid; skip connections.

    ## References
    Schoenholz et al. 2017, Deep Information Propagation; Glorot & Bengio 2010 (sigmoid networks that answer with
    their biases).
    """

    name: ClassVar[str] = "collapsed-representation"
    max_relative_spread: float = limit(
        1e-2, "1", "learning networks of ten layers show 0.1 to 1; two sigmoid layers 0.03 before training"
    )
    utter_relative_spread: float = limit(
        1e-4, "1", "nothing of the example is left, whatever the loss does (a penalty on the weights may fall in it)"
    )
    min_kept_spread: float = limit(
        0.1, "1", "example_std of any layer over its first; 0.5 or more in 150 recorded healthy runs, below 0.1 in sick"
    )
    error_kept_spread: float = limit(0.05, "1", "twentyfold, where the loss does not show that it learns all the same")
    min_asked_spread: float = limit(0.5, "1", "of the first: an output is not asked to tell apart what is alike by now")
    max_rewarded_loss: float = limit(
        0.01, "1", "of the start: where no constant answer's loss is known, a loss that is solved by being alike"
    )
    max_learning_loss: float = limit(0.8, "1", "of a constant answer's loss: what is left of the layers teaches it")
    max_penalty: float = limit(0.5, "1", "times what the outputs cost, at first: alike is what the penalty asks for")
    max_penalty_left: float = limit(0.01, "1", "of the first penalty: it, and nothing else, has been minimised")
    min_input_spread: float = limit(0.05, "1", "inputs that are alike themselves cannot be told apart")

    def check(
        self,
        *,
        run: Run,
        layers: tuple[Layer, ...],
        example_spread: ExampleSpread,
        window: Window,
        loss_trend: LossTrend,
        loss_terms: tuple[LossTerm, ...],
        penalty: Penalty,
        shut_out: ShutOut | None,
    ) -> Iterable[Finding]:
        """Judge the hidden layers from the output backwards."""
        levels = {name: window.upper(series) for name, series in example_spread.hidden.items()}
        if not run.names("activation"):
            raise NotJudged("no activations were recorded; record activations")
        if levels and not np.isfinite(list(levels.values())).any():
            raise NotJudged("examples cannot be compared in batches of one; record batches of two or more")
        inputs = [window.upper(series) for series in example_spread.inputs.values()]
        if inputs and max(inputs) < self.min_input_spread:
            return
        collapsed = self._alike_behind(layers, levels)
        utter = bool(collapsed) and levels[collapsed[-1].name] < self.utter_relative_spread
        if collapsed and (utter or not loss_trend.falling):
            finding = self._alike(run, collapsed, example_spread, window, grave=loss_trend.at_rest or utter)
            if shut_out:
                yield self._shut_out(finding, shut_out)
            else:
                yield self._penalised(finding, run, penalty) if self._is_asked_for(penalty, loss_trend) else finding
            return
        spreads = example_spread.kept
        if loss_trend.relapsed:  # what it had learnt by then counts, not what it began with
            spreads = {name: _over_most(series, window) for name, series in spreads.items()}
        shrunken = self._shrunken_layers(run, layers, spreads, window, loss_terms)
        if shrunken and not (loss_trend.falling and loss_trend.knows_constant):
            finding = self._shrunken(run, shrunken, spreads, window, loss_trend)
            if self._is_asked_for(penalty, loss_trend):
                yield self._penalised(finding, run, penalty)
            elif any(layer.is_output for layer in shrunken) and self._is_rewarded(loss_trend):
                yield self._rewarded(finding, run)
            else:
                yield finding

    def _alike(
        self, run: Run, collapsed: list[Layer], example_spread: ExampleSpread, window: Window, *, grave: bool
    ) -> Finding:
        spreads = {layer.name: example_spread.hidden[layer.name] for layer in collapsed}
        least = window.upper(spreads[collapsed[-1].name])
        return self._finding(
            collapsed,
            spreads,
            ("example_std over rms", self.max_relative_spread, "0.1 to 1"),
            f"all examples look alike at {among(list(spreads))} (they differ by {number(least)} of the signal)",
            run,
            window,
            grave=grave,
        )

    def _shut_out(self, finding: Finding, found: ShutOut) -> Finding:
        """The same where something between two layers lets nothing of the examples through."""
        return replace(
            finding,
            sentence=found.sentence,
            layers=(found.after.name,),
            remedies=(remedies.look_between(found.before, found.after),),
            variant="shut-out",
            explains=finding.explains | {"unchanged-weights", "vanishing-gradient"},
        )

    def _shrunken_layers(
        self,
        run: Run,
        layers: tuple[Layer, ...],
        spreads: Mapping[str, npt.NDArray[np.floating]],
        window: Window,
        loss_terms: tuple[LossTerm, ...],
    ) -> list[Layer]:
        kept = {name: window.upper(series) for name, series in spreads.items()}
        # What a critic is to tell apart shrinks as the policy becomes good.
        asked = {
            term.output.name: window.over_first(run.series("target", term.target, "example_std"))
            for term in loss_terms
            if term.output
        }
        small = [layer for layer in layers if kept.get(layer.name, 1.0) < self.min_kept_spread]
        return [layer for layer in small if not asked.get(layer.name, 1.0) < self.min_asked_spread]

    def _shrunken(
        self,
        run: Run,
        shrunken: list[Layer],
        spreads: Mapping[str, npt.NDArray[np.floating]],
        window: Window,
        loss_trend: LossTrend,
    ) -> Finding:
        spreads = {layer.name: spreads[layer.name] for layer in shrunken}
        least = min(window.upper(series) for series in spreads.values())
        return self._finding(
            shrunken,
            spreads,
            ("example_std over what it was", self.min_kept_spread, "above 0.5"),
            f"what tells the examples apart at {among(list(spreads))} has shrunk to {number(least)} of what it was",
            run,
            window,
            grave=loss_trend.at_rest or (least < self.error_kept_spread and not self._learns(loss_trend)),
        )

    def _is_asked_for(self, penalty: Penalty, loss_trend: LossTrend) -> bool:
        minimised = penalty.left < self.max_penalty_left and not loss_trend.falling
        return penalty.early > self.max_penalty or minimised

    def _is_rewarded(self, loss_trend: LossTrend) -> bool:
        solved = loss_trend.nonnegative and loss_trend.late < self.max_rewarded_loss * loss_trend.start
        return solved and not loss_trend.knows_constant

    def _rewarded(self, finding: Finding, run: Run) -> Finding:
        """The same as what the loss asks for: it falls to nothing as all answers become alike."""
        return replace(
            finding,
            sentence=f"{finding.sentence}, and the loss falls with it: one answer to everything is what it asks for",
            severity=Severity.ERROR,
            first_step=int(run.steps[0]),
            remedies=(remedies.tell_apart(),),
            variant="rewarded",
            explains=finding.explains | {"dead-units", "vanishing-gradient"},
        )

    def _penalised(self, finding: Finding, run: Run, penalty: Penalty) -> Finding:
        """The same as the outcome of a penalty that asks for it from the start."""
        heavy = penalty.early > self.max_penalty
        which = (
            f"that was {number(penalty.early)} times what the outputs cost"
            if heavy
            else f"of which {number(100 * penalty.left)} % is left, while the outputs still cost most of what they did"
        )
        measured = (
            Measurement("penalty over what the outputs cost, at first", penalty.early, self.max_penalty, "1", "", "0")
            if heavy
            else Measurement("penalty, late over early", penalty.left, self.max_penalty_left, "1", "", "0.5 to 10")
        )
        return replace(
            finding,
            sentence=f"{finding.sentence}, under a penalty {which}",
            first_step=int(run.steps[0]),
            measurements=(*finding.measurements, measured),
            remedies=(remedies.weaken_penalty(),),
            variant="penalised",
            explains=finding.explains | {"dead-units", "saturated-activation", "vanishing-gradient"},
        )

    def _learns(self, loss_trend: LossTrend) -> bool:
        return loss_trend.knows_constant and loss_trend.remaining < self.max_learning_loss

    def _alike_behind(self, layers: tuple[Layer, ...], levels: Mapping[str, float]) -> list[Layer]:
        collapsed: list[Layer] = []
        for layer in reversed(layers):
            level = levels.get(layer.name, float("nan"))
            if layer.normalised or not np.isfinite(level):
                continue
            if level >= self.max_relative_spread:
                break
            collapsed.insert(0, layer)
        return collapsed

    def _finding(  # noqa: PLR0917  what the two kinds differ in
        self,
        found: list[Layer],
        series: Mapping[str, npt.NDArray[np.floating]],
        measured: tuple[str, float, str],
        sentence: str,
        run: Run,
        window: Window,
        *,
        grave: bool,
    ) -> Finding:
        statistic, bound, healthy = measured
        with np.errstate(invalid="ignore"):
            first, last = window.span(np.any([values < bound for values in series.values()], axis=0))
        return Finding(
            rule=self.name,
            title="collapsed representation",
            sentence=sentence,
            severity=window.cap(Severity.ERROR) if grave else Severity.WARNING,
            layers=tuple(series),
            first_step=first,
            last_step=last,
            measurements=tuple(
                Measurement(statistic, window.upper(values), bound, "1", name, healthy)
                for name, values in series.items()
            ),
            remedies=_remedies(found, run),
            explains=frozenset({"constant-output", "loss-plateau"}),
        )


def _over_most(series: npt.NDArray[np.floating], window: Window) -> npt.NDArray[np.floating]:
    known = series[window.usable & np.isfinite(series)]
    return series / max(1.0, quantile(known, _MOST)) if len(known) else series


def _remedies(layers: list[Layer], run: Run) -> tuple[Remedy, ...]:
    return (*remedies.keep_signal(layers, run), *remedies.scale_input_if_off(run))
