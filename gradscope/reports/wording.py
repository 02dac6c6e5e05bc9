"""What the renderers share: how a number, a name, a range of steps and the state of a run are put into words.

Names of layers and files come from users and damaged logs, so each text goes through `plain` before it is shown.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding, Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "EVIDENCE_COLUMNS",
    "Health",
    "account",
    "certainty",
    "clear",
    "counted",
    "evidence",
    "headline",
    "health",
    "ills",
    "notes",
    "number",
    "plain",
    "quantity",
    "sampled",
    "sentence",
    "state",
    "steps",
    "suppressed",
]

EVIDENCE_COLUMNS = ("statistic", "measured", "limit", "healthy", "layer", "steps")
"""Columns of the rows that `evidence` gives."""

_JOINER = "\u200d"  # binds emoji into one; not printable by itself, yet harmless


class Health:
    """The state of a run in a word or two."""

    SICK = "sick"
    WARNINGS = "warnings"
    NOT_JUDGED = "not judged"
    NOTES = "notes"
    HEALTHY = "healthy"


def health(diagnosis: Diagnosis) -> str:
    """The word of `Health` for a diagnosis: its gravest severity, or ``not judged`` where no rule could judge.

    A note of what is over by the end of the run takes nothing from its health.
    """
    if diagnosis.severity == Severity.ERROR:
        return Health.SICK
    if diagnosis.severity == Severity.WARNING:
        return Health.WARNINGS
    if len(diagnosis.not_judged) == len(diagnosis.verdicts):
        return Health.NOT_JUDGED
    lasting = any(note.last_step >= diagnosis.last_step for note in notes(diagnosis))
    return Health.NOTES if lasting else Health.HEALTHY


def state(diagnosis: Diagnosis) -> str:
    """What may be said of the run in a headline: `health`, and where that is good, what it leaves open.

    Such as ``sick``, ``no error or warning, 2 notes``, ``healthy by 25 of 27 rules`` and, if all could judge,
    ``healthy``.
    """
    word = health(diagnosis)
    if word == Health.NOTES:
        return f"no error or warning, {counted(len(notes(diagnosis)), 'note')}"
    if word == Health.HEALTHY and diagnosis.not_judged:
        asked = len(diagnosis.verdicts)
        return f"{word} by {asked - len(diagnosis.not_judged)} of {counted(asked, 'rule')}"
    return word


def ills(diagnosis: Diagnosis) -> tuple[Cause, ...]:
    """The causes of severity warning or error, gravest first as the diagnosis has them."""
    return tuple(cause for cause in diagnosis.causes if cause.severity > Severity.NOTE)


def notes(diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """The findings of the causes that only inform."""
    lesser = (cause for cause in diagnosis.causes if cause.severity == Severity.NOTE)
    return tuple(finding for cause in lesser for finding in cause.findings())


def clear(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Names of the rules that judged and found nothing, in the order of judging."""
    return tuple(verdict.rule for verdict in diagnosis.verdicts if verdict.outcome == Outcome.CLEAR)


def number(value: float) -> str:
    """A number at a glance: 3 significant digits, whole ones up to a million in full.

    NaN and infinities are ``NaN``, ``inf`` and ``-inf``.

    Example:
        >>> [number(x) for x in (0.0, 1.2e-6, 0.0312, 9990.0, 2.5e9, float("nan"))]
        ['0', '1.2e-06', '0.0312', '9,990', '2.5e+09', 'NaN']
    """
    if math.isnan(value):
        return "NaN"
    if 999.5 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value + 0.0:.3g}"  # adding zero turns -0.0 into 0.0


def plain(text: str) -> str:
    r"""One line of printable text: what could steer a terminal or reverse the reading direction becomes an escape.

    Example:
        >>> plain("dense\x1b[31m\n")
        'dense\\x1b[31m\\n'
    """
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isprintable() or character == _JOINER:
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def sentence(text: str) -> str:
    """``text`` on one line, with a full stop behind it unless it has an ending of its own."""
    line = plain(text.strip())
    return line if not line or line.endswith((".", "!", "?")) else f"{line}."


def steps(first: int, last: int) -> str:
    """A range of steps, ``0 to 9,990``, or the one step."""
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def counted(count: int, noun: str) -> str:
    """``1 rule``, ``2 rules``, ``no rules``."""
    amount = f"{count:,}" if count else "no"
    return f"{amount} {noun}" if count == 1 else f"{amount} {noun}s"


def sampled(diagnosis: Diagnosis) -> str:
    """How much was measured: ``100 sampled steps, 0 to 9,990; recording took 0.8 % of the training time``."""
    text = counted(diagnosis.sampled_steps, "sampled step")
    if diagnosis.sampled_steps:
        text += f", {steps(diagnosis.first_step, diagnosis.last_step)}"
    if diagnosis.overhead is not None:
        text += f"; recording took {100 * diagnosis.overhead:.2g} % of the training time"
    return text


def suppressed(diagnosis: Diagnosis) -> list[str]:
    """Each finding that the project accepts: severity, headline, account and the reason."""
    return [
        f"{each.finding.severity.label}  {headline(each.finding)}: {account(each.finding)} "
        f"Suppressed: {sentence(each.reason)}"
        for each in diagnosis.suppressed
    ]


def headline(finding: Finding) -> str:
    """What it is: ``vanishing gradient``, with the confidence behind it where that is not high."""
    doubt = "" if finding.confidence == "high" else f" ({plain(finding.confidence)} confidence)"
    return f"{plain(finding.title)}{doubt}"


def certainty(cause: Cause) -> list[str]:
    """How sure it is, and for each other root that explains the same what would tell both apart; sentences."""
    rivals = (
        f"{_introduction(rival.root, cause.root)}: {sentence(rival.root.sentence)} "
        f"To tell them apart: {sentence(rival.experiment)}"
        for rival in cause.rivals
    )
    return [f"Confidence: {plain(cause.confidence)}.", *rivals]


def _introduction(rival: Finding, root: Finding) -> str:
    if rival.first_step <= root.first_step:
        return "It may also be this"
    return f"It may also be this, which came later, at step {rival.first_step:,}"


def account(finding: Finding) -> str:
    """The finding's sentence, and behind it when it was seen: ``Steps 0 to 9,990.`` or the one step."""
    noun = "Step" if finding.first_step == finding.last_step else "Steps"
    return f"{sentence(finding.sentence)} {noun} {steps(finding.first_step, finding.last_step)}."


def evidence(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    """One row of `EVIDENCE_COLUMNS` per measurement, a repeated one once; empty cells are empty strings."""
    rows = [
        (
            plain(measurement.statistic),
            quantity(measurement.value, measurement.unit),
            quantity(measurement.limit, measurement.unit),
            plain(measurement.healthy),
            plain(measurement.layer),
            steps(finding.first_step, finding.last_step),
        )
        for finding in findings
        for measurement in finding.measurements
    ]
    return list(dict.fromkeys(rows))


def quantity(value: float, unit: str) -> str:
    """A number with its unit; a pure number stands alone."""
    return number(value) if unit in {"", "1"} else f"{number(value)} {plain(unit)}"
