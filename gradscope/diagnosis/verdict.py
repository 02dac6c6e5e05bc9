"""The values of a judgement: Severity, Remedy, Finding, Verdict, Cause, Diagnosis. All frozen, all plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

__all__ = [
    "Cause",
    "Diagnosis",
    "Finding",
    "Measurement",
    "Outcome",
    "Remedy",
    "Rival",
    "Severity",
    "Suppressed",
    "Verdict",
]


class Severity(IntEnum):
    """How bad a finding is: a ``NOTE`` informs, a ``WARNING`` may hurt, an ``ERROR`` keeps it from learning."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """``note``, ``warning`` or ``error``."""
        return self.name.lower()


class Outcome:
    """The three outcomes of a rule."""

    FINDINGS = "findings"
    CLEAR = "clear"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Remedy:
    """Something to change, for the very layer that is ill."""

    title: str
    """Imperative, one line: ``Initialise hidden_1 with He normal``."""
    reason: str
    """Why the evidence supports it, one or two sentences."""
    code: str = ""
    """Ready Keras code, or empty."""
    topic: str = ""
    """What it turns: ``learning-rate``, ``initial-weights``, …; of several on one topic a cause keeps the first. Empty:
    it stands for itself."""


@dataclass(frozen=True)
class Measurement:
    """A measured value beside the limit it was held against."""

    statistic: str
    """What was measured, in words of the vocabulary: ``gradient decay from output to hidden_1``."""
    value: float
    limit: float
    unit: str = ""
    layer: str = ""
    healthy: str = ""
    """What a healthy network shows, in words: ``about 1``."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, with the evidence for it."""

    rule: str
    """Name of the rule, kebab-case."""
    title: str
    """The pathology in a few words, for a headline: ``vanishing gradient``."""
    sentence: str
    """One sentence with layer names and numbers; a clause that reads well behind a colon, no full stop."""
    severity: Severity
    layers: tuple[str, ...]
    """In forward order; empty if it concerns the whole network."""
    first_step: int
    last_step: int
    """First and last sampled step at which it was seen."""
    measurements: tuple[Measurement, ...]
    remedies: tuple[Remedy, ...] = ()
    variant: str = ""
    """Which form of the pathology, where a rule knows several: ``too-small``, ``too-large``."""
    confidence: str = "high"
    """``high``, ``medium`` or ``low``."""
    explains: frozenset[str] = field(default_factory=frozenset)
    """Rules, as ``rule`` or ``rule:variant``, whose findings this one may be the cause of."""
    phase: str = ""
    """Where within a step it shows: ``forward`` or ``update``, the latter too late for what the former shows of the
    same step; ``run`` for what is said of the run as a whole; empty where that does not matter."""

    @property
    def pathology(self) -> str:
        """``rule:variant``, or ``rule`` if it has no variant."""
        return f"{self.rule}:{self.variant}" if self.variant else self.rule


@dataclass(frozen=True)
class Suppressed:
    """A finding that the project has accepted, and why; it counts for nothing."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What one rule said of one run."""

    rule: str
    outcome: str
    """One of `Outcome`; ``findings`` also where all of them are suppressed."""
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    """Why it was not judged, and what to record to have it judged; of a clear one what there is not, or empty."""


@dataclass(frozen=True)
class Rival:
    """Another root that explains the same consequences."""

    root: Finding
    experiment: str
    """What to try to tell both apart, and what its outcome says."""


@dataclass(frozen=True)
class Cause:
    """A root cause: the finding that explains others, and those."""

    root: Finding
    consequences: tuple[Finding, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    """Ordered by what the evidence supports; the root's first."""
    rivals: tuple[Rival, ...] = ()
    """Other roots, warnings or errors themselves, that may be behind a warning or an error among the consequences."""

    @property
    def confidence(self) -> str:
        """``high``, ``medium`` or ``low``: the root's, but at most medium where another root may be the cause."""
        return "medium" if self.rivals and self.root.confidence == "high" else self.root.confidence

    @property
    def severity(self) -> Severity:
        """The gravest of the root's and its consequences'."""
        return max(finding.severity for finding in self.findings())

    def findings(self) -> Iterator[Finding]:
        """The root, then its consequences."""
        yield self.root
        yield from self.consequences


@dataclass(frozen=True)
class Diagnosis:
    """What gradscope says of one run."""

    run: str
    """Path of the run."""
    sentence: str
    """The verdict in one sentence."""
    causes: tuple[Cause, ...]
    """Gravest first."""
    verdicts: tuple[Verdict, ...]
    """One per rule, in the order of judging."""
    first_step: int
    last_step: int
    sampled_steps: int
    missing: tuple[str, ...] = ()
    """What of the log could not be read or recorded; one sentence each."""
    suppressed: tuple[Suppressed, ...] = ()
    """What the project's configuration accepts; not among the causes."""
    overhead: float | None = None
    """Share of the training time that recording took, as the recorder measured it; None where the log does not say."""

    @property
    def severity(self) -> Severity | None:
        """The gravest cause's, or None for a clean bill of health."""
        return max((cause.severity for cause in self.causes), default=None)

    @property
    def healthy(self) -> bool:
        """True where there is no cause of severity error."""
        return self.severity is None or self.severity < Severity.ERROR

    @property
    def not_judged(self) -> tuple[Verdict, ...]:
        """The rules that could not judge, with their reasons."""
        return tuple(v for v in self.verdicts if v.outcome == Outcome.NOT_JUDGED)

    def _repr_html_(self) -> str:
        # A notebook asks the object itself, so here it looks up to how it is shown.
        from gradscope.reports.html.notebook import diagnosis_as_html

        return diagnosis_as_html(self)

    def findings(self) -> Iterator[Finding]:
        """All findings, cause by cause."""
        for cause in self.causes:
            yield from cause.findings()
