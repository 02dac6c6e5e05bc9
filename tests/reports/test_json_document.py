import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import gradscope.reports
from gradscope._version import __version__
from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding, Measurement, Severity
from gradscope.reports.checked_run import CheckedRun
from gradscope.reports.json_document import to_json, to_json_tree

ROOT = Path(__file__).parents[2]


def strict(text):
    def refuse(constant):
        pytest.fail(f"{constant} is no strict JSON")

    document = json.loads(text, parse_constant=refuse)
    json.dumps(document, ensure_ascii=False).encode("utf-8")  # no lone surrogates
    return document


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(Path(gradscope.reports.__file__).with_name("diagnosis.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_each_diagnosis_holds_the_schema(diagnosis, validator):
    text = to_json(diagnosis)
    assert text.isascii()
    validator.validate(strict(text))


def test_a_tree_holds_the_schema(diagnosis, healthy, validator):
    runs = [CheckedRun("a", diagnosis), CheckedRun("b", error="no event file"), CheckedRun("c", healthy)]
    document = strict(to_json_tree(runs, skipped=[CheckedRun("d", error="Keras data only")]))
    validator.validate(document)
    assert document["runs"][0] == strict(to_json(diagnosis))
    assert document["runs"][1] == {"run": "b", "error": "no event file"}
    assert document["skipped"] == [{"run": "d", "error": "Keras data only"}]


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("verdict",), "ill"),
        (("version",), 2),
        (("steps", "sampled"), -1),
        (("causes", 0, "severity"), "fatal"),
        (("causes", 0, "root", "measurements", 0, "value"), "nan"),
        (("verdicts", 0, "outcome"), "passed"),
    ],
)
def test_the_schema_refuses_what_is_wrong(sick, validator, path, wrong):
    document = strict(to_json(sick))
    *parents, last = path
    place = document
    for step in parents:
        place = place[step]
    place[last] = wrong
    assert not validator.is_valid(document)


def test_what_a_program_decides_by(sick):
    document = strict(to_json(sick))
    assert (document["schema"], document["version"], document["gradscope"]) == ("gradscope-diagnosis", 1, __version__)
    assert (document["run"], document["verdict"]) == ("logs/three_layer", "sick")
    assert document["steps"] == {"first": 0, "last": 9990, "sampled": 100}
    cause, note = document["causes"]
    assert (cause["severity"], note["severity"]) == ("error", "note")
    assert cause["root"]["rule"] == "gain-mismatch"
    assert cause["root"]["variant"] == "too-small"
    assert cause["root"]["layers"] == ["hidden_1", "hidden_2", "output"]
    assert cause["root"]["measurements"][0]["value"] == 0.00071234
    assert [finding["rule"] for finding in cause["consequences"]] == ["vanishing-gradient"]
    assert cause["remedies"][0]["code"] == sick.causes[0].remedies[0].code
    assert document["verdicts"][-1] == {
        "rule": "saturated-activation",
        "outcome": "not judged",
        "reason": "no bounded activation; record activations",
    }
    assert document["missing"] == list(sick.missing)


def test_numbers_that_json_lacks_are_strings(nonfinite):
    first, second = strict(to_json(nonfinite))["causes"][0]["root"]["measurements"]
    assert (first["value"], first["limit"]) == ("NaN", "Infinity")
    assert (second["value"], second["limit"]) == ("-Infinity", 0.0)


def test_numpy_numbers_are_numbers():
    finding = Finding(
        "r", "t", "s", Severity.ERROR, (), np.int64(1), np.int64(2), (Measurement("m", np.float32(0.5), np.float64(1)),)
    )
    run = Diagnosis("run", "s.", (Cause(finding),), (), np.int64(1), np.int64(2), np.int64(2))
    document = strict(to_json(run))
    assert document["causes"][0]["root"]["measurements"][0]["value"] == 0.5
    assert document["steps"] == {"first": 1, "last": 2, "sampled": 2}


def test_every_field_is_documented_and_in_the_schema(sick):
    documentation = (ROOT / "docs" / "json-report.md").read_text("utf-8")
    schema = Path(gradscope.reports.__file__).with_name("diagnosis.schema.json").read_text("utf-8")

    def fields(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from fields(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from fields(inner)

    document = strict(to_json_tree([CheckedRun("a", sick), CheckedRun("b", error="e")]))
    for field in set(fields(document)):
        assert f"`{field}`" in documentation
        assert f'"{field}"' in schema
