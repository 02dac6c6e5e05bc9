import pytest
from click.testing import CliRunner

from gradscope._version import __version__
from gradscope.cli import main
from gradscope.diagnosis.rule import HEADINGS
from gradscope.diagnosis.rules import all_rules


@pytest.fixture
def gradscope():
    return lambda *arguments, **extra: CliRunner().invoke(main, arguments, **extra)


def one_line(text):
    return text.startswith("gradscope: ") and text.count("\n") == 1


def test_version(gradscope):
    result = gradscope("--version")
    assert (result.exit_code, result.stdout) == (0, f"gradscope, version {__version__}\n")


@pytest.mark.parametrize("command", [[], ["check"], ["explain"], ["rules"]])
def test_help(gradscope, command):
    result = gradscope(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(['gradscope', *command])}")
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_help_of_check_tells_the_exit_codes(gradscope):
    lines = gradscope("check", "--help").stdout.splitlines()
    start = lines.index("  Exit code:")
    assert [line.split()[0] for line in lines[start + 1 : start + 4]] == ["0", "1", "2"]


def test_without_a_command_the_help_is_shown_and_nothing_was_judged(gradscope):
    result = gradscope()
    assert result.exit_code == 2
    assert result.stdout.startswith("Usage: gradscope")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chekc"], ["chekc", "gradscope --help"]),
        (["--loud"], ["--loud", "gradscope --help"]),
        (["check"], ["PATH", "gradscope check --help"]),
        (["check", "logs", "--format", "xml"], ["xml", "terminal", "json", "gradscope check --help"]),
        (["explain"], ["RULE", "gradscope explain --help"]),
    ],
)
def test_bad_usage_is_one_line_that_says_where_help_is(gradscope, arguments, words):
    result = gradscope(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert one_line(result.stderr)
    assert all(word in result.stderr for word in words)


def test_rules_are_listed_by_name_and_title(gradscope):
    result = gradscope("rules")
    assert result.exit_code == 0
    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()] == [
        [rule.name, rule.title()] for rule in all_rules()
    ]


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_a_rule_is_explained_whole(gradscope, rule):
    result = gradscope("explain", rule.name, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{rule.name}: {rule.title()}"
    places = [lines.index(heading) for heading in HEADINGS]
    assert places == sorted(places)
    words = result.stdout.split()
    for text in rule.sections().values():
        assert set(text.split()) <= set(words)
    for limit in rule.limits():
        assert any(line.startswith(f"{limit.name} = ") for line in lines)
        assert set(limit.source.split()) <= set(words)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_prose_is_filled_to_the_width(gradscope, rule):
    lines = gradscope("explain", rule.name, env={"COLUMNS": "60"}).stdout.splitlines()
    start, end = lines.index("Why it matters"), lines.index("Evidence")
    assert max(map(len, lines[start:end])) <= 60


def test_an_unknown_rule(gradscope):
    result = gradscope("explain", "vanishing-gradients")
    assert (result.exit_code, result.stdout) == (2, "")
    assert one_line(result.stderr)
    assert "did you mean vanishing-gradient?" in result.stderr
    assert "did you mean" not in gradscope("explain", "zzz").stderr


def test_an_interrupt_ends_with_130(gradscope, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("gradscope.diagnosis.rules.all_rules", interrupted)
    result = gradscope("rules")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ModuleNotFoundError("No module named 'tensorboard.compat'", name="tensorboard.compat"),
            "pip install tensorboard",
        ),
        (PermissionError(13, "Permission denied", "/secret"), "/secret: Permission denied"),
        (ZeroDivisionError("division by zero"), "internal error, please report it: ZeroDivisionError"),
    ],
)
def test_no_failure_looks_like_a_sick_run(gradscope, monkeypatch, error, words):
    def failing():
        raise error

    monkeypatch.setattr("gradscope.diagnosis.rules.all_rules", failing)
    result = gradscope("rules")
    assert result.exit_code == 2
    assert one_line(result.stderr)
    assert words in result.stderr
    monkeypatch.setenv("GRADSCOPE_DEBUG", "1")
    assert gradscope("rules").exception is error
