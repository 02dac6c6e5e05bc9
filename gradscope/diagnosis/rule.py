"""Rule: one pathology, its documentation and its check. One file per rule in `gradscope.diagnosis.rules`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar

from gradscope.diagnosis.verdict import Finding
from gradscope.errors import RuleError

__all__ = ["HEADINGS", "Limit", "NotJudged", "NothingToJudge", "Rule", "limit"]

HEADINGS = ("What it detects", "Why it matters", "Evidence", "Example", "Remedies", "References")
"""Sections of a rule's class docstring, in this order; ``## <heading>`` lines."""


class NotJudged(Exception):  # noqa: N818  an outcome, not an error
    """Raised by a rule that cannot judge this run; the text says why and what to record."""


class NothingToJudge(Exception):  # noqa: N818  an outcome, not an error
    """Raised by a rule that finds nothing of its kind in this run, and so is clear; the text says what there is not."""


@dataclass(frozen=True)
class Limit:
    """A threshold of a rule: its name, value, unit, and where the number comes from."""

    name: str
    value: float
    unit: str
    source: str


def limit(value: float, unit: str, source: str) -> Any:
    """A dataclass field of a rule that is a threshold with a unit and a source."""
    return field(default=value, metadata={"unit": unit, "source": source})


@dataclass(frozen=True)
class Rule:
    """Base of all rules. Subclasses are frozen dataclasses whose fields are their limits.

    ``check`` takes the evidence it wants as parameters: each name is a function in `gradscope.diagnosis.evidence`. It
    returns findings, none for "clear", or raises `NotJudged` or `NothingToJudge`.
    """

    name: ClassVar[str]
    """Kebab-case, the pathology: ``vanishing-gradient``."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """Rules that must be clear before this one judges."""

    def check(self, *args: Any, **kwargs: Any) -> Iterable[Finding]:
        """Judge the evidence; each subclass names its own parameters."""
        raise NotImplementedError

    @classmethod
    @cache
    def evidence(cls) -> tuple[str, ...]:
        """Names of the evidence that ``check`` asks for."""
        return tuple(name for name in inspect.signature(cls.check).parameters if name != "self")

    def limits(self) -> tuple[Limit, ...]:
        """The thresholds with their present values."""
        return tuple(
            Limit(f.name, float(getattr(self, f.name)), f.metadata["unit"], f.metadata["source"]) for f in fields(self)
        )

    @classmethod
    def title(cls) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0].rstrip(".")

    @classmethod
    def sections(cls) -> dict[str, str]:
        """``{heading: text}`` from the docstring, in `HEADINGS` order.

        Raises:
            RuleError: a heading is missing, unknown or out of order.
        """
        parts = re.split(r"^## (.+)$", inspect.getdoc(cls) or "", flags=re.MULTILINE)
        sections = {heading.strip(): text.strip() for heading, text in zip(parts[1::2], parts[2::2], strict=True)}
        if tuple(sections) != HEADINGS:
            raise RuleError(
                f"the docstring of rule {cls.__name__} has the headings {', '.join(sections) or 'none'}; "
                f"give exactly these, in this order: {', '.join(HEADINGS)}"
            )
        return sections
