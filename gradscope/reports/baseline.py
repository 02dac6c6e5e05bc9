"""A baseline: the findings of an earlier report, which are known and accepted, so that only new ones count.

The file is what ``gradscope check … --format json --output FILE`` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding, Outcome, Severity, Verdict
from gradscope.errors import ConfigurationError
from gradscope.reports.checked_run import CheckedRun
from gradscope.reports.json_document import SCHEMA, TREE_SCHEMA
from gradscope.reports.wording import counted

__all__ = ["Baseline", "read_baseline"]


@dataclass(frozen=True)
class _Known:
    """One accepted finding."""

    rule: str
    variant: str
    severity: str
    layers: frozenset[str]

    def covers(self, finding: Finding) -> bool:
        """True for the same pathology, no graver, at no other layers."""
        return (
            (self.rule, self.variant) == (finding.rule, finding.variant)
            and finding.severity <= Severity[self.severity.upper()]
            and self.layers.issuperset(finding.layers)
        )


@dataclass(frozen=True)
class Baseline:
    """The accepted findings by run."""

    known: Mapping[str, tuple[_Known, ...]]

    def apply(self, runs: Iterable[CheckedRun]) -> tuple[CheckedRun, ...]:
        """The same runs with only those findings that are new: of another rule, at another layer, or graver.

        A run is known by its path; where both the report and the baseline are of one run, paths do not matter.
        """
        given = tuple(runs)
        only = next(iter(self.known.values())) if len(self.known) == 1 and len(given) == 1 else ()
        return tuple(_without(run, self.known.get(run.run, only)) for run in given)


def read_baseline(file: str) -> Baseline:
    """Read a JSON report as baseline.

    Raises:
        ConfigurationError: the file cannot be read, or is no such report.
    """
    try:
        data = json.loads(Path(file).read_text(encoding="utf-8"))
        documents = {SCHEMA: [data], TREE_SCHEMA: data.get("runs")}[data["schema"]]
        return Baseline({document["run"]: tuple(_findings(document)) for document in documents})
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be read ({error.strerror}); give a JSON report as baseline"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{file}: no JSON report of gradscope; write one with gradscope check … --format json --output {file}"
        ) from error


def _findings(document: Mapping[str, Any]) -> Iterable[_Known]:
    for cause in document.get("causes", ()):
        for finding in (cause["root"], *cause["consequences"]):
            severity = str(finding["severity"])
            Severity[severity.upper()]
            yield _Known(str(finding["rule"]), str(finding["variant"]), severity, frozenset(finding["layers"]))


def _without(run: CheckedRun, known: tuple[_Known, ...]) -> CheckedRun:
    diagnosis = run.diagnosis
    if diagnosis is None or not known:
        return run

    def is_new(finding: Finding) -> bool:
        return not any(accepted.covers(finding) for accepted in known)

    left = tuple(finding for finding in diagnosis.findings() if is_new(finding))
    accepted = len(tuple(diagnosis.findings())) - len(left)
    if not accepted:
        return run
    causes = tuple(filter(None, (_cause(cause, left) for cause in diagnosis.causes)))
    return replace(
        run,
        diagnosis=replace(
            diagnosis,
            causes=causes,
            verdicts=tuple(_verdict(verdict, left) for verdict in diagnosis.verdicts),
            sentence=_sentence(diagnosis, causes, accepted),
        ),
    )


def _cause(cause: Cause, left: tuple[Finding, ...]) -> Cause | None:
    findings = tuple(finding for finding in cause.findings() if finding in left)
    return replace(cause, root=findings[0], consequences=findings[1:]) if findings else None


def _verdict(verdict: Verdict, left: tuple[Finding, ...]) -> Verdict:
    findings = tuple(finding for finding in verdict.findings if finding in left)
    cleared = verdict.outcome == Outcome.FINDINGS and not findings
    return replace(verdict, findings=findings, outcome=Outcome.CLEAR if cleared else verdict.outcome)


def _sentence(diagnosis: Diagnosis, causes: tuple[Cause, ...], accepted: int) -> str:
    note = f"{counted(accepted, 'finding')} accepted by the baseline"
    if any(cause.severity == Severity.ERROR for cause in causes):
        return f"{diagnosis.sentence.removesuffix('.')} ({note})."
    return f"No new finding at error level; {note}."
