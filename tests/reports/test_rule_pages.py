"""The pages of the rules in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gradscope.cli import main
from gradscope.diagnosis.rules import all_rules
from gradscope.reports.rule_page import rule_pages, to_rule_page

PAGES = Path(__file__).parent.parent.parent / "docs" / "rules"


def test_the_committed_pages_are_up_to_date():
    committed = {file.name: file.read_text("utf-8") for file in PAGES.iterdir()}
    assert committed == dict(rule_pages(all_rules())), "run `make docs`"


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_a_page_has_everything(rule):
    page = to_rule_page(rule)
    for heading in ("What it detects", "Evidence", "Limits", "Example", "Remedies", "References"):
        assert f"\n## {heading}\n\n" in page
    for limit in rule.limits():
        assert f"| `{limit.name}` | " in page
        assert limit.source.replace("|", "\\|") in page
    assert "```pycon\n>>> " in page


def test_the_command_writes_them(tmp_path):
    result = CliRunner().invoke(main, ["rules", "--docs", str(tmp_path / "a" / "b")])
    assert (result.exit_code, result.output) == (0, "")
    assert {file.name for file in (tmp_path / "a" / "b").iterdir()} == set(rule_pages(all_rules()))
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["rules", "--docs", str(tmp_path / "file" / "b")])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
