"""diagnose: every rule asked once, its findings grouped under root causes, and one sentence to say it all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from math import isfinite
from typing import TYPE_CHECKING

from gradscope.diagnosis.causes import causes_of
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.policy import Policy
from gradscope.diagnosis.rule import NothingToJudge, NotJudged, Rule
from gradscope.diagnosis.rules import all_rules, check_contract
from gradscope.diagnosis.summary import summarise
from gradscope.diagnosis.verdict import Diagnosis, Outcome, Verdict
from gradscope.errors import RuleError
from gradscope.run import Run

if TYPE_CHECKING:
    from gradscope.configuration import Configuration

__all__ = ["diagnose"]


def diagnose(run: Run, rules: Iterable[Rule] | None = None, *, configuration: Configuration | None = None) -> Diagnosis:
    """Judge a run.

    Args:
        run: what was recorded; it is not changed.
        rules: the rules to ask; None asks all. A rule that requires one which is not among them judges all the same.
        configuration: the project's limits, severities and suppressions, such as `find_configuration` of
            `gradscope.configuration` gives; None: none, whatever the files of this folder say.

    Raises:
        RuleError: a rule asks for evidence that does not exist, or rules require each other in a circle.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> diagnose(toy_run()).healthy
        True
    """
    policy = configuration.policy if configuration else Policy()
    asked = all_rules() if rules is None else tuple(rules)
    evidence = Evidence(run)
    said: dict[str, Verdict] = {}
    for rule in _in_order(policy.tuned(asked)):
        said[rule.name] = _verdict(rule, run, evidence, said)
    applied = [policy.applied(verdict) for verdict in said.values()]
    verdicts = (*(verdict for verdict, _ in applied), *policy.switched_off(asked))
    suppressed = tuple(each for _, taken in applied for each in taken)
    causes = causes_of([finding for verdict in verdicts for finding in verdict.findings])
    return Diagnosis(
        run=run.path,
        sentence=summarise(run, causes, verdicts, len(suppressed), trend=evidence["loss_trend"]),
        causes=causes,
        verdicts=verdicts,
        suppressed=suppressed,
        first_step=int(run.steps[0]) if len(run.steps) else 0,
        last_step=int(run.steps[-1]) if len(run.steps) else 0,
        sampled_steps=len(run.steps),
        missing=(*(f"{damage.file}: {damage.what}" for damage in run.damage), *run.trouble),
        overhead=_overhead(run),
    )


def _overhead(run: Run) -> float | None:
    share = run.settings.get("overhead")
    return float(share) if isinstance(share, (int, float)) and isfinite(share) else None


def _in_order(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    by_name = {rule.name: rule for rule in rules}
    for rule in rules:
        check_contract(rule)
    graph = {name: [need for need in sorted(rule.requires) if need in by_name] for name, rule in by_name.items()}
    try:
        return tuple(by_name[name] for name in TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise RuleError(f"rules require each other in a circle: {circle}; take one of them out of `requires`") from None


def _verdict(rule: Rule, run: Run, evidence: Evidence, verdicts: dict[str, Verdict]) -> Verdict:
    if not len(run.steps):
        return Verdict(rule.name, Outcome.NOT_JUDGED, reason="no step was sampled; record at least one training step")
    for need in sorted(rule.requires):
        if need in verdicts and verdicts[need].outcome != Outcome.CLEAR:
            return Verdict(rule.name, Outcome.NOT_JUDGED, reason=f"needs {need} clear first")
    try:
        findings = tuple(rule.check(**{name: evidence[name] for name in rule.evidence()}))
        if run.estimated:
            findings = tuple(replace(f, confidence="medium") if f.confidence == "high" else f for f in findings)
    except NotJudged as reason:
        return Verdict(rule.name, Outcome.NOT_JUDGED, reason=str(reason))
    except NothingToJudge as reason:
        return Verdict(rule.name, Outcome.CLEAR, reason=str(reason))
    except Exception as error:  # noqa: BLE001  one broken rule must not cost the user the other verdicts
        return Verdict(rule.name, Outcome.NOT_JUDGED, reason=f"internal error: {type(error).__name__}: {error}")
    return Verdict(rule.name, Outcome.FINDINGS if findings else Outcome.CLEAR, findings)
