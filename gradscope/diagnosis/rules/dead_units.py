"""Rule dead-units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Layer, LossTrend, Window
from gradscope.diagnosis.evidence.example_count import example_count
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, shares
from gradscope.run import Run

_OFTEN_ZERO = 0.2
_ROUNDING = 0.95
_BATCH = 16  # examples among which one should switch on a unit of a layer that lives
_EXPLAINS = frozenset(
    {
        "collapsed-batch-statistics:starved",
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "disconnected-variable:zero",
        "loss-plateau",
        "vanishing-gradient",
    }
)


@dataclass(frozen=True)
class DeadUnits(Rule):
    """Units of a ReLU layer that are zero for every example.

    ## What it detects
    Hidden layers in which half of the units or more never switch on, and outputs that give nothing but zeros.

    ## Why it matters
    A unit that is always off gets no gradient and stays off: the layer is narrower than it looks, and with all units
    dead nothing passes.

    ## Evidence
    The share of units that are zero on every example of a window of recent sampled steps, or a layer that gives nothing
    but zeros for a whole batch of 16 or more; unlike the share of zero entries it does not confuse a sparse layer with
    a dead one. Of an output it counts only if nearly all are. Layers with ReLU or ReLU6 are judged, and where there is
    no model card those that give many zeros. Where several optimizers train, the sum of their losses tells little, so
    most units must be dead for more than a note.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(put={("activation", "hidden_2", "dead_unit_fraction"): 0.75})
    >>> [f.sentence for f in diagnose(ill, [DeadUnits()]).findings()]
    ['75 % of the units of hidden_2 are dead from the start']
    >>> list(diagnose(toy_run(), [DeadUnits()]).findings())
    []

    ## Remedies
    Dead from the start: He initialisation with a positive bias, standardised input. Died later: a lower learning rate,
    leaky ReLU or ELU.

    ## References
    Lu et al. 2020, Dying ReLU and initialization; Maas et al. 2013 (leaky ReLU); Clevert et al. 2016 (ELU).
    """

    name: ClassVar[str] = "dead-units"
    max_dead_unit_fraction: float = limit(
        0.5, "1", "half of the layer; few layers of simulated healthy networks reach it, and then as a note"
    )
    stuck_dead_unit_fraction: float = limit(
        0.8, "1", "an error where the loss has not fallen by half: little passes the layer"
    )
    error_dead_unit_fraction: float = limit(0.95, "1", "practically nothing passes the layer")
    max_remaining_loss: float = limit(
        0.6, "1", "of a constant answer's loss or of the start; below it a layer that is half dead is a note"
    )

    def check(self, run: Run, layers: tuple[Layer, ...], window: Window, loss_trend: LossTrend) -> Iterable[Finding]:
        """Judge each hidden ReLU layer; one finding for those that are alike in severity and beginning."""
        judged = [layer for layer in layers if not layer.frozen and _is_rectifier(run, layer)]
        series = {layer.name: _dead_fraction(run, layer.name) for layer in judged}
        if judged and not any(np.isfinite(values[window.usable]).any() for values in series.values()):
            raise NotJudged("no window of examples was complete; record more steps for dead_unit_fraction")
        if not judged and not run.model.layers and not run.names("activation"):
            raise NotJudged("no activations were recorded; record activations")
        groups: dict[tuple[bool, bool], list[Layer]] = {}
        for layer in judged:
            values = series[layer.name]
            level = window.lower(values)
            # Single answers may be zero throughout, as the pixels of an edge are.
            if level >= (self.error_dead_unit_fraction if layer.is_output else self.max_dead_unit_fraction):
                known = values[window.usable & np.isfinite(values)]
                from_start = bool(known[0] >= self.max_dead_unit_fraction)
                from_start &= _begins_with_zeros(run, layer.name, window, float(known[0]))
                groups.setdefault((level >= self.error_dead_unit_fraction, from_start), []).append(layer)
        for (grave, from_start), alike in groups.items():
            # Behind a layer that gives nothing there is nothing to switch units on: they are not ill themselves.
            found = [layer for layer in alike if not _gets_nothing(run, layer.name, window)] or alike
            yield self._finding(found, series, window, loss_trend, run, grave=grave, from_start=from_start)

    def _finding(
        self,
        found: list[Layer],
        series: dict[str, npt.NDArray[np.floating]],
        window: Window,
        loss_trend: LossTrend,
        run: Run,
        *,
        grave: bool,
        from_start: bool,
    ) -> Finding:
        names = [layer.name for layer in found]
        levels = [window.lower(series[name]) for name in names]
        bound = self.error_dead_unit_fraction if grave else self.max_dead_unit_fraction
        with np.errstate(invalid="ignore"):
            ill = np.any([series[name] >= self.max_dead_unit_fraction for name in names], axis=0)
        first, last = window.span(ill)
        # The fraction is known only once its window is full.
        first = int(window.steps[window.usable][0]) if from_start else first
        severity = window.cap(Severity.ERROR) if grave else Severity.WARNING
        if not loss_trend.falling and min(levels) >= self.stuck_dead_unit_fraction:
            severity = window.cap(Severity.ERROR)
        some = max(levels) < self.stuck_dead_unit_fraction and loss_trend.remaining < self.max_remaining_loss
        if loss_trend.fallen or ((loss_trend.falling or some) and not grave):
            many = grave or (not loss_trend.fallen and max(levels) >= self.stuck_dead_unit_fraction)
            severity = Severity.WARNING if many else Severity.NOTE
        # The sum of what rivals lose does not fall, however well they learn.
        if run.settings.get("optimizers") and max(levels) < self.stuck_dead_unit_fraction:
            severity = Severity.NOTE
        since = "from the start" if from_start else f"since step {first:,}"
        return Finding(
            rule=self.name,
            title="dead units",
            sentence=f"{shares(levels)} of the units of {among(names)} are dead {since}",
            severity=severity,
            layers=tuple(names),
            first_step=first,
            last_step=last,
            measurements=tuple(
                Measurement("dead_unit_fraction", level, bound, "1", name, "below 0.5")
                for name, level in zip(names, levels, strict=True)
            ),
            remedies=_remedies(found, run, first, from_start=from_start),
            phase="forward",
            explains=_EXPLAINS if grave else frozenset(),
        )


def _dead_fraction(run: Run, name: str) -> npt.NDArray[np.floating]:
    """The recorded share, and 1 at once where a whole batch sees nothing but zeros."""
    dead = run.series("activation", name, "dead_unit_fraction").astype(np.float64)
    silent = (run.series("activation", name, "zero_fraction") == 1) & (example_count(run) >= _BATCH)
    return np.where(silent, 1.0, dead)


def _begins_with_zeros(run: Run, name: str, window: Window, dead: float) -> bool:
    # The share of dead units is known only once its window is full: they may have died meanwhile.
    zeros = run.series("activation", name, "zero_fraction")[window.usable]
    return not zeros.size or not float(zeros[0]) < _ROUNDING * dead


def _gets_nothing(run: Run, name: str, window: Window) -> bool:
    known = run.series("preactivation", name, "rms")[window.usable]
    known = known[np.isfinite(known)]
    return bool(len(known)) and not known.any()


def _is_rectifier(run: Run, layer: Layer) -> bool:
    if layer.shape or (layer.card is not None and layer.card.kind == "ReLU"):
        return layer.shape in ("rectifier", "")
    watched = np.isfinite(run.series("activation", layer.name, "dead_unit_fraction")).any()
    if layer.card is not None and not watched:
        return False
    # Of a layer of one's own the zeros tell.
    zeros = run.series("activation", layer.name, "zero_fraction")
    return bool(np.nan_to_num(zeros).max(initial=0.0) > _OFTEN_ZERO)


def _remedies(found: list[Layer], run: Run, since: int, *, from_start: bool) -> tuple[Remedy, ...]:
    if from_start:
        return (remedies.initialise(found), remedies.replace_activation(found), *remedies.scale_input_if_off(run))
    rate = run.step_statistics.get("learning_rate")
    known = float(rate[np.searchsorted(run.steps, since)]) if rate is not None and len(rate) else float("nan")
    return (remedies.lower_learning_rate(known), remedies.replace_activation(found), remedies.normalise(found, run))
