"""What a rule saw of a run, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradscope.diagnosis.verdict import Outcome
from gradscope.reports.page import Page
from gradscope.reports.wording import account, counted, headline, number, plain, quantity, sentence, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.diagnosis.exhibits import Exhibit
    from gradscope.diagnosis.inquiry import Inquiry
    from gradscope.diagnosis.watched import Asked

__all__ = ["to_terminal_inquiry"]

_WORDS = {Outcome.FINDINGS: "FIRED", Outcome.CLEAR: "SILENT", Outcome.NOT_JUDGED: "NOT JUDGED"}
_STYLES = {Outcome.FINDINGS: "bold red", Outcome.CLEAR: "bold green", Outcome.NOT_JUDGED: "bold magenta"}
_COMPARED = ("measured", "asked", "so?", "limit", "what")
_SERIES = ("evidence", "where", "quantity", "early", "late", "least", "greatest")


def to_terminal_inquiry(inquiry: Inquiry, *, width: int = 80, color: bool | None = None, most: int = 40) -> str:
    """Verdict and why; what was compared with the limits; what the rule looked at; the limits.

    Args:
        inquiry: what to show.
        width: columns.
        color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.
        most: rows per table.
    """
    page = Page(width=width, color=color)
    outcome = inquiry.verdict.outcome
    page.headline((_WORDS[outcome], _STYLES[outcome]), f"  {inquiry.rule.name}  {plain(inquiry.run)}")
    _write_why(page, inquiry)
    _write_table(page, "Held against its limits", _COMPARED, _compared(inquiry), most)
    early, late = (_range(inquiry, mask) for mask in (inquiry.window.early, inquiry.window.late))
    series = [(each.evidence, each.where, each.quantity, *_levels(each)) for each in inquiry.exhibits]
    _write_table(page, f"What it looked at (early: {early}; late: {late}; medians)", _SERIES, series, most)
    defaults = {limit.name: limit.value for limit in type(inquiry.rule)().limits()}
    limits = [
        (
            limit.name,
            quantity(limit.value, limit.unit),
            "" if limit.value == defaults[limit.name] else f"{number(defaults[limit.name])} by default",
            limit.source,
        )
        for limit in inquiry.rule.limits()
    ]
    _write_table(page, "Its limits", ("limit", "value", "", "source"), limits, most)
    return str(page)


def _write_why(page: Page, inquiry: Inquiry) -> None:
    for finding in inquiry.verdict.findings:
        page.item("-", (finding.severity.label, "bold"), f"  {headline(finding)}: {account(finding)}")
    for each in inquiry.suppressed:
        page.item("-", ("suppressed", "bold"), f"  {account(each.finding)} Reason: {sentence(each.reason)}")
    if inquiry.verdict.outcome == Outcome.NOT_JUDGED:
        page.paragraph(sentence(inquiry.verdict.reason))
    elif inquiry.verdict.outcome == Outcome.CLEAR:
        reason = inquiry.verdict.reason
        page.paragraph(sentence(f"It judged this run and found nothing{f': {reason}' if reason else ''}"))
    for name, reason in inquiry.unknown:
        page.item("-", f"no evidence {name}: {sentence(reason)}")


def _write_table(page: Page, title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]], most: int) -> None:
    if not rows:
        return
    page.gap()
    page.paragraph((title, "bold"))
    page.table(columns, [tuple(map(plain, row)) for row in rows[:most]])
    if len(rows) > most:
        page.paragraph((f"and {counted(len(rows) - most, 'more row')}", "dim"))


def _compared(inquiry: Inquiry) -> list[tuple[str, ...]]:
    names: dict[float, str] = {0.0: ""}  # too many things are zero to tell which of them it is
    for each in inquiry.exhibits:
        for level, value in each.levels.items():
            what = " ".join(filter(None, (each.where, each.quantity)))
            if not isinstance(value, bool):
                names.setdefault(value, f"{what}, {level}" if level else what)
    rows = [
        (
            _measured(asked),
            f"{asked.relation} {number(asked.bound)}",
            _answer(asked),
            asked.limit,
            names.get(float(asked.values[0]), "") if asked.values.size == 1 else "",
        )
        for asked in inquiry.asked
    ]
    return list(dict.fromkeys(rows))


def _measured(asked: Asked) -> str:
    if not asked.values.size:
        return "unknown"
    low, high = number(float(asked.values.min())), number(float(asked.values.max()))
    return low if low == high else f"{low} to {high}"


def _answer(asked: Asked) -> str:
    if asked.values.size <= 1:
        return "yes" if asked.held else "no"
    return f"{asked.held} of {asked.values.size}"


def _levels(exhibit: Exhibit) -> tuple[str, ...]:
    if isinstance(exhibit.late, bool):
        return "", "yes" if exhibit.late else "no", "", ""
    levels = (exhibit.early, exhibit.late, exhibit.least, exhibit.greatest)
    if all(map(math.isnan, levels)):
        return "", "unknown", "", ""
    return tuple("" if math.isnan(level) else number(level) for level in levels)


def _range(inquiry: Inquiry, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    chosen = inquiry.window.steps[mask]
    return f"steps {steps(int(chosen[0]), int(chosen[-1]))}" if len(chosen) else "no step"
