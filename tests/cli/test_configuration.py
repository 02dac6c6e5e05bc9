"""What a project sets: limits, severities, suppressions; and where they count."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

import gradscope
import gradscope.reports
from gradscope.cli import main
from gradscope.configuration import find_configuration, read_configuration
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.errors import ConfigurationError
from gradscope.testing import assert_healthy

FALLING = np.linspace(1, 0.7, 30)
ACCEPTED = """
[[suppress]]
rule = "dead-units"
layers = ["hidden_*"]
reason = "a sparse code is wanted here"
"""
RAISED = "[rules.dead-units]\nmax_dead_unit_fraction = 0.9\n"


@pytest.fixture
def command():
    def run(*arguments):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def settings(project):
    """``settings(text)`` makes it the project's ``gradscope.toml``."""
    return (project / "gradscope.toml").write_text


def dead_units(diagnosis):
    return [finding for finding in diagnosis.findings() if finding.rule == "dead-units"]


def test_a_limit_is_raised(command, warned, settings):
    assert command("check", warned).stdout.startswith("WARNINGS")
    settings(RAISED)
    assert command("check", warned).stdout.startswith("HEALTHY")
    explained = command("explain", "dead-units").stdout
    assert "max_dead_unit_fraction = 0.9  (set by the project; 0.5 by default)" in explained


def test_a_limit_is_lowered():
    configuration = gradscope.configuration.Configuration(
        policy=gradscope.diagnosis.policy.Policy(limits={"dead-units": {"error_dead_unit_fraction": 0.55}})
    )
    run = toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): 0.6}, loss=FALLING)
    assert gradscope.diagnose(run).healthy
    assert not gradscope.diagnose(run, configuration=configuration).healthy


def test_every_limit_of_every_rule_can_be_set(tmp_path):
    for rule in all_rules():
        lines = [f"{limit.name} = {limit.value / 2!r}" for limit in rule.limits()]
        file = tmp_path / "gradscope.toml"
        file.write_text("\n".join([f"[rules.{rule.name}]", *lines]))
        (tuned,) = read_configuration(file).policy.tuned([rule])
        assert [limit.value for limit in tuned.limits()] == [limit.value / 2 for limit in rule.limits()]


def test_a_severity_is_capped_and_never_raised(command, sick, warned, settings):
    settings('[rules.nonfinite-values]\nseverity = "warning"\n[rules.dead-units]\nseverity = "error"\n')
    assert command("check", sick).stdout.startswith("WARNINGS")
    assert command("check", sick, "--fail-on", "warning").exit_code == 1
    assert command("check", warned).stdout.startswith("WARNINGS")


def test_a_rule_is_switched_off_and_says_so(command, warned, settings):
    settings('[rules.dead-units]\nseverity = "off"\n')
    result = command("check", warned)
    assert result.stdout.startswith("HEALTHY")
    assert "dead-units: switched off in the project's configuration." in " ".join(result.stdout.split())


