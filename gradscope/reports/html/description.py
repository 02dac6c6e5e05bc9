"""What the view knows of a run besides its numbers: plain data for JSON, texts ready to show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gradscope.diagnosis.rules.vanishing_gradient import VanishingGradient
from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding
from gradscope.reports.html.layers import ShownLayer, shown_layers
from gradscope.reports.html.series import SERIES
from gradscope.reports.wording import (
    EVIDENCE_COLUMNS,
    Health,
    account,
    certainty,
    clear,
    evidence,
    headline,
    health,
    ills,
    notes,
    plain,
    sampled,
    sentence,
    state,
    suppressed,
)
from gradscope.run import Run

__all__ = ["ShownRun", "describe", "vocabulary"]


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run as the view shows it: what was read of it, and what is said of it."""

    name: str
    run: Run | None = None
    """None where it could not be read, or where only the diagnosis is to be shown."""
    diagnosis: Diagnosis | None = None
    error: str = ""
    """Why it could not be read, one line; empty where it could."""


def vocabulary() -> dict[str, Any]:
    """The statistics on offer, and the limits the depth profile draws."""
    return {
        "series": [{**asdict(series), "healthy": _limits(series.healthy)} for series in SERIES.values()],
        "evidence_columns": list(EVIDENCE_COLUMNS),
        "least_gradient_ratio": VanishingGradient().min_gradient_ratio,
    }


def describe(shown: ShownRun) -> dict[str, Any]:
    """Name, verdict, causes, layers and steps of a run."""
    run, diagnosis = shown.run, shown.diagnosis
    layers = shown_layers(run) if run is not None else ()
    position = {layer.name: index for index, layer in enumerate(layers)}
    return {
        "name": shown.name,
        "label": plain(shown.name),
        "error": sentence(shown.error),
        "health": health(diagnosis) if diagnosis is not None else Health.NOT_JUDGED,
        "state": (state(diagnosis) if diagnosis is not None else Health.NOT_JUDGED).capitalize(),
        "sentence": sentence(diagnosis.sentence) if diagnosis is not None else "",
        "sampled": sampled(diagnosis) if diagnosis is not None else "",
        "causes": [_cause(cause, position) for cause in ills(diagnosis)] if diagnosis else [],
        "notes": [_finding(finding, position) for finding in notes(diagnosis)] if diagnosis else [],
        "clear": [plain(name) for name in clear(diagnosis)] if diagnosis else [],
        "not_judged": [[plain(v.rule), sentence(v.reason)] for v in diagnosis.not_judged] if diagnosis else [],
        "suppressed": suppressed(diagnosis) if diagnosis else [],
        "missing": [sentence(text) for text in diagnosis.missing] if diagnosis else [],
        "drawn": run is not None,
        "layers": [_layer(layer, run) for layer in layers] if run is not None else [],
        "progress": list(run.step_statistics) if run is not None else [],
        "steps": [int(run.steps[0]), int(run.steps[-1]), len(run.steps)] if run is not None and len(run.steps) else [],
    }


def _limits(healthy: tuple[float, float] | None) -> list[float] | None:
    return list(healthy) if healthy is not None else None


def _layer(layer: ShownLayer, run: Run) -> dict[str, Any]:
    card = layer.layer.card
    return {
        "label": plain(layer.name),
        "kind": plain(card.kind) if card else "",
        "activation": plain(card.activation.name) if card and card.activation else "",
        "is_output": layer.layer.is_output,
        "frozen": layer.layer.frozen,
        "tensors": {kind: plain(run.tensors[row].name) for kind, row in layer.tensors.items()},
    }


def _cause(cause: Cause, position: dict[str, int]) -> dict[str, Any]:
    return {
        "severity": cause.severity.label,
        "root": _finding(cause.root, position),
        "certainty": certainty(cause),
        "consequences": [_finding(finding, position) for finding in cause.consequences],
        "evidence": [list(row) for row in evidence(cause.findings())],
        "remedies": [
            {"title": plain(remedy.title), "reason": sentence(remedy.reason), "code": remedy.code}
            for remedy in cause.remedies
        ],
    }


def _finding(finding: Finding, position: dict[str, int]) -> dict[str, Any]:
    return {
        "rule": plain(finding.rule),
        "headline": headline(finding),
        "account": account(finding),
        "severity": finding.severity.label,
        "layers": [position[name] for name in finding.layers if name in position],
        "first_step": int(finding.first_step),
        "last_step": int(finding.last_step),
    }
