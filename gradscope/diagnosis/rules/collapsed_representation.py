"""Rule collapsed-representation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import ExampleSpread, Layer, LossTrend, Window
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.run import Run


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
    over. It is an error where the loss stands where it began or where a constant answer stands, or where nothing of
    the example is left at all, and otherwise no finding where the loss fell by half. With one example per batch there
    is nothing to compare.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(put={("activation", "hidden_2", "example_std"): 1e-5}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [CollapsedRepresentation()]).findings()]
    ['all examples look alike at hidden_2 (they differ by 1.4e-05 of its output)']
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
    min_input_spread: float = limit(0.05, "1", "inputs that are alike themselves cannot be told apart")

    def check(
        self, run: Run, layers: tuple[Layer, ...], example_spread: ExampleSpread, window: Window, loss_trend: LossTrend
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
        collapsed: list[Layer] = []
        for layer in reversed(layers):
            level = levels.get(layer.name, float("nan"))
            if layer.normalised or not np.isfinite(level):
                continue
            if level >= self.max_relative_spread:
                break
            collapsed.insert(0, layer)
        utter = bool(collapsed) and levels[collapsed[-1].name] < self.utter_relative_spread
        if not collapsed or (loss_trend.falling and not utter):
            return
        names = [layer.name for layer in collapsed]
        with np.errstate(invalid="ignore"):
            ill = np.any([example_spread.hidden[name] < self.max_relative_spread for name in names], axis=0)
        first, last = window.span(ill)
        yield Finding(
            rule=self.name,
            title="collapsed representation",
            sentence=f"all examples look alike at {among(names)} "
            f"(they differ by {number(levels[names[-1]])} of its output)",
            severity=window.cap(Severity.ERROR) if loss_trend.at_rest or utter else Severity.WARNING,
            layers=tuple(names),
            first_step=first,
            last_step=last,
            measurements=tuple(
                Measurement("example_std over rms", levels[name], self.max_relative_spread, "1", name, "0.1 to 1")
                for name in names
            ),
            remedies=_remedies(collapsed, run),
            explains=frozenset({"constant-output", "loss-plateau"}),
        )


def _remedies(layers: list[Layer], run: Run) -> tuple[Remedy, ...]:
    return (
        remedies.initialise(layers),
        remedies.normalise(layers, run),
        remedies.skip_connections(),
        *remedies.scale_input_if_off(run),
    )
