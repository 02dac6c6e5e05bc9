"""Rule collapsed-batch-statistics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import BatchNorm, LossTrend
from gradscope.diagnosis.rule import NotJudged, Rule, limit
from gradscope.diagnosis.verdict import Finding, Measurement, Remedy, Severity
from gradscope.diagnosis.wording import among, number
from gradscope.run import Run

_EXPLAINS = {
    "no-variance": frozenset(
        {
            "collapsed-representation",
            "constant-output",
            "collapsed-batch-statistics:starved",
            "dead-units",
            "disconnected-variable:zero",
            "update-ratio-out-of-range:too-small",
            "vanishing-gradient",
        }
    ),
    # What comes of a signal that nothing normalises.
    "not-updated": frozenset(
        {"constant-output", "dead-units", "exploding-gradient", "saturated-activation", "vanishing-gradient"}
    ),
}
_ROUNDING = 1 - 1e-6
_LARGE_EPSILON = 0.1  # 1e-3 is the default, 1e-5 to 1e-12 are usual too


@dataclass(frozen=True)
class CollapsedBatchStatistics(Rule):
    """Normalisations that wipe out their input, or whose moving statistics are not those of the data.

    ## What it detects
    A normalisation that wipes out its input (one example per batch, an input that does not vary, a huge epsilon, layer
    normalisation over a single feature), or leaves little of it (two or three examples per batch), a batch
    normalisation that never updates its moving statistics, and one whose moving statistics are still mostly their
    initial values.

    ## Why it matters
    Without variance, or with an epsilon far above it, the layer gives beta whatever comes in, and nothing passes.
    Moving statistics that are off leave the training loss untouched and make a different network of the model at
    inference.

    ## Evidence
    The variation of the layer's output over gamma, about 1 by construction; the moving mean and variance against their
    initial 0 and 1; the share 1 - momentum^steps of them that has been learnt, √(moving variance) against the standard
    deviation that the batches have, and how many of those lie between the moving mean and the batches'. Unsettled
    statistics are an error only where the momentum was set above the default. Frozen batch
    normalisations use their statistics on purpose.

    ## Example
    >>> from gradscope.diagnosis.engine import diagnose
    >>> from gradscope.diagnosis.example import toy_run
    >>> ill = toy_run(put={("activation", "norm", "example_std"): 1e-4}, batch_norm=True, loss=1.0)
    >>> [f.sentence for f in diagnose(ill, [CollapsedBatchStatistics()]).findings()]
    ['norm wipes out its input: what it gives varies by 0.0001 of gamma']
    >>> list(diagnose(toy_run(batch_norm=True), [CollapsedBatchStatistics()]).findings())
    []

    ## Remedies
    The usual epsilon; larger batches, or layer normalisation, over features that differ; momentum 0.9 in short runs;
    ``training=True`` while training.

    ## References
    Ioffe & Szegedy 2015, Batch Normalization; Ba et al. 2016, Layer Normalization; Wu & He 2018, Group Normalization
    (small batches).
    """

    name: ClassVar[str] = "collapsed-batch-statistics"
    min_signal: float = limit(0.05, "1", "variation of the output over gamma; 0.7 to 1.2 in learning networks")
    min_settled: float = limit(0.5, "1", "share of the moving statistics that batches of the run make up")
    max_variance_factor: float = limit(2.0, "1", "how far the remembered and the true standard deviation may differ")
    max_mean_distance: float = limit(1.0, "1", "standard deviations of the batches; 0.4 in sound runs of 60 steps")
    max_slow_variance_factor: float = limit(1.5, "1", "the same with a momentum above the default")
    max_slow_mean_distance: float = limit(0.5, "1", "likewise")
    max_settling_steps: float = limit(100, "steps", "1 / (1 - momentum), with the default of Keras")
    error_steps: float = limit(100, "steps", "a trial of fewer is not meant to give a network to use")
    error_examples: float = limit(3, "examples", "fewer are an error where the loss has not fallen by half")
    min_examples: float = limit(4, "examples", "of vectors: whatever two differ by, they become -1 and 1")
    min_steps: float = limit(10, "steps", "statistics that are not updated at all show at once")

    def check(self, run: Run, batch_norms: tuple[BatchNorm, ...], loss_trend: LossTrend) -> Iterable[Finding]:
        """One finding per kind of collapse, for all layers that show it."""
        if not run.model.layers:
            raise NotJudged("the kinds of the layers are unknown; record with gradscope.Recorder for a model card")
        still = [norm for norm in batch_norms if not norm.updated and run.steps[-1] >= self.min_steps]
        flat = [norm for norm in batch_norms if norm.signal < self.min_signal and norm not in still]
        off = [norm for norm in batch_norms if self._is_unsettled(norm) and norm not in still and norm not in flat]
        for starved in (False, True):
            if alike := [norm for norm in flat if norm.starved == starved]:
                yield self._wiped_out(run, alike, Severity.WARNING if loss_trend.falling else Severity.ERROR)
        if still:
            yield self._not_updated(run, still, Severity.ERROR if loss_trend.at_rest else Severity.WARNING)
        if off:
            yield self._not_settled(run, off)
        few = [norm for norm in batch_norms if norm.examples < self.min_examples and norm not in flat]
        if few and loss_trend.reach >= self.error_steps and not loss_trend.falling:
            grave = loss_trend.slow and few[0].examples < self.error_examples
            yield self._few_examples(run, few, Severity.ERROR if grave else Severity.WARNING)

    def _wiped_out(self, run: Run, found: list[BatchNorm], severity: Severity) -> Finding:
        names = [norm.layer.name for norm in found]
        wipe = "wipes out its input: what it gives varies" if len(names) == 1 else "wipe out their input: it varies"
        alone = all(norm.features == 1 for norm in found)
        reason = f", for {'it normalises' if len(names) == 1 else 'they normalise'} over a single feature" * alone
        return _finding(
            run,
            found,
            f"{among(names)} {wipe} by {number(max(norm.signal for norm in found))} of gamma{reason}",
            severity,
            tuple(
                Measurement(
                    "variation of the output over gamma", norm.signal, self.min_signal, "1", norm.layer.name, "about 1"
                )
                for norm in found
            ),
            _pass_signal(run, found),
            "starved" if found[0].starved else "no-variance",
        )

    def _not_updated(self, run: Run, found: list[BatchNorm], severity: Severity) -> Finding:
        names = [norm.layer.name for norm in found]
        do = "never updates its" if len(names) == 1 else "never update their"
        return _finding(
            run,
            found,
            f"{among(names)} {do} moving statistics: they are still 0 and 1",
            severity,
            tuple(Measurement("rms of the moving mean", 0.0, 0.0, "1", name, "above 0") for name in names),
            (remedies.train_mode(),),
            "not-updated",
        )

    def _not_settled(self, run: Run, found: list[BatchNorm]) -> Finding:
        names = [norm.layer.name for norm in found]
        initial = 1 - min(norm.settled for norm in found)
        ratios = [norm.variance_ratio for norm in found if self._has_another_variance(norm)]
        slow = any(self._settles_slowly(norm) for norm in found)
        off = (
            f"standard deviation {number(ratios[0])} of that of the batches"
            if ratios
            else f"mean {number(max(norm.mean_distance for norm in found))} standard deviations from the batches'"
        )
        return _finding(
            run,
            found,
            f"the moving statistics of {among(names)} are still {100 * initial:.0f} % initial values ({off})",
            Severity.ERROR if slow and run.steps[-1] >= self.error_steps else Severity.NOTE,
            tuple(self._distance(norm) for norm in found),
            (remedies.lower_momentum(names),),
            "not-settled",
        )

    def _few_examples(self, run: Run, found: list[BatchNorm], severity: Severity) -> Finding:
        names = [norm.layer.name for norm in found]
        examples = found[0].examples
        do = "normalises" if len(names) == 1 else "normalise"
        return _finding(
            run,
            found,
            f"{among(names)} {do} over {examples:.0f} examples, of which little more than their order is left",
            severity,
            tuple(
                Measurement("examples per batch", examples, self.min_examples, "examples", name, "16 or more")
                for name in names
            ),
            (remedies.replace_batch_norm(names, f"{examples:.0f} examples have no variance to speak of"),),
            "few-examples",
        )

    def _distance(self, norm: BatchNorm) -> Measurement:
        if self._has_another_variance(norm):
            most = self._most_variance(norm)
            return Measurement(
                "√(moving variance) over the standard deviation of the batches",
                norm.variance_ratio,
                most if norm.variance_ratio > 1 else 1 / most,
                "1",
                norm.layer.name,
                "about 1",
            )
        return Measurement(
            "distance of the moving mean from the batches', over their standard deviation",
            norm.mean_distance,
            self._most_distance(norm),
            "1",
            norm.layer.name,
            "about 0",
        )

    def _is_unsettled(self, norm: BatchNorm) -> bool:
        off = self._has_another_variance(norm) or norm.mean_distance > self._most_distance(norm)
        # A small rest of initial values outweighs what is small beside them.
        return off and (norm.settled < self.min_settled or self._settles_slowly(norm))

    def _has_another_variance(self, norm: BatchNorm) -> bool:
        factor = max(norm.variance_ratio, 1 / norm.variance_ratio) if norm.variance_ratio > 0 else 0.0
        return factor > self._most_variance(norm)

    def _most_variance(self, norm: BatchNorm) -> float:
        return self.max_slow_variance_factor if self._settles_slowly(norm) else self.max_variance_factor

    def _most_distance(self, norm: BatchNorm) -> float:
        return self.max_slow_mean_distance if self._settles_slowly(norm) else self.max_mean_distance

    def _settles_slowly(self, norm: BatchNorm) -> bool:
        card = norm.layer.card
        momentum = float(card.arguments.get("momentum", 0.0)) if card else 0.0
        return (1 - momentum) * self.max_settling_steps < _ROUNDING


def _finding(  # noqa: PLR0917  what the kinds differ in
    run: Run,
    found: list[BatchNorm],
    sentence: str,
    severity: Severity,
    measurements: tuple[Measurement, ...],
    changes: tuple[Remedy, ...],
    variant: str,
) -> Finding:
    return Finding(
        rule=CollapsedBatchStatistics.name,
        title="batch statistics collapsed",
        sentence=sentence,
        severity=severity,
        layers=tuple(norm.layer.name for norm in found),
        first_step=int(run.steps[0]),
        last_step=int(run.steps[-1]),
        measurements=measurements,
        remedies=changes,
        variant=variant,
        explains=_EXPLAINS.get(variant, frozenset()),
    )


def _pass_signal(run: Run, found: list[BatchNorm]) -> tuple[Remedy, ...]:
    if kind := _with_large_epsilon(found):
        return (remedies.usual_epsilon(kind, [norm.layer.name for norm in found]),)
    over_batch = [norm.layer.name for norm in found if not norm.within_example]
    one = remedies.batch_size(run) == 1
    because = "one example has no variance" if one else "its input does not vary within a batch"
    changes = [remedies.replace_batch_norm(over_batch, because)] if over_batch else []
    within = [norm for norm in found if norm.within_example]
    if within and (card := within[0].layer.card):
        names = [norm.layer.name for norm in within]
        changes.append(remedies.normalise_features(card.kind, names, within[0].features))
    return tuple(changes)


def _with_large_epsilon(found: list[BatchNorm]) -> str:
    """The kind of the first whose epsilon is large; empty if there is none."""
    for card in (norm.layer.card for norm in found):
        epsilon = card.arguments.get("epsilon", 0.0) if card else 0.0
        if card and isinstance(epsilon, (int, float)) and epsilon > _LARGE_EPSILON:
            return card.kind
    return ""
