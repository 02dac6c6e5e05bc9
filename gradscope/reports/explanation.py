"""A rule explained in the terminal: the sections of its docstring, and its limits."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from gradscope.reports.wording import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradscope.diagnosis.rule import Limit, Rule

__all__ = ["to_terminal_explanation", "to_terminal_rules"]

_ITEM = re.compile(r"(?:[-*]|\d+\.) ")
_VERBATIM = re.compile(r"\s{2,}|>>>|\.\.\.|\|")


def to_terminal_explanation(rule: Rule, *, width: int = 80) -> str:
    """Name, title, the sections in their fixed order, then each limit with value, unit and source.

    Prose is filled to ``width`` columns; code and tables stay as they are.

    Raises:
        RuleError: the rule's docstring breaks the contract of headings.
    """
    blocks = [f"{rule.name}: {rule.title()}"]
    for heading, text in rule.sections().items():
        blocks.append(_section(heading, "\n\n".join(_filled(text, width))))
    if rule.limits():
        defaults = {limit.name: limit.value for limit in type(rule)().limits()}
        lines = [_limit(limit, defaults[limit.name], width) for limit in rule.limits()]
        blocks.append(_section("Limits", "\n".join(lines)))
    return "\n\n".join(blocks) + "\n"


def to_terminal_rules(rules: Sequence[Rule]) -> str:
    """One line per rule: name and title."""
    longest = max((len(rule.name) for rule in rules), default=0)
    return "".join(f"{rule.name:<{longest}}  {rule.title()}\n" for rule in rules)


def _section(heading: str, text: str) -> str:
    return f"{heading}\n{'-' * len(heading)}\n{text}"


def _filled(text: str, width: int) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        if any(_VERBATIM.match(line) for line in lines) and not _ITEM.match(lines[0]):
            yield block
        else:
            yield "\n".join(_paragraphs(lines, width))


def _paragraphs(lines: Sequence[str], width: int) -> Iterator[str]:
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or _ITEM.match(lines[end]):
            text = " ".join(line.strip() for line in lines[start:end])
            hanging = "  " if _ITEM.match(text) else ""
            yield textwrap.fill(text, width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
            start = end


def _limit(limit: Limit, default: float, width: int) -> str:
    own = "" if limit.value == default else f"  (set by the project; {quantity(default, limit.unit)} by default)"
    source = textwrap.fill(limit.source, width, initial_indent="    ", subsequent_indent="    ", break_long_words=False)
    return f"{limit.name} = {quantity(limit.value, limit.unit)}{own}\n{source}"
