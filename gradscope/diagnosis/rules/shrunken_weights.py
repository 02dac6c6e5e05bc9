"""Rule shrunken-weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Kernel, LearningRate, LossTrend, Penalty, Window
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.window import median, over_steps
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number, span
from gradscope.run import Run


@dataclass(frozen=True)
class ShrunkenWeights(Rule):
    """Weights that a penalty, weight decay or a constraint has shrunk to nearly nothing.

    ## What it detects
    Networks most of whose kernels end at a small share of the size at which they began.

    ## Why it matters
    Gradients of the data rarely make all kernels small; ℓ1 or ℓ2 penalties, weight decay and max-norm do, when they
    are too strong. What is left of the weights passes neither signal nor gradient.

    ## Evidence
    The rms of each kernel over the late samples, over that at the first. It is an error where the loss stands where it
    began or where a constant answer stands, a note where it falls by half: some solutions are small. Where a penalty
    was at first more than what the outputs cost, and that is still far from solved, half the size of one kernel is
    small enough. A single kernel counts where there is a penalty and the loss has not fallen by half. Weight decay by
    the optimizer is known beforehand: it takes its learning rate times ``weight_decay`` of the weights in every step,
    more than updates give back or, summed over all steps, more than the weights themselves.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> shrinking = [0.7**n for n in range(30)]
    >>> names = ("hidden_1", "hidden_2", "output")
    >>> ill = toy_run({("weight", f"{name}/kernel"): shrinking for name in names}, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [ShrunkenWeights()]).findings()]
    ['the weights of hidden_1, hidden_2 and output have shrunk to 0.00016 of what they were']
    >>> list(diagnose(toy_run(), [ShrunkenWeights()]).findings())
    []

    ## Remedies
    A weaker penalty, decay or constraint.

    ## References
    Krogh & Hertz 1991, A simple weight decay can improve generalization; Loshchilov & Hutter 2019 (AdamW).
    """

    name: ClassVar[str] = "shrunken-weights"
    max_remaining_ratio: float = limit(0.1, "1", "late rms over the first; ordinary decay leaves more than half")
    utter_remaining_ratio: float = limit(1e-4, "1", "a single kernel counts that is all but gone")
    max_penalised_ratio: float = limit(
        0.5, "1", "the same where a penalty outweighs what there is to be learnt, or a constraint holds the weights"
    )
    max_penalty: float = limit(0.4, "1", "times what the outputs cost, early; healthy runs show 0.001 to 0.08")
    max_penalty_left: float = limit(0.01, "1", "of the first penalty: it has been minimised")
    max_penalised_loss: float = limit(
        0.25, "1", "of a constant answer's loss or of the start: all of it is no noise then"
    )
    max_decay: float = limit(0.01, "1", "of the weights per step: updates would have to be as large, ten times usual")
    max_total_decay: float = limit(
        1.0, "1", "of the weights, by all steps: a third of them would be left without updates"
    )
    max_worn_ratio: float = limit(0.65, "1", "late rms over the first, median over the kernels, there")
    min_worn_loss: float = limit(0.3, "1", "of a constant answer's loss, there: more was to be learnt")
    usual_weight_decay: float = limit(0.3, "1", "as large as anybody sets it; with less it is the learning rate")
    min_kernel_fraction: float = limit(0.5, "1", "of the kernels; a penalty acts on all that bear it")

    def check(
        self,
        *,
        run: Run,
        kernels: tuple[Kernel, ...],
        window: Window,
        loss_trend: LossTrend,
        learning_rate: LearningRate,
        penalty: Penalty,
    ) -> Iterable[Finding]:
        """Judge the decay that the optimizer was given, then what became of the kernels, together."""
        if decayed := self._decay(run, kernels, window, loss_trend, learning_rate):
            yield decayed
            return
        if held := self._held(run, kernels, window, loss_trend):
            yield self._constrained(run, held)
            return
        ratios = {kernel: window.over_first(kernel.weight_rms) for kernel in kernels}
        known = {kernel: ratio for kernel, ratio in ratios.items() if np.isfinite(ratio)}
        if not known:
            raise NotJudged("no kernel's size was recorded at the start and later; record weights")
        heavy = penalty.early > self.max_penalty and (loss_trend.slow or loss_trend.remaining > self.max_penalised_loss)
        most = self.max_penalised_ratio if heavy else self.max_remaining_ratio
        small = {kernel: ratio for kernel, ratio in known.items() if ratio < most}
        few = len(small) <= self.min_kernel_fraction * len(known)
        # A penalty that is gone while most weights are not was none on the weights.
        if few and (not heavy or penalty.left < self.max_penalty_left):
            # Some kernels may well shrink; none that the data has a use for does so to nothing.
            penalised = "penalties" in (run.settings.get("loss_additions") or ()) and loss_trend.slow
            least = self.max_remaining_ratio if penalised else self.utter_remaining_ratio
            small = {kernel: ratio for kernel, ratio in small.items() if ratio < least}
        if small:
            severity = Severity.ERROR if heavy else self._severity(small, loss_trend)
            yield self._shrunken(run, small, most, penalty.early if heavy else None, severity)
        elif heavy:
            yield from self._gains(run, window, penalty.early)

    def _decay(
        self,
        run: Run,
        kernels: tuple[Kernel, ...],
        window: Window,
        trend: LossTrend,
        learning_rate: LearningRate,
    ) -> Finding | None:
        """What the optimizer's own decay takes, in one step and in all."""
        weight_decay = optimizer_settings(run).weight_decay
        if not weight_decay > self.usual_weight_decay or trend.fallen:
            return None
        what, decay = "weight decay times learning rate", weight_decay * learning_rate.largest
        total = weight_decay * _summed_rate(run)
        worn = self._wears_down(kernels, window, trend, total)
        if decay > self.max_decay:
            size = Measurement(what, decay, self.max_decay, "1", "", "1e-7 to 1e-4")
        elif worn:
            size = Measurement(f"{what}, summed over all steps", total, self.max_total_decay, "1", "", "below 0.3")
        else:
            return None
        return self._decayed(run, kernels, decay, size, Severity.ERROR if worn or trend.slow else Severity.WARNING)

    def _wears_down(self, kernels: tuple[Kernel, ...], window: Window, trend: LossTrend, decay: float) -> bool:
        """Whether all steps together would take away most of the weights, and have, with much of the loss left."""
        left = median(np.array([window.over_first(kernel.weight_rms) for kernel in kernels]))
        worn = decay > self.max_total_decay and left < self.max_worn_ratio
        return worn and trend.knows_constant and trend.remaining > self.min_worn_loss

    def _severity(self, small: dict[Kernel, float], loss_trend: LossTrend) -> Severity:
        if loss_trend.falling and not min(small.values()) < self.utter_remaining_ratio:
            return Severity.NOTE
        return Severity.ERROR if loss_trend.slow else Severity.WARNING

    def _shrunken(
        self, run: Run, small: dict[Kernel, float], most: float, penalty: float | None, severity: Severity
    ) -> Finding:
        names = list(dict.fromkeys(kernel.layer.name for kernel in small))
        under = "" if penalty is None else f" under a penalty that was {number(penalty)} times what the outputs cost"
        return self._finding(
            run,
            f"the weights of {among(names)} have shrunk to {span(list(small.values()))} of what they were{under}",
            _all_left(small, most),
            severity,
        )

    def _held(self, run: Run, kernels: tuple[Kernel, ...], window: Window, trend: LossTrend) -> dict[Kernel, float]:
        """What a constraint cut down at once and never lets grow again, where little is learnt."""
        bound = {card.name: card.constraint for card in run.model.variables if card.constraint}
        if not (bound and trend.slow):
            return {}
        ratios = {kernel: window.over_first(kernel.weight_rms) for kernel in kernels if kernel.name in bound}
        return {kernel: ratio for kernel, ratio in ratios.items() if ratio < self.max_penalised_ratio}

    def _constrained(self, run: Run, held: dict[Kernel, float]) -> Finding:
        names = list(dict.fromkeys(kernel.layer.name for kernel in held))
        kinds = {card.name: card.constraint for card in run.model.variables}
        kind = kinds[next(iter(held)).name]
        return self._finding(
            run,
            f"{kind} holds the weights of {among(names)} at {span(list(held.values()))} of what they were",
            _all_left(held, self.max_penalised_ratio),
            title="weights held too small",
            variant="constrained",
            change=remedies.loosen_constraint(str(kind)),
        )

    def _decayed(
        self, run: Run, kernels: tuple[Kernel, ...], decay: float, size: Measurement, severity: Severity
    ) -> Finding:
        return Finding(
            rule=self.name,
            title="weight decay too strong",
            sentence=f"weight decay takes {number(100 * decay)} % of the weights in every step",
            severity=severity,
            layers=tuple(dict.fromkeys(kernel.layer.name for kernel in kernels)),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=(size,),
            remedies=(remedies.weaken_decay(),),
            variant="decay",
            explains=_EXPLAINS,
        )

    def _gains(self, run: Run, window: Window, penalty: float) -> Iterable[Finding]:
        """Judge the gains of the normalisations, which a penalty on everything bears on too."""
        gains = [variable for variable in run.model.variables if variable.role == "gamma"]
        ratios = {gain.name: window.over_first(run.series("weight", gain.name, "rms")) for gain in gains}
        small = [gain for gain in gains if ratios[gain.name] < self.max_penalised_ratio]
        if not small or len(small) <= self.min_kernel_fraction * len(gains):
            return
        names = list(dict.fromkeys(gain.layer for gain in small))
        yield self._finding(
            run,
            f"the gains of {among(names)} have shrunk to {span([ratios[gain.name] for gain in small])} of "
            f"what they were under a penalty that was {number(penalty)} times what the outputs cost",
            [_left(gain.name, gain.layer, ratios[gain.name], self.max_penalised_ratio) for gain in small],
            variant="gains",
        )

    def _finding(
        self,
        run: Run,
        sentence: str,
        left: list[Measurement],
        severity: Severity = Severity.ERROR,
        *,
        title: str = "shrunken weights",
        variant: str = "",
        change: Remedy | None = None,
    ) -> Finding:
        return Finding(
            rule=self.name,
            title=title,
            sentence=sentence,
            severity=severity,
            layers=tuple(dict.fromkeys(measured.layer for measured in left)),
            first_step=int(run.steps[0]),
            last_step=int(run.steps[-1]),
            measurements=tuple(left),
            remedies=(change or remedies.weaken_penalty(),),
            variant=variant,
            explains=_EXPLAINS if severity > Severity.NOTE else frozenset(),
        )


def _all_left(ratios: dict[Kernel, float], bound: float) -> list[Measurement]:
    return [_left(kernel.name, kernel.layer.name, ratio, bound) for kernel, ratio in ratios.items()]


def _left(variable: str, layer: str, ratio: float, bound: float) -> Measurement:
    return Measurement(f"late rms of {variable} over the first", ratio, bound, "1", layer, "above 0.5")


_EXPLAINS = frozenset(
    {
        "collapsed-representation",
        "constant-output",
        "dead-units",
        "disconnected-variable:zero",
        "learning-rate-too-high",
        "linear-units",
        "loss-plateau",
        "update-ratio-out-of-range:too-large",
        "vanishing-gradient",
    }
)


def _summed_rate(run: Run) -> float:
    """The learning rate, summed over all steps; 0 where it was not recorded."""
    rate = np.asarray(run.step_statistics.get("learning_rate", np.zeros(len(run.steps))), dtype=np.float64)
    return over_steps(run.steps, rate)
