"""Policy: how strictly a project judges: its own limits, the gravest severity of a rule, and what it has accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from gradscope.diagnosis.rule import Rule
from gradscope.diagnosis.verdict import Finding, Outcome, Severity, Suppressed, Verdict

__all__ = ["Policy", "Suppression"]

_OFF = "switched off in the project's configuration"


@dataclass(frozen=True)
class Suppression:
    """Findings that are known and accepted, and why."""

    rule: str
    """``rule``, or ``rule:variant``."""
    reason: str
    layers: tuple[str, ...] = ()
    """Patterns as the shell has them (``embed*``), case-sensitive; empty: any layer, and the network as a whole."""

    def covers(self, finding: Finding) -> bool:
        """True for a finding of the rule all of whose layers match: one layer besides keeps it a finding."""
        if self.rule not in (finding.rule, finding.pathology):
            return False
        if not self.layers:
            return True
        return bool(finding.layers) and all(
            any(fnmatchcase(layer, pattern) for pattern in self.layers) for layer in finding.layers
        )


@dataclass(frozen=True)
class Policy:
    """Empty by default: every rule with its own limits, nothing accepted."""

    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """``{rule: {limit: value}}``; what is not named keeps its default."""
    caps: Mapping[str, Severity] = field(default_factory=dict)
    """``{rule: gravest severity}``: graver findings of the rule are lowered to it."""
    off: frozenset[str] = frozenset()
    """Rules that are not asked."""
    suppressions: tuple[Suppression, ...] = ()

    def tuned(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        """The rules to ask, with the project's limits."""
        return tuple(replace(rule, **self.limits.get(rule.name, {})) for rule in rules if rule.name not in self.off)

    def switched_off(self, rules: Iterable[Rule]) -> Iterator[Verdict]:
        """A verdict for each rule that is not asked."""
        for rule in rules:
            if rule.name in self.off:
                yield Verdict(rule.name, Outcome.NOT_JUDGED, reason=_OFF)

    def applied(self, verdict: Verdict) -> tuple[Verdict, tuple[Suppressed, ...]]:
        """The verdict without what is accepted and with lowered severities, and what was taken out of it."""
        cap = self.caps.get(verdict.rule, Severity.ERROR)
        kept: list[Finding] = []
        suppressed: list[Suppressed] = []
        for finding in verdict.findings:
            lowered = replace(finding, severity=min(finding.severity, cap))
            reasons = (suppression.reason for suppression in self.suppressions if suppression.covers(finding))
            reason = next(reasons, None)
            if reason is None:
                kept.append(lowered)
            else:
                suppressed.append(Suppressed(lowered, reason))
        return replace(verdict, findings=tuple(kept)), tuple(suppressed)
