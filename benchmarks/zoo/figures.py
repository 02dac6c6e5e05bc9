"""Figures of many judgements: recall, precision, false alarms, right causes and layers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from zoo.judging import Judgement
from zoo.peers import PEERS

__all__ = ["by_label", "overall", "peers"]


def overall(judgements: Iterable[Judgement]) -> dict[str, Any]:
    """All figures of these judgements; shares are None where there is nothing to share out."""
    every = list(judgements)
    judged = [j for j in every if not j.error]
    sick, healthy = [j for j in judged if j.sick], [j for j in judged if not j.sick]
    errors, alarms = [j for j in sick if j.severity == "error"], [j for j in healthy if j.severity == "error"]
    warned = [j for j in healthy if j.severity == "warning"]
    found = [j for j in sick if j.severity in ("error", "warning")]
    staged = [j for j in healthy if j.early_error is not None]
    placed = [j for j in found if j.right_layer is not None]
    steps = [j.first_step for j in errors if j.first_step is not None]
    return {
        "runs": len(every),
        "failed": len(every) - len(judged),
        "sick": len(sick),
        "healthy": len(healthy),
        "recall": _share(errors, sick),
        "recall_with_warnings": _share(found, sick),
        "precision": _share(errors, errors + alarms),
        "false_errors": _share(alarms, healthy),
        "false_warnings": _share(warned, healthy),
        "early_false_errors": _share([j for j in staged if j.early_error], staged),
        "right_cause": _share([j for j in found if j.right_cause], found),
        "named_cause": _share([j for j in found if j.named_cause], found),
        "right_layer": _share([j for j in placed if j.right_layer], placed),
        "right_both": _share([j for j in found if j.right_cause and j.right_layer is not False], found),
        "median_steps_to_error": statistics.median(steps) if steps else None,
    }


def by_label(judgements: Iterable[Judgement], key: str) -> dict[str, dict[str, Any]]:
    """The same figures for each sickness or family."""
    groups: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        groups.setdefault(getattr(judgement, key), []).append(judgement)
    return {label: overall(groups[label]) for label in sorted(groups)}


def peers(judgements: Iterable[Judgement]) -> dict[str, dict[str, Any]]:
    """What the peers' limits come to on the same logs."""
    judged = [j for j in judgements if not j.error]
    sick, healthy = [j for j in judged if j.sick], [j for j in judged if not j.sick]
    result = {}
    for name in PEERS:
        right, wrong = [j for j in sick if j.peers[name]], [j for j in healthy if j.peers[name]]
        result[name] = {
            "recall": _share(right, sick),
            "precision": _share(right, right + wrong),
            "false_errors": _share(wrong, healthy),
        }
    return result


def _share(part: list[Any], whole: list[Any]) -> float | None:
    return round(len(part) / len(whole), 3) if whole else None
