"""Diagnoses as JUnit XML, which every CI system shows: a suite per run, a case per rule."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from gradscope.diagnosis.verdict import Outcome, Severity
from gradscope.reports.wording import account, evidence, headline, plain, sentence, suppressed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradscope.diagnosis.verdict import Diagnosis, Finding, Verdict
    from gradscope.reports.checked_run import CheckedRun

__all__ = ["to_junit"]


def to_junit(runs: Sequence[CheckedRun], *, fail_on: Severity = Severity.ERROR) -> str:
    """One document: a rule with a finding of ``fail_on`` or above is a failure, lesser findings stand in its output.

    A rule that could not judge is skipped with its reason; a run that could not be read is a suite with an error.
    """
    suites = [line for run in runs for line in _suite(run, fail_on)]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", *suites, "</testsuites>", ""])


def _suite(run: CheckedRun, fail_on: Severity) -> Iterator[str]:
    name = _attribute(run.run)
    if run.diagnosis is None:
        yield f'  <testsuite name={name} tests="1" failures="0" errors="1" skipped="0">'
        yield f'    <testcase classname={name} name="read"><error message={_attribute(run.error)}/></testcase>'
        yield "  </testsuite>"
        return
    verdicts = run.diagnosis.verdicts
    failures = sum(any(f.severity >= fail_on for f in verdict.findings) for verdict in verdicts)
    skipped = len(run.diagnosis.not_judged)
    yield f'  <testsuite name={name} tests="{len(verdicts)}" failures="{failures}" errors="0" skipped="{skipped}">'
    for verdict in verdicts:
        yield from _case(name, verdict, fail_on)
    yield from _output(run.diagnosis)
    yield "  </testsuite>"


def _case(suite: str, verdict: Verdict, fail_on: Severity) -> Iterator[str]:
    opening = f"    <testcase classname={suite} name={_attribute(verdict.rule)}"
    failing = [finding for finding in verdict.findings if finding.severity >= fail_on]
    lesser = [finding for finding in verdict.findings if finding.severity < fail_on]
    if verdict.outcome == Outcome.NOT_JUDGED:
        yield f"{opening}><skipped message={_attribute(sentence(verdict.reason))}/></testcase>"
        return
    if not verdict.findings:
        yield f"{opening}/>"
        return
    yield f"{opening}>"
    # A case has one failure at most; further ones stand in its text.
    if failing:
        message = _attribute("; ".join(headline(finding) for finding in failing))
        yield f'      <failure type="{failing[0].severity.label}" message={message}>{_text(failing)}</failure>'
    if lesser:
        yield f"      <system-out>{_text(lesser)}</system-out>"
    yield "    </testcase>"


def _output(diagnosis: Diagnosis) -> Iterator[str]:
    lines = [sentence(diagnosis.sentence), *suppressed(diagnosis), *(sentence(text) for text in diagnosis.missing)]
    yield f"    <system-out>{escape(chr(10).join(map(_legal, lines)))}</system-out>"


def _text(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity.label}: {headline(finding)}: {account(finding)}")
        lines += [f"  {row[0]} {row[1]}, limit {row[2]}" for row in evidence([finding])]
        lines += [f"  to change: {sentence(remedy.title)}" for remedy in finding.remedies]
    return escape("\n".join(map(_legal, lines)))


def _attribute(text: str) -> str:
    return quoteattr(_legal(plain(text)))


def _legal(text: str) -> str:
    # A file name that is not UTF-8 holds lone surrogates, which no XML may.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
