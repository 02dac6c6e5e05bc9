"""Root causes: findings that explain others, with all that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gradscope.diagnosis.telling_apart import telling_experiment
from gradscope.diagnosis.verdict import Cause, Finding, Remedy, Rival, Severity

__all__ = ["causes_of"]

_REMEDIES = 5
_OUTCOMES = (
    "update-ratio-out-of-range:too-small",
    "vanishing-gradient:through-time",
    "collapsed-representation",
    "constant-output",
    "loss-plateau",
)
"""What a network that does not learn does in the end, each the outcome of those before it.

New recurrent layers forget; that they still do where nothing is learnt is the reason only if there is no other."""

_ELSEWHERE = (
    "badly-scaled-input",
    "badly-scaled-target",
    "collapsed-representation:penalised",
    "collapsed-representation:rewarded",
    "excessive-dropout",
    "linear-units:no-activation",
    "mismatched-loss",
    "omitted-variable",
    "outweighed-loss",
    "permanent-clipping",
    "shrunken-weights",
    "unchanged-weights",
    "unshuffled-batches",
)
"""Faults of the data, the loss and the set-up: what follows from them in the layers is not to be mended there."""

_OF_ROOTS = ("connection", "freeze")
"""Topics of remedies that are for what is wrong there itself: a gradient that is zero for another reason is not cut
off, nor meant to be."""


def causes_of(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """Group findings under their root causes, gravest first.

    A finding may explain another that it names in ``explains`` and that was not seen before it; the update of a step
    comes too late for what its forward pass shows, nothing for what is said of the whole run. What a network does in
    the end (one answer to everything, a loss that stands still) is explained by whatever else is wrong and no less
    grave, since that says why. Chains are flattened:
    all that follows from a root stands under it, however many links lie between. Where several roots explain a finding
    it goes to the gravest, then to the one that explains most; the others that name it are that cause's rivals.
    """
    reach = {i: _reachable(i, findings, _explains) for i in range(len(findings))}
    named = {i: _reachable(i, findings, _names) for i in range(len(findings))}

    def strength(i: int) -> tuple[int, int, int, bool, int]:
        found = findings[i]
        return int(found.severity), len(reach[i]), -found.first_step, found.phase == "forward", -i

    def precedes(a: int, b: int) -> bool:
        # In a circle of explanations the strongest finding is taken for the cause.
        return b in reach[a] and (a not in reach[b] or strength(a) > strength(b))

    def order(i: int) -> tuple[int, int, int]:
        return -int(findings[i].severity), -len(reach[i]), findings[i].first_step

    indices = range(len(findings))
    roots = [b for b in indices if not any(precedes(a, b) for a in indices)]
    members: dict[int, list[int]] = {root: [] for root in roots}
    for b in indices:
        if b not in members:
            owner = max((root for root in roots if precedes(root, b)), key=strength)
            members[owner].append(b)

    def rivals(root: int) -> list[Finding]:
        disputed = [b for b in members[root] if findings[b].severity > Severity.NOTE]
        others = [a for a in roots if a != root and findings[a].severity > Severity.NOTE]
        return [findings[a] for a in others if not named[a].isdisjoint(disputed)]

    causes = [
        _cause(findings[root], [findings[b] for b in sorted(found, key=order)], rivals(root))
        for root, found in members.items()
    ]
    return tuple(sorted(causes, key=lambda cause: (-cause.severity, -len(cause.consequences), cause.root.first_step)))


def _names(a: Finding, b: Finding) -> bool:
    return a is not b and _in_time(a, b) and bool({b.rule, b.pathology} & a.explains)


def _in_time(a: Finding, b: Finding) -> bool:
    if b.phase == "run":
        return True
    too_late = a.phase == "update" and b.phase == "forward"
    return a.first_step < b.first_step if too_late else a.first_step <= b.first_step


def _explains(a: Finding, b: Finding) -> bool:
    return _names(a, b) or _ends_in(a, b)


def _ends_in(a: Finding, b: Finding) -> bool:
    if _stage(b) <= _stage(a) or a.severity == Severity.NOTE:
        return False
    return a.severity >= b.severity and _in_time(a, b)


def _stage(finding: Finding) -> int:
    return max(
        (_OUTCOMES.index(name) + 1 for name in (finding.rule, finding.pathology) if name in _OUTCOMES), default=0
    )


def _reachable(start: int, findings: Sequence[Finding], leads_to: Callable[[Finding, Finding], bool]) -> frozenset[int]:
    reached: set[int] = set()
    border = [start]
    while border:
        here = border.pop()
        following = {i for i, b in enumerate(findings) if leads_to(findings[here], b)} - reached
        reached |= following
        border.extend(following)
    return frozenset(reached - {start})


def _cause(root: Finding, consequences: list[Finding], rivals: list[Finding]) -> Cause:
    followed = () if {root.rule, root.pathology} & set(_ELSEWHERE) else consequences
    remedies = [*root.remedies, *(r for finding in followed for r in finding.remedies if r.topic not in _OF_ROOTS)]
    disputes = tuple(Rival(rival, telling_experiment(root, rival)) for rival in rivals)
    return Cause(root, tuple(consequences), _distinct(remedies), disputes)


def _distinct(remedies: Iterable[Remedy]) -> tuple[Remedy, ...]:
    # A consequence often asks for part of what its root asks for, or for the opposite: a learning rate that a finding
    # would raise is too high for its cause.
    kept: list[Remedy] = []
    for remedy in remedies:
        lines = set(remedy.code.splitlines())
        known = any(
            r.title == remedy.title
            or (r.topic and r.topic == remedy.topic)
            or (lines and lines <= set(r.code.splitlines()))
            for r in kept
        )
        if not known:
            kept.append(remedy)
    return tuple(kept[:_REMEDIES])
