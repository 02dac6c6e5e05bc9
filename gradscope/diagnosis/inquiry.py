"""inquire: what one rule saw of one run, what it held against its limits, and what it made of that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.evidence.window import Window, finite_window
from gradscope.diagnosis.exhibits import Exhibit, exhibit_series, exhibits_of
from gradscope.diagnosis.rule import NotJudged, Rule
from gradscope.diagnosis.verdict import Suppressed, Verdict
from gradscope.diagnosis.watched import Asked, WatchedRun, watched_rule
from gradscope.run import Run

if TYPE_CHECKING:
    from gradscope.configuration import Configuration

__all__ = ["Inquiry", "inquire"]


@dataclass(frozen=True, eq=False)
class Inquiry:
    """Why a rule said what it said."""

    run: str
    rule: Rule
    """With the project's limits."""
    verdict: Verdict
    suppressed: tuple[Suppressed, ...]
    window: Window
    """Which samples count as early and late."""
    asked: tuple[Asked, ...]
    """What it compared with its limits, in order; empty where it did not come so far."""
    exhibits: tuple[Exhibit, ...]
    """What it looked at."""
    unknown: tuple[tuple[str, str], ...]
    """Evidence that this run does not give, with the reason."""


def inquire(run: Run, rule: Rule, *, configuration: Configuration | None = None) -> Inquiry:
    """Let a rule judge a run, and watch it.

    The verdict is that of `diagnose` with all rules; the rule is watched apart, also where it had to wait for another
    one.

    Args:
        run: what was recorded, at least one step.
        rule: the rule to ask.
        configuration: the project's settings; None: those by default.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> from gradscope.diagnosis.rules.dead_units import DeadUnits
        >>> found = inquire(toy_run(put={("activation", "hidden_2", "dead_unit_fraction"): 0.3}), DeadUnits())
        >>> found.verdict.outcome
        'clear'
        >>> [(a.limit, a.relation, float(a.values[0]), a.held) for a in found.asked][-1]
        ('max_dead_unit_fraction', '>=', 0.30000001192092896, 0)
    """
    limits = configuration.policy.limits if configuration else {}
    diagnosis = diagnose(run, configuration=configuration)
    rule = type(rule)(**{**{limit.name: limit.value for limit in rule.limits()}, **limits.get(rule.name, {})})
    evidence, seen_run = Evidence(run), WatchedRun.of(run)
    window = finite_window(run, evidence["nonfinite"])
    pieces = {name: seen_run if name == "run" else _piece(evidence, name) for name in rule.evidence()}
    unknown = [(name, str(piece)) for name, piece in pieces.items() if isinstance(piece, NotJudged)]
    given = {name: piece for name, piece in pieces.items() if not isinstance(piece, NotJudged)}
    asked: list[Asked] = []
    if not unknown:
        with suppress(Exception):  # what a rule fails at stands in its verdict
            list(watched_rule(rule, asked).check(**given))
    exhibits = [exhibit for name, piece in given.items() for exhibit in exhibits_of(name, piece, window)]
    exhibits += [
        exhibit_series(
            kind or "step",
            name,
            statistic,
            run.series(kind, name, statistic) if kind else run.step_statistics[statistic],
            window,
        )
        for kind, name, statistic in seen_run.seen
    ]
    return Inquiry(
        run.path,
        rule,
        next(verdict for verdict in diagnosis.verdicts if verdict.rule == rule.name),
        tuple(each for each in diagnosis.suppressed if each.finding.rule == rule.name),
        window,
        tuple(asked),
        tuple(exhibits),
        tuple(unknown),
    )


def _piece(evidence: Evidence, name: str) -> Any:
    try:
        return evidence[name]
    except NotJudged as reason:
        return reason
