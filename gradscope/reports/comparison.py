"""A comparison of two runs for the terminal."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from gradscope.reports.page import Page
from gradscope.reports.terminal import HEALTH_STYLES
from gradscope.reports.wording import counted, headline, health, number, plain, sentence, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.comparison import Change, Comparison
    from gradscope.diagnosis.verdict import Diagnosis, Finding

__all__ = ["to_terminal_comparison"]

_COLUMNS = ("kind", "tensor", "statistic", "before", "after", "log10", "since")


def to_terminal_comparison(
    comparison: Comparison, *, width: int = 80, color: bool | None = None, most: int | None = 30
) -> str:
    """Both verdicts, the findings that are gone and new, and what moved, largest change first.

    Args:
        comparison: what to show.
        width: columns.
        color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.
        most: rows of the table; None: all.
    """
    page = Page(width=width, color=color)
    for label, diagnosis in (("before", comparison.before), ("after ", comparison.after)):
        _write_run(page, label, diagnosis)
    _write_findings(page, "Gone", comparison.gone)
    _write_findings(page, "New", comparison.new)
    page.gap()
    moved = f"{len(comparison.changes):,} of {counted(comparison.compared, 'statistic')} moved"
    page.paragraph(
        (moved, "bold"),
        " by a factor of 3 or more, or a share by 0.1: medians over the last third of the steps, "
        "the log10 of their ratio, and the step since when they are apart.",
    )
    if comparison.changes:
        page.gap()
        page.table(_COLUMNS, [_row(change) for change in comparison.changes[:most]])
        hidden = len(comparison.changes[most:]) if most is not None else 0
        if hidden:
            page.paragraph((f"and {counted(hidden, 'more change')}; --all shows them", "dim"))
    for label, keys in (("first", comparison.only_before), ("second", comparison.only_after)):
        if keys:
            names = ", ".join(plain(f"{key.kind} {key.name}") for key in keys[:3])
            page.paragraph(f"Only the {label} run has {counted(len(keys), 'tensor')}, such as {names}.")
    return str(page)


def _write_run(page: Page, label: str, diagnosis: Diagnosis) -> None:
    style = HEALTH_STYLES[health(diagnosis)]
    page.headline(f"{label}  ", (state(diagnosis).upper(), style), f"  {plain(diagnosis.run)}")
    page.paragraph(sentence(diagnosis.sentence), indent=8)


def _write_findings(page: Page, title: str, findings: Sequence[Finding]) -> None:
    page.gap()
    page.paragraph((title, "bold"), "" if findings else ": nothing")
    for finding in findings:
        page.item("-", f"{finding.severity.label}  {headline(finding)}: {sentence(finding.sentence)}")


def _row(change: Change) -> tuple[str, ...]:
    ratio = change.log10_ratio
    return (
        change.key.kind.replace("_", " "),
        plain(change.key.name),
        change.statistic.replace("_", " "),
        number(change.before),
        number(change.after),
        ("" if isinf(ratio) else f"{ratio:+.2f}") if not change.statistic.endswith("_fraction") else "",
        "" if change.since is None else f"{change.since:,}",
    )
