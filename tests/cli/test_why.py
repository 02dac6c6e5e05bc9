"""``gradscope check --why RULE``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from gradscope.cli import main
from gradscope.diagnosis.rules import all_rules


@pytest.fixture
def why():
    def run(*arguments):
        result = CliRunner().invoke(main, ["check", *map(str, arguments)], env={"COLUMNS": "110"})
        assert "Traceback" not in result.output
        return result

    return run


@pytest.mark.parametrize("rule", [rule.name for rule in all_rules()])
def test_every_rule_can_be_asked(why, rule, sick, weights_only, three_layer):
    for path in (sick, weights_only, three_layer):
        result = why(path, "--why", rule)
        assert result.exit_code in (0, 1)
        assert result.stdout.startswith(("FIRED", "SILENT", "NOT JUDGED"))
        assert f"  {rule}  {path}" in result.stdout
        assert "Its limits" in result.stdout


def test_why_it_fired(why, warned):
    result = why(warned, "--why", "dead-units")
    assert result.exit_code == 0
    assert why(warned, "--why", "dead-units", "--fail-on", "warning").exit_code == 1
    assert result.stdout.startswith("FIRED  dead-units")
    line, *_ = [line for line in result.stdout.splitlines() if line.startswith("0.6 ") and ">= 0.5" in line]
    assert "yes" in line
    assert "max_dead_unit_fraction" in line
    assert "hidden_1 dead_unit_fraction, late" in line


def test_why_it_stayed_silent(why, healthy):
    result = why(healthy, "--why", "dead-units")
    assert result.exit_code == 0
    assert result.stdout.startswith("SILENT")
    assert "It judged this run and found nothing." in result.stdout


def test_why_there_was_nothing_to_judge(why, healthy):
    result = why(healthy, "--why", "excessive-dropout")
    assert result.stdout.startswith("SILENT")
    assert "It judged this run and found nothing: no layer of the model card drops anything." in result.stdout


def test_why_it_did_not_judge(why, weights_only):
    result = why(weights_only, "--why", "constant-output")
    assert result.stdout.startswith("NOT JUDGED")
    assert "record activation" in " ".join(result.stdout.split())


def test_a_suppressed_finding_is_shown_with_its_reason(why, warned, project):
    (project / "gradscope.toml").write_text('[[suppress]]\nrule = "dead-units"\nreason = "wanted so"\n')
    assert "Reason: wanted so." in why(warned, "--why", "dead-units").stdout


def test_it_can_be_written_to_a_file(why, warned, tmp_path):
    assert why(warned, "--why", "dead-units", "--output", tmp_path / "why").output == ""
    assert (tmp_path / "why").read_text("utf-8").startswith("FIRED")


@pytest.mark.parametrize(
    "more", [["--why", "dead-unit"], ["--why", "dead-units", "--format", "json"], ["elsewhere", "--why", "dead-units"]]
)
def test_bad_usage_is_one_line(why, warned, more):
    result = why(warned, *more)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
