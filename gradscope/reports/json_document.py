"""A diagnosis as JSON, for other programs: documented in ``docs/json-report.md``, checked by ``diagnosis.schema.json``.

`VERSION` rises when a field changes its meaning or goes; a new field does not raise it.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from gradscope._version import __version__
from gradscope.reports.wording import health

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding, Measurement, Remedy
    from gradscope.reports.checked_run import CheckedRun

__all__ = ["SCHEMA", "TREE_SCHEMA", "VERSION", "to_json", "to_json_tree"]

SCHEMA = "gradscope-diagnosis"
TREE_SCHEMA = "gradscope-diagnoses"
VERSION = 1


def to_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as one strict JSON object, ASCII only, indented, with a newline behind it.

    Numbers that JSON has no word for are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
    """
    return _dump(_document(diagnosis))


def to_json_tree(runs: Sequence[CheckedRun], *, skipped: Sequence[CheckedRun] = ()) -> str:
    """Several runs as one JSON object; ``runs`` holds in the given order their documents, or run and error.

    Args:
        runs: what was checked.
        skipped: log dirs of other tools found among them.
    """
    return _dump(
        {
            "schema": TREE_SCHEMA,
            "version": VERSION,
            "gradscope": __version__,
            "runs": [_document(run.diagnosis) if run.diagnosis else _failure(run) for run in runs],
            "skipped": [_failure(run) for run in skipped],
        }
    )


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _failure(run: CheckedRun) -> dict[str, Any]:
    return {"run": _text(run.run), "error": _text(run.error)}


def _document(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "gradscope": __version__,
        "run": _text(diagnosis.run),
        "verdict": health(diagnosis),
        "sentence": _text(diagnosis.sentence),
        "steps": {
            "first": int(diagnosis.first_step),
            "last": int(diagnosis.last_step),
            "sampled": int(diagnosis.sampled_steps),
        },
        "overhead": None if diagnosis.overhead is None else _number(diagnosis.overhead),
        "causes": [_cause(cause) for cause in diagnosis.causes],
        "verdicts": [
            {"rule": _text(verdict.rule), "outcome": verdict.outcome, "reason": _text(verdict.reason)}
            for verdict in diagnosis.verdicts
        ],
        "suppressed": [{**_finding(each.finding), "suppression": _text(each.reason)} for each in diagnosis.suppressed],
        "missing": [_text(text) for text in diagnosis.missing],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "severity": cause.severity.label,
        "confidence": cause.confidence,
        "root": _finding(cause.root),
        "consequences": [_finding(finding) for finding in cause.consequences],
        "remedies": [_remedy(remedy) for remedy in cause.remedies],
        "rivals": [{"root": _finding(rival.root), "experiment": _text(rival.experiment)} for rival in cause.rivals],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": _text(finding.rule),
        "variant": _text(finding.variant),
        "title": _text(finding.title),
        "sentence": _text(finding.sentence),
        "severity": finding.severity.label,
        "confidence": finding.confidence,
        "layers": [_text(layer) for layer in finding.layers],
        "first_step": int(finding.first_step),
        "last_step": int(finding.last_step),
        "measurements": [_measurement(measurement) for measurement in finding.measurements],
        "remedies": [_remedy(remedy) for remedy in finding.remedies],
    }


def _measurement(measurement: Measurement) -> dict[str, Any]:
    return {
        "statistic": _text(measurement.statistic),
        "value": _number(measurement.value),
        "limit": _number(measurement.limit),
        "unit": _text(measurement.unit),
        "layer": _text(measurement.layer),
        "healthy": _text(measurement.healthy),
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {"title": _text(remedy.title), "reason": _text(remedy.reason), "code": _text(remedy.code)}


def _number(value: float) -> float | str:
    number = float(value)  # rules may measure in float32, which json does not know
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _text(text: str) -> str:
    # A file name that is not UTF-8 holds lone surrogates, which strict JSON readers refuse.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
