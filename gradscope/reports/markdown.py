"""A diagnosis as Markdown, for TensorBoard's Text tab and for pages that render Markdown with tables.

Only headings, paragraphs, lists, tables, bold and fenced code: TensorBoard lets nothing else through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradscope.reports.checked_run import CheckedRun, worst_first
from gradscope.reports.wording import (
    EVIDENCE_COLUMNS,
    Health,
    account,
    certainty,
    clear,
    counted,
    evidence,
    headline,
    ills,
    notes,
    plain,
    sampled,
    sentence,
    state,
    suppressed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding

__all__ = ["to_markdown", "to_markdown_tree"]

_SPECIAL = re.compile(r"([\\`*_\[\]#|])")
_WELL = (Health.NOTES, Health.HEALTHY)
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def to_markdown(diagnosis: Diagnosis) -> str:
    """The report as Markdown blocks, each followed by an empty line; whatever is empty is left out.

    Names and sentences are escaped, so that neither Markdown nor HTML in them takes effect.
    """
    return "\n\n".join(_blocks(diagnosis)) + "\n"


def to_markdown_tree(runs: Sequence[CheckedRun]) -> str:
    """Several runs: a table, worst first, then the report of each run that has an error or a warning."""
    ordered = worst_first(runs)
    lines = ["| verdict | run | |", "| --- | --- | --- |"]
    for run in ordered:
        text = run.diagnosis.sentence if run.diagnosis else run.error
        lines.append(f"| {run.health.upper()} | {_escape(plain(run.run))} | {_escape(sentence(text))} |")
    ill = [to_markdown(run.diagnosis) for run in ordered if run.diagnosis and run.health not in _WELL]
    return "\n\n".join([f"## {counted(len(ordered), 'run')}", "\n".join(lines), *ill]).rstrip("\n") + "\n"


def _blocks(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"## {state(diagnosis).upper()}: {_escape(plain(diagnosis.run))}"
    yield f"**{_escape(sentence(diagnosis.sentence))}**"
    yield f"{_escape(sampled(diagnosis))}."
    for index, cause in enumerate(ills(diagnosis), start=1):
        yield from _cause(index, cause)
    yield "### Coverage"
    names = clear(diagnosis)
    judged = f"Judged by {counted(len(diagnosis.verdicts) - len(diagnosis.not_judged), 'rule')}"
    yield f"{judged}; clear: {_escape(', '.join(map(plain, names)))}." if names else f"{judged}."
    if diagnosis.not_judged:
        yield "**Not judged**"
        yield _list(f"**{_escape(plain(v.rule))}**: {_escape(sentence(v.reason))}" for v in diagnosis.not_judged)
    if diagnosis.suppressed:
        yield f"### {counted(len(diagnosis.suppressed), 'finding')} suppressed"
        yield _list(_escape(line) for line in suppressed(diagnosis))
    if diagnosis.missing:
        yield "### Missing"
        yield _list(_escape(sentence(text)) for text in diagnosis.missing)
    if notes(diagnosis):
        yield "### Notes"
        yield _list(_finding(note) for note in notes(diagnosis))


def _cause(index: int, cause: Cause) -> Iterator[str]:
    root = cause.root
    yield f"### {index}\\. {cause.severity.label.upper()}: {_escape(plain(root.title))}"
    yield _escape(account(root))
    yield "\n".join(map(_escape, certainty(cause)))
    if cause.consequences:
        yield "**What follows from it**"
        yield _list(_finding(finding) for finding in cause.consequences)
    rows = evidence(cause.findings())
    if rows:
        yield "**Evidence**"
        yield _table(rows)
    if cause.remedies:
        yield "**What to change**"
    for place, remedy in enumerate(cause.remedies, start=1):
        yield f"#### {place}\\. {_escape(plain(remedy.title))}"
        if remedy.reason:
            yield _escape(sentence(remedy.reason))
        if remedy.code:
            yield _fence(remedy.code)


def _finding(finding: Finding) -> str:
    return f"**{_escape(headline(finding))}** ({finding.severity.label}): {_escape(account(finding))}"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    used = [i for i in range(len(EVIDENCE_COLUMNS)) if any(row[i] for row in rows)]
    lines = [[EVIDENCE_COLUMNS[i] for i in used], ["---"] * len(used)]
    lines += [[_escape(row[i]) for i in used] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fence(code: str) -> str:
    lines = [plain(line) for line in code.expandtabs(4).strip("\n").split("\n")]
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}python", *lines, fence])


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).translate(_ENTITIES)
