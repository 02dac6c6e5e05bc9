"""A diagnosis for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.diagnosis.verdict import Cause, Diagnosis, Remedy, Severity
from gradscope.reports.page import Page
from gradscope.reports.wording import (
    EVIDENCE_COLUMNS,
    Health,
    account,
    certainty,
    clear,
    counted,
    evidence,
    headline,
    health,
    ills,
    notes,
    plain,
    sampled,
    sentence,
    state,
    suppressed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEALTH_STYLES", "to_terminal"]

HEALTH_STYLES = {
    Health.SICK: "bold red",
    Health.WARNINGS: "bold yellow",
    Health.NOT_JUDGED: "bold magenta",
    Health.NOTES: "bold",
    Health.HEALTHY: "bold green",
}
"""The colour of each word of `gradscope.reports.wording.Health`."""

_SEVERITY_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold"}
_EVIDENCE_SHOWN = 12


def to_terminal(diagnosis: Diagnosis, *, width: int = 80, color: bool | None = None) -> str:
    """The report as text that ends with a newline.

    It opens with the state of the run and the verdict in a sentence; then come the causes with their consequences,
    evidence and remedies; then which rules were clear or could not judge, what of the log is missing, and the notes.

    Args:
        diagnosis: what to show.
        width: columns; only code and nothing else may be longer.
        color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.
    """
    page = Page(width=width, color=color)
    page.headline((state(diagnosis).upper(), HEALTH_STYLES[health(diagnosis)]), f"  {plain(diagnosis.run)}")
    page.paragraph((sampled(diagnosis), "dim"))
    page.gap()
    page.paragraph((sentence(diagnosis.sentence), "bold"))
    for index, cause in enumerate(ills(diagnosis), start=1):
        page.gap()
        _write_cause(page, index, cause)
    page.gap()
    _write_coverage(page, diagnosis)
    _write_list(page, counted(len(diagnosis.suppressed), "finding") + " suppressed", suppressed(diagnosis))
    _write_list(page, "Missing", [sentence(text) for text in diagnosis.missing])
    _write_list(page, "Notes", [f"{headline(note)}: {account(note)}" for note in notes(diagnosis)])
    return str(page)


def _write_cause(page: Page, index: int, cause: Cause) -> None:
    severity = (cause.severity.label.upper(), _SEVERITY_STYLES[cause.severity])
    page.item(f"{index}.", severity, f"  {plain(cause.root.title)}: {account(cause.root)}")
    for line in certainty(cause):
        page.paragraph(line, indent=3)
    if cause.consequences:
        page.gap()
        page.paragraph(("What follows from it", "bold"), indent=3)
        for finding in cause.consequences:
            label = (finding.severity.label, _SEVERITY_STYLES[finding.severity])
            page.item("-", label, f"  {headline(finding)}: {account(finding)}", indent=3)
    rows = evidence(cause.findings())
    if rows:
        page.gap()
        page.paragraph(("Evidence", "bold"), indent=3)
        page.table(EVIDENCE_COLUMNS, rows[:_EVIDENCE_SHOWN], indent=3)
        if len(rows) > _EVIDENCE_SHOWN:
            more = counted(len(rows) - _EVIDENCE_SHOWN, "more measurement")
            page.paragraph((f"and {more}; --format json has all", "dim"), indent=3)
    if cause.remedies:
        page.gap()
        page.paragraph(("What to change", "bold"), indent=3)
        _write_remedies(page, cause.remedies)


def _write_remedies(page: Page, remedies: Sequence[Remedy]) -> None:
    for index, remedy in enumerate(remedies, start=1):
        if index > 1:
            page.gap()
        page.item(f"{index}.", (plain(remedy.title), "bold"), indent=3)
        if remedy.reason:
            page.paragraph(sentence(remedy.reason), indent=6)
        if remedy.code:
            page.gap()
            page.code(remedy.code, indent=6)


def _write_coverage(page: Page, diagnosis: Diagnosis) -> None:
    names = clear(diagnosis)
    judged = len(diagnosis.verdicts) - len(diagnosis.not_judged)
    text = f"Judged by {counted(judged, 'rule')}"
    page.paragraph((text, "bold"), f"; clear: {', '.join(map(plain, names))}." if names else ".")
    _write_list(page, "Not judged", [f"{plain(v.rule)}: {sentence(v.reason)}" for v in diagnosis.not_judged])


def _write_list(page: Page, title: str, lines: Sequence[str]) -> None:
    if lines:
        page.gap()
        page.paragraph((title, "bold"))
        for line in lines:
            page.item("-", line)