def test_a_suppressed_finding_is_counted_and_listed_with_its_reason(command, warned, settings):
    settings(ACCEPTED)
    result = command("check", warned, "--fail-on", "warning")
    assert result.exit_code == 0
    assert result.stdout.startswith("HEALTHY")
    text = " ".join(result.stdout.split())
    assert "; 1 finding suppressed." in text
    assert "Suppressed: a sparse code is wanted here." in text
    assert "a sparse code is wanted here" in command("check", warned, "--format", "markdown").stdout
    assert "a sparse code is wanted here" in command("check", warned, "--format", "junit").stdout
    document = json.loads(command("check", warned, "--format", "json").stdout)
    schema = json.loads(Path(gradscope.reports.__file__).with_name("diagnosis.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    assert (document["verdict"], document["causes"]) == ("healthy", [])
    (suppressed,) = document["suppressed"]
    assert (suppressed["rule"], suppressed["layers"]) == ("dead-units", ["hidden_1"])
    assert suppressed["suppression"] == "a sparse code is wanted here"


def test_a_finding_at_another_layer_as_well_is_not_suppressed(project):
    (project / "gradscope.toml").write_text(ACCEPTED.replace("hidden_*", "hidden_1"))
    run = toy_run(put={("activation", f"hidden_{i}", "dead_unit_fraction"): 0.8 for i in (1, 2)}, loss=1.0)
    diagnosis = gradscope.diagnose(run, configuration=find_configuration())
    assert [finding.layers for finding in dead_units(diagnosis)] == [("hidden_1", "hidden_2")]


def test_a_variant_is_suppressed_apart(project):
    text = '[[suppress]]\nrule = "update-ratio-out-of-range:too-small"\nreason = "fine-tuning"\n'
    (project / "gradscope.toml").write_text(text)
    configuration = find_configuration()
    large = toy_run({("update", "output/kernel"): 5000}, loss=1.0)
    small = toy_run({("update", f"{name}/kernel"): 1e-5 for name in ("hidden_1", "hidden_2", "output")}, loss=1.0)
    rule = [rule for rule in all_rules() if rule.name == "update-ratio-out-of-range"]
    assert not gradscope.diagnose(large, rule, configuration=configuration).suppressed
    assert gradscope.diagnose(small, rule, configuration=configuration).suppressed


def test_settings_count_in_every_command(command, warned, settings, tmp_path):
    settings(ACCEPTED)
    assert "no finding" in command("watch", warned, "--idle", "0.2", "--every", "0.1").stdout
    assert command("report", warned, "-o", tmp_path / "report.html").exit_code == 0
    assert "a sparse code is wanted here" in (tmp_path / "report.html").read_text("utf-8")
    shutil.copytree(warned, tmp_path / "other")
    assert "WARNINGS" not in command("compare", warned, tmp_path / "other").stdout
    tree = command("check", Path(warned).parent, warned, "--jobs", "2").stdout
    assert "HEALTHY" in tree
    assert "WARNINGS" not in tree


def test_settings_count_in_tests_and_in_tensorboard(sick, settings):
    from gradscope.tensorboard.memory import Judged

    settings('[rules.nonfinite-values]\nseverity = "note"\n')
    assert assert_healthy(sick).healthy
    assert Judged(gradscope.read_run(sick)).shown.diagnosis.healthy
    with pytest.raises(AssertionError):
        assert_healthy(sick, configuration=gradscope.configuration.Configuration())


def test_a_mistake_in_the_file_does_not_end_what_goes_on(sick, settings):
    from gradscope.tensorboard.memory import Judged

    settings("rules = 1")
    (complaint,) = Judged(gradscope.read_run(sick)).shown.diagnosis.missing
    assert "gradscope.toml: rules is 1; write a table" in complaint
    with pytest.raises(ConfigurationError):
        assert_healthy(sick)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rules = 3", "write a table [rules.<name>]"),
        ("[rules.dead-unit]", "no rule is called 'dead-unit'; did you mean dead-units?"),
        ("[rules]\ndead-units = 1", "write a table [rules.dead-units] with severity, max_dead_unit_fraction"),
        ("[rules.dead-units]\nmax_dead_units_fraction = 0.4", "did you mean max_dead_unit_fraction?"),
        ("[rules.dead-units]\nmax_dead_unit_fraction = '0.4'", "give a finite number"),
        ("[rules.dead-units]\nmax_dead_unit_fraction = true", "give a finite number"),
        ("[rules.dead-units]\nmax_dead_unit_fraction = nan", "give a finite number"),
        ("[rules.dead-units]\nmax_dead_unit_fraction = 50", "give a share from 0 to 1"),
        ("[rules.dead-units]\nseverity = 'fatal'", "give one of note, warning, error, off"),
        ("[rules.dead-units]\nseverity = 2", "give one of note, warning, error, off"),
        ("suppress = 3", "suppress is no list"),
        ("suppress = [3]", "it needs rule and reason"),
        (
            "[[suppress]]\nrule = 'dead-units'\nlayer = 'x'\nreason = 'r'",
            "and may have layers",
        ),
        ("[[suppress]]\nreason = 'r'", "names no rule"),
        ("[[suppress]]\nrule = 'dead-unit'\nreason = 'r'", "did you mean dead-units?"),
        ("[[suppress]]\nrule = 'dead-units'", "gives no reason"),
        ("[[suppress]]\nrule = 'dead-units'\nreason = ' '", "gives no reason"),
        ("[[suppress]]\nrule = 'dead-units'\nreason = 'r'\nlayers = 'x'", "give a list of patterns"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_what_can(command, healthy, project, text, complaint):
    (project / "gradscope.toml").write_text(text)
    result = command("check", healthy)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert complaint in result.stderr
    assert "gradscope.toml" in result.stderr
