"""Reports for CI, the baseline, and the settings of a project."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from gradscope.cli import main
from gradscope.events.frames import frame


@pytest.fixture
def check():
    def run(*arguments):
        return CliRunner().invoke(main, ["check", *map(str, arguments)])

    return run


# JUnit


@pytest.mark.usefixtures("healthy", "sick", "warned", "broken")
def test_junit(check, logs):
    result = check(logs, "--format", "junit")
    assert result.exit_code == 1
    suites = {Path(suite.get("name")).name: suite for suite in ET.fromstring(result.stdout)}
    counts = {name: (int(s.get("failures")) > 0, int(s.get("errors"))) for name, s in suites.items()}
    assert counts == {"healthy": (False, 0), "sick": (True, 0), "warned": (False, 0), "broken": (False, 1)}
    failure = suites["sick"].find("testcase[@name='nonfinite-values']/failure")
    assert "step 150" in failure.text.lower()
    assert "to change: " in failure.text
    for suite in suites.values():
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))


def test_junit_fails_from_the_severity_asked_for(check, warned):
    suite = ET.fromstring(check(warned, "--format", "junit", "--fail-on", "warning").stdout)[0]
    assert suite.find("testcase[@name='dead-units']/failure") is not None


def test_junit_of_names_that_xml_does_not_take(check, healthy):
    odd = Path(healthy).rename(Path(healthy).with_name('<&"\x01\udcff'))
    (suite,) = ET.fromstring(check(odd, "--format", "junit").stdout)
    assert '<&"' in suite.get("name")


# GitHub


def test_github(check, sick, healthy, logs, broken):
    lines = check(logs, "--format", "github").stdout.splitlines()
    commands = [re.fullmatch(r"::(error|warning|notice) title=([^:,]*)::(.*)", line) for line in lines if "::" in line]
    assert all(commands)
    assert any(command[1] == "error" and "sick" in command[2] and "Step" in command[3] for command in commands)
    assert any("not judged" in command[2] and broken in command[2].replace("%3A", ":") for command in commands)


def test_github_of_names_with_commands_in_them(check, sick):
    odd = Path(sick).rename(Path(sick).with_name("a::error::b\n::set-output"))
    lines = check(odd, "--format", "github").stdout.splitlines()
    assert not any(line.startswith("::set") for line in lines)
    assert all("::error::b" not in line for line in lines if line.startswith("::"))


# Markdown


def test_markdown(check, sick, logs, healthy):
    assert check(sick, "--format", "markdown").stdout.startswith("## SICK: ")
    tree = check(logs, "--format", "markdown").stdout
    assert tree.startswith("## 2 runs")
    assert tree.index("| SICK |") < tree.index("| HEALTHY |") < tree.index("## SICK: ")


# Baseline


def test_a_baseline_accepts_what_it_holds(check, sick, tmp_path):
    file = tmp_path / "baseline.json"
    assert check(sick, "--format", "json", "--output", file).exit_code == 1
    result = check(sick, "--baseline", file)
    assert result.exit_code == 0
    assert "accepted by the baseline" in " ".join(result.stdout.split())


def test_a_new_finding_fails_all_the_same(check, sick, warned, tmp_path):
    file = tmp_path / "baseline.json"
    check(warned, "--format", "json", "--output", file)
    assert check(sick, "--baseline", file).exit_code == 1


def test_what_grew_worse_or_spread_is_new(check, sick, tmp_path):
    file = tmp_path / "baseline.json"
    check(sick, "--format", "json", "--output", file)
    document = json.loads(file.read_text())
    document["causes"][0]["root"]["severity"] = "warning"
    file.write_text(json.dumps(document))
    assert check(sick, "--baseline", file).exit_code == 1


def test_a_baseline_of_a_tree_goes_by_path(check, logs, sick, warned, tmp_path):
    file = tmp_path / "baseline.json"
    assert check(logs, "--format", "json", "--output", file).exit_code == 1
    assert check(logs, "--baseline", file, "--fail-on", "warning").exit_code == 0
    renamed = Path(sick).rename(Path(sick).with_name("other"))
    assert check(logs, "--baseline", file).exit_code == 1
    assert renamed.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "else"}', '{"schema": "gradscope-diagnosis", "run": 1, "causes": 3}']
)
def test_a_file_that_is_no_baseline(check, sick, tmp_path, text):
    file = tmp_path / "baseline.json"
    file.write_text(text)
    result = check(sick, "--baseline", file)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert str(file) in result.stderr
    assert check(sick, "--baseline", tmp_path / "nowhere").exit_code == 2


# Settings


@pytest.fixture
def odd_tags(logs):
    """A foreign log whose tags mean nothing to the built-in table."""
    logs.mkdir(exist_ok=True)
    histogram = HistogramProto(min=1, max=2, num=3, sum=4, sum_squares=6, bucket_limit=[2], bucket=[3])
    events = [
        Event(step=s, wall_time=s, summary=Summary(value=[Summary.Value(tag="opt/dense_1/g", histo=histogram)]))
        for s in range(5)
    ]
    (logs / "events.out.tfevents.1").write_bytes(b"".join(frame(event.SerializeToString()) for event in events))
    return logs


@pytest.mark.parametrize(("name", "table"), [("gradscope.toml", "tags"), ("pyproject.toml", "tool.gradscope.tags")])
def test_a_table_of_tags(check, odd_tags, project, name, table):
    (project / "below").mkdir()
    os.chdir(project / "below")
    assert check(odd_tags).exit_code == 2
    (project / name).write_text(f"[[{table}]]\npattern = 'opt/(?P<name>.+)/g'\nmeans = 'gradient'\n")
    result = check(odd_tags)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("HEALTHY")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tags = 3", "no list"),
        ("[[tags]]\npattern = 'x'", "needs pattern and means"),
        ("[[tags]]\npattern = '('\nmeans = 'gradient'", "no regular expression"),
        ("[[tags]]\npattern = 'x'\nmeans = 'gradients'", "cannot mean 'gradients'"),
        ("[[tags]]\npattern = 3\nmeans = 'gradient'", "are texts"),
        ("[other]", "there is only rules, suppress, tags"),
        ("= =", "no valid TOML"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(check, healthy, project, text, complaint):
    (project / "gradscope.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = check(healthy)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert complaint in result.stderr
    assert "gradscope.toml" in result.stderr


def test_another_tools_pyproject_is_not_ours(check, healthy, project):
    (project / "pyproject.toml").write_text("[tool.other]\nname = 'gradscope'\n")
    assert check(healthy).exit_code == 0
