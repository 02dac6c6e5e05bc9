"""How sure a cause is, and what else it may be, stands in every form of the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import gradscope.reports
from gradscope.diagnosis.verdict import Rival
from gradscope.reports.html.notebook import diagnosis_as_html
from gradscope.reports.json_document import to_json
from gradscope.reports.markdown import to_markdown
from gradscope.reports.terminal import to_terminal


@pytest.fixture
def disputed(sick):
    (cause, note) = sick.causes
    rival = Rival(replace(cause.root, sentence="the rate is too high"), "Train at a tenth of the rate")
    return replace(sick, causes=(replace(cause, rivals=(rival,)), note))


@pytest.mark.parametrize("render", [to_terminal, to_markdown, diagnosis_as_html])
def test_confidence_is_always_stated(render, sick, disputed):
    assert "Confidence: high." in render(sick)
    text = " ".join(render(disputed).split())
    assert "Confidence: medium." in text
    assert "It may also be this: the rate is too high. To tell them apart: Train at a tenth of the rate." in text


@pytest.mark.parametrize("render", [to_terminal, to_markdown, diagnosis_as_html])
def test_a_rival_that_came_later_is_said_to(render, disputed):
    (cause, note) = disputed.causes
    later = replace(cause.rivals[0], root=replace(cause.rivals[0].root, first_step=1200))
    text = " ".join(render(replace(disputed, causes=(replace(cause, rivals=(later,)), note))).split())
    assert "It may also be this, which came later, at step 1,200: the rate is too high." in text


def test_the_json_report_has_both(disputed):
    document = json.loads(to_json(disputed))
    schema = json.loads(Path(gradscope.reports.__file__).with_name("diagnosis.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    cause = document["causes"][0]
    assert cause["confidence"] == "medium"
    assert [rival["experiment"] for rival in cause["rivals"]] == ["Train at a tenth of the rate"]
