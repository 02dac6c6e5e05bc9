"""The diagnosis in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.evidence import LossTrend
from gradscope.diagnosis.verdict import Cause, Outcome, Severity, Verdict
from gradscope.diagnosis.wording import among
from gradscope.run import Run

__all__ = ["summarise"]

_FEW = 50  # steps: what the rules on learning rates ask for


def summarise(
    run: Run,
    causes: Sequence[Cause],
    verdicts: Sequence[Verdict],
    suppressed: int = 0,
    *,
    trend: LossTrend | None = None,
) -> str:
    """One sentence: what keeps the network from learning, or that nothing does, or that nothing could be judged.

    Args:
        run: what was judged.
        causes: gravest first.
        verdicts: what each rule said.
        suppressed: how many findings the project has accepted.
        trend: of the loss: whether something is learnt, whatever is wrong.
    """
    judged = [verdict for verdict in verdicts if verdict.outcome != Outcome.NOT_JUDGED]
    if not judged:
        reason = verdicts[0].reason if verdicts else "no rule was asked"
        return f"No rule could judge this run: {reason}."
    errors = [cause for cause in causes if cause.severity == Severity.ERROR]
    accepted = f"; {suppressed} finding{'s' if suppressed > 1 else ''} suppressed" if suppressed else ""
    return f"{_sick(errors, trend) if errors else _healthy(run, causes, len(judged), trend)}{accepted}."


def _sick(errors: Sequence[Cause], trend: LossTrend | None) -> str:
    main = errors[0]
    follow = [f for f in main.consequences if f.severity >= Severity.WARNING and f.rule != main.root.rule][:2]
    # What began later than that which follows has not brought it about.
    rivals = [rival.root for rival in main.rivals if all(rival.root.first_step <= f.first_step for f in follow)]
    root = main.root.sentence if not rivals else f"either {main.root.sentence}, or {rivals[0].sentence}"
    sentence = f"{_opening(main, trend)}: {_chain(root, [finding.sentence for finding in follow])}"
    besides = [cause.root.title for cause in errors[1:] if cause.root not in rivals[:1]]
    if besides:
        others = among(list(dict.fromkeys(besides)))
        sentence += f"; besides: {others}"
    return sentence


def _opening(cause: Cause, trend: LossTrend | None) -> str:
    broken = [finding for finding in cause.findings() if finding.rule == "nonfinite-values"]
    if broken:
        return f"Training breaks down at step {broken[0].first_step:,}"
    if trend is None or trend.flat:
        return "The network does not learn"
    return "The loss falls, and yet something is wrong" if trend.falling else "The network learns little"


def _chain(root: str, follow: Sequence[str]) -> str:
    joint = ", and " if any(" and " in each for each in follow) else " and "
    return f"{root}, so {joint.join(follow)}" if follow else root


def _healthy(run: Run, causes: Sequence[Cause], judged: int, trend: LossTrend | None) -> str:
    first, last = int(run.steps[0]), int(run.steps[-1])
    steps = f"{len(run.steps):,} sampled step{'s' if len(run.steps) > 1 else ''} ({first:,} to {last:,})"
    grave = max((cause.severity for cause in causes), default=Severity.NOTE)
    nothing = "No error" if grave == Severity.WARNING else "No error or warning"
    opening = f"{nothing} by {judged} rule{'s' if judged > 1 else ''} in {steps}"
    asides = []
    for severity in (Severity.WARNING, Severity.NOTE):
        titles = [cause.root.title for cause in causes if cause.severity == severity]
        if titles:
            asides.append(f"{severity.label}{'s' if len(titles) > 1 else ''}: {among(list(dict.fromkeys(titles)))}")
    if trend is not None and 0 < trend.reach < _FEW and not trend.falling:
        asides.append(f"{trend.reach} steps are too few to tell whether it learns")
    return "; ".join([opening, *asides])
