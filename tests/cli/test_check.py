import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import gradscope.reports
from gradscope.cli import main


@pytest.fixture
def check():
    def run(*arguments):
        result = CliRunner().invoke(main, ["check", *map(str, arguments)])
        assert "Traceback" not in result.output
        return result

    return run


def one_line(text):
    return text.startswith("gradscope: ") and text.count("\n") == 1


def test_a_healthy_run(check, healthy):
    result = check(healthy)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"HEALTHY  {healthy[:20]}")


def test_a_sick_run(check, sick):
    result = check(sick)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.startswith("SICK")
    assert "What to change" in result.stdout


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1)])
def test_a_run_with_warnings_fails_only_if_asked_to(check, warned, fail_on, code):
    result = check(warned, "--fail-on", fail_on)
    assert result.exit_code == code
    assert result.stdout.startswith("WARNINGS")


def test_an_event_file_is_a_run_too(check, sick):
    (file,) = Path(sick).iterdir()
    result = check(file)
    assert result.exit_code == 1
    assert result.stdout.startswith("SICK")


def test_a_damaged_run_is_judged_and_says_what_is_missing(check, damaged):
    result = check(damaged)
    assert result.exit_code == 1
    assert "Missing\n- " in result.stdout


@pytest.mark.parametrize("place", ["empty", "broken", "foreign"])
def test_what_is_no_run_is_one_line_that_names_it(check, request, place):
    path = request.getfixturevalue(place)
    result = check(path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert one_line(result.stderr)
    assert result.stderr.count(path) == 1


def test_a_missing_path(check, tmp_path):
    result = check(tmp_path / "nowhere\n[bold]")
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert "nowhere" in result.stderr


def test_a_tree_is_a_table_worst_first(check, logs, healthy, sick, warned):
    result = check(logs)
    assert (result.exit_code, result.stderr) == (1, "")
    places = [result.stdout.index(word) for word in ("\nSICK", "\nWARNINGS", "\nHEALTHY")]
    assert places == sorted(places)
    assert all(Path(path).name in result.stdout for path in (healthy, sick, warned))


def test_a_tree_with_an_unreadable_run_and_no_sick_one_cannot_be_judged(check, logs, healthy, broken):
    result = check(logs)
    assert result.exit_code == 2
    assert "NOT JUDGED" in result.stdout
    assert one_line(result.stderr)
    assert "1 of 2 runs could not be judged" in result.stderr
    assert broken in result.stderr
    assert healthy not in result.stderr


def test_a_sick_run_outweighs_an_unreadable_one(check, logs, sick, broken):
    assert check(logs).exit_code == 1
    assert check(sick, broken).exit_code == 1


def test_several_paths_are_a_table(check, healthy, warned, tmp_path):
    assert check(healthy, warned).exit_code == 0
    result = check(healthy, tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


@pytest.mark.usefixtures("foreign", "warned")
def test_log_dirs_of_other_tools_beside_a_run_are_skipped(check, healthy, logs):
    alone = check(healthy)
    assert alone.exit_code == 0
    assert alone.stdout.startswith("HEALTHY")
    tree = check(logs)
    assert tree.exit_code == 0
    assert "Skipped 1 log dir" in tree.stdout


def test_a_tree_of_one_run_is_still_a_tree(check, logs, sick):
    result = check(logs)
    assert result.exit_code == 1
    assert result.stdout.startswith("1 run in ")
    assert Path(sick).name in result.stdout


def test_a_linked_run_is_the_run(check, healthy, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(healthy)
    assert check(link).stdout.startswith("HEALTHY")


def test_json(check, sick, logs, healthy, broken):
    schema = json.loads(Path(gradscope.reports.__file__).with_name("diagnosis.schema.json").read_text("utf-8"))
    one = check(sick, "--format", "json")
    assert one.exit_code == 1
    document = json.loads(one.stdout)
    jsonschema.validate(document, schema)
    assert (document["run"], document["verdict"]) == (sick, "sick")
    tree = check(logs, "--format", "json")
    assert tree.exit_code == 1
    document = json.loads(tree.stdout)
    jsonschema.validate(document, schema)
    assert [(run["run"], run.get("verdict")) for run in document["runs"]] == [
        (broken, None),
        (healthy, "healthy"),
        (sick, "sick"),
    ]


def test_output_goes_to_a_file(check, sick, tmp_path):
    file = tmp_path / "report"
    file.write_text("older and longer " * 1000)
    result = check(sick, "--output", file)
    assert (result.exit_code, result.output) == (1, "")
    text = file.read_text("utf-8")
    assert text.startswith("SICK")
    assert "\x1b" not in text
    assert "older" not in text


def test_an_output_that_cannot_be_written_is_one_line(check, healthy, tmp_path):
    for place in (tmp_path, tmp_path / "no" / "folder"):
        result = check(healthy, "--output", place)
        assert result.exit_code == 2
        assert one_line(result.stderr)
        assert str(place) in result.stderr


def test_rules_can_be_chosen_and_ignored(check, sick):
    assert check(sick, "--rules", "dead-units").exit_code in {0, 2}
    only = json.loads(check(sick, "--rules", "nonfinite-values, dead-units", "--format", "json").stdout)
    assert {verdict["rule"] for verdict in only["verdicts"]} == {"nonfinite-values", "dead-units"}
    rest = json.loads(check(sick, "--ignore", "nonfinite-values", "--format", "json").stdout)
    assert rest["verdicts"]
    assert "nonfinite-values" not in {verdict["rule"] for verdict in rest["verdicts"]}


@pytest.mark.parametrize("option", ["--rules", "--ignore"])
def test_an_unknown_rule_is_named_with_the_closest(check, healthy, option):
    result = check(healthy, option, "dead-unit")
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert "'dead-unit'" in result.stderr
    assert "did you mean dead-units?" in result.stderr
    assert "gradscope rules lists them" in result.stderr


def test_no_rule_left_is_bad_usage(check, healthy):
    result = check(healthy, "--rules", "dead-units", "--ignore", "dead-units")
    assert result.exit_code == 2
    assert one_line(result.stderr)


def test_a_run_that_no_rule_can_judge_gives_the_reason(check, weights_only):
    result = check(weights_only, "--rules", "constant-output")
    assert result.exit_code == 2
    assert result.stdout.startswith("NOT JUDGED")
    assert one_line(result.stderr)
    assert result.stderr.startswith(f"gradscope: {weights_only}: no rule could judge this run: ")
    assert check(weights_only, "--rules", "constant-output,nonfinite-values").exit_code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(check, sick):
    (file,) = Path(sick).iterdir()
    file.chmod(0)
    result = check(sick)
    assert result.exit_code == 2
    assert one_line(result.stderr)


def test_names_with_markup_and_escapes_are_shown_as_they_are(check, healthy, logs):
    odd = logs / "[red]a\x1b[31m\nb"
    shutil.copytree(healthy, odd)
    result = check(odd)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[red]a\\x1b[31m\\nb" in "".join(result.stdout.split("\n"))
