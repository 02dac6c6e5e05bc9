"""Rule excessive-dropout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan, prod
from typing import ClassVar, NamedTuple

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import LossTrend
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.rule import NothingToJudge, NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.model_card import LayerCard
from gradscope.run import Run

_KINDS = ("Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")

_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "disconnected-variable:zero",
        "learning-rate-too-high",
        "loss-plateau",
        "unchanged-weights",
        "update-ratio-out-of-range:too-large",
        "vanishing-gradient",
    }
)


class Noise(NamedTuple):
    """A layer that adds noise, and what it adds it to."""

    layer: str
    stddev: float
    signal: float
    """How the examples differ in what comes in: the rms over units of their standard deviation, at its median."""

    @property
    def ratio(self) -> float:
        """Noise over signal; NaN where the latter is unknown or zero."""
        return self.stddev / self.signal if self.signal > 0 else nan


@dataclass(frozen=True)
class ExcessiveDropout(Rule):
    """Dropout, or noise, that leaves next to nothing of a layer.

    ## What it detects
    Dropout layers with a rate near 1, often a share to keep that was taken for a share to drop; layers that add noise
    beside which the signal does not count.

    ## Why it matters
    What is left is scaled up by 1 / (1 - rate): a signal of which a tenth arrives, ten times as large, is mostly noise,
    and so is its gradient.

    ## Evidence
    The rate in the model card, or the product of what several strong ones keep; the deviation of the noise over that of
    the examples in what it is added to. It is an error where the loss is known and has not fallen by half, but for
    several that only slow it down a warning; a note where the network learns all the same.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(dropout=0.97, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [ExcessiveDropout()]).findings()]
    ['dropout drops 97 % of what passes']
    >>> list(diagnose(toy_run(dropout=0.5), [ExcessiveDropout()]).findings())
    []

    ## Remedies
    A rate of 0.2 to 0.5; noise of a tenth of the signal.

    ## References
    Srivastava et al. 2014, Dropout (rates of 0.2 at the input and 0.5 in hidden layers).
    """

    name: ClassVar[str] = "excessive-dropout"
    max_rate: float = limit(0.85, "1", "Srivastava et al. (figure 9) find rates of 0.2 to 0.6 equally good")

    max_noise: float = limit(0.8, "1", "times the signal: denoising autoencoders take 0.1 to 0.5")
    error_noise: float = limit(8.0, "1", "times the signal: what a layer of 64 inputs can still make out")
    max_noisy_loss: float = limit(0.85, "1", "of a constant answer's loss or of the start, under noise")
    max_shared_rate: float = limit(0.5, "1", "the usual rate: what a network bears in every hidden layer")
    min_kept: float = limit(0.1, "1", "the product of what layers above that keep: three of 0.6 keep 0.064")

    max_borne_loss: float = limit(
        0.4, "1", "of a constant answer's loss or of the start: with less, the network learns in spite of it"
    )
    max_coming_loss: float = limit(
        0.3, "1", "of a constant answer's loss or of the start, as many steps later at its pace: it only takes longer"
    )

    def check(self, run: Run, loss_trend: LossTrend) -> Iterable[Finding]:
        """Judge all dropout layers together."""
        if not run.model.layers:
            raise NotJudged("the kinds of the layers are unknown; record with gradscope.Recorder for a model card")
        noises = _noises(run)
        if drowning := [noise for noise in noises if noise.ratio > self.max_noise]:
            yield self._noise(drowning, run, loss_trend)
        rates = {card.name: rate for card in run.model.layers if (rate := _rate(card))}
        if not (rates or noises):
            raise NothingToJudge("no layer of the model card drops anything")
        strong = {name: rate for name, rate in rates.items() if rate > self.max_rate}
        strong = strong or self._together(rates)
        if not strong:
            return
        drop = "drops" if len(strong) == 1 else "each drop"
        yield Finding(
            rule=self.name,
            title="dropout too strong",
            sentence=f"{among(list(strong))} {drop} {number(100 * max(strong.values()))} % of what passes",
            severity=self._severity(loss_trend, max(strong.values())),
            layers=tuple(strong),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=tuple(
                Measurement("dropout rate", rate, self.max_rate, "1", name, "0.2 to 0.5")
                for name, rate in strong.items()
            ),
            remedies=(remedies.weaken_dropout([card for card in run.model.layers if card.name in strong]),),
            explains=_EXPLAINS,
        )

    def _noise(self, found: list[Noise], run: Run, trend: LossTrend) -> Finding:
        worst = max(found, key=lambda noise: noise.ratio)
        what = "stddev over the example_std of what comes in"
        return Finding(
            rule=self.name,
            title="noise too strong",
            sentence=f"{worst.layer} adds noise of deviation {number(worst.stddev)} to a signal whose examples differ "
            f"by {number(worst.signal)}",
            severity=self._drowned(trend, worst.ratio),
            layers=tuple(noise.layer for noise in found),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=tuple(
                Measurement(what, noise.ratio, self.max_noise, "1", noise.layer, "0.1 to 0.5") for noise in found
            ),
            remedies=(remedies.weaken_noise(worst.layer, worst.signal),),
            variant="noise",
            explains=_EXPLAINS,
        )

    def _severity(self, trend: LossTrend, rate: float) -> Severity:
        if not trend.slow:
            return Severity.WARNING if trend.knows_constant and trend.remaining > self.max_borne_loss else Severity.NOTE
        # Several moderate rates may only ask for patience.
        coming = trend.ahead < self.max_coming_loss * trend.level and rate <= self.max_rate
        return Severity.WARNING if coming else Severity.ERROR

    def _drowned(self, trend: LossTrend, ratio: float) -> Severity:
        # Without noise, and over many inputs, a network may do far better than its training loss.
        if trend.at_rest or trend.remaining > self.max_noisy_loss or (trend.slow and ratio > self.error_noise):
            return Severity.ERROR
        return Severity.WARNING if trend.slow else Severity.NOTE

    def _together(self, rates: dict[str, float]) -> dict[str, float]:
        """The layers that leave next to nothing between them, where each leaves something."""
        strong = {name: rate for name, rate in rates.items() if rate > self.max_shared_rate}
        kept = prod(1 - rate for rate in strong.values())
        return strong if kept < self.min_kept else {}


def _rate(card: LayerCard) -> float:
    """The greatest rate at which a layer drops anything; recurrent and attention layers drop by themselves."""
    names = ("rate",) if card.kind in _KINDS else ("dropout", "recurrent_dropout")
    rates = [card.arguments.get(name, 0.0) for name in names]
    return max(float(rate) if isinstance(rate, (int, float)) else 0.0 for rate in rates)


def _noises(run: Run) -> list[Noise]:
    """The layers of the model card that add noise; what they add it to is recorded as an input or an activation."""
    found = []
    for entry in run.settings.get("noises") or ():
        kind = "input" if entry.get("inbound") in run.names("input") else "activation"
        signal = median(run.series(kind, entry.get("inbound") or "", "example_std"))
        found.append(Noise(str(entry["layer"]), float(entry["stddev"]), signal))
    return found
