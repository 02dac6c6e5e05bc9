import re
import sys
import textwrap
from dataclasses import replace

import pytest
from rich.cells import cell_len

from gradscope.diagnosis.verdict import Cause, Measurement
from gradscope.reports.terminal import to_terminal
from gradscope.reports.wording import plain

ESCAPE = "\x1b"


def flat(report):
    return " ".join(report.split())


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_the_width_but_for_the_headline_and_code(diagnosis, width):
    code = {
        line.strip()
        for cause in diagnosis.causes
        for remedy in cause.remedies
        for line in plain(remedy.code.replace("\n", "\x00")).split("\\x00")
    }
    _, *lines = to_terminal(diagnosis, width=width, color=False).splitlines()
    too_long = [line for line in lines if cell_len(line) > width and line.strip() not in code]
    assert too_long == []


def test_without_colour_no_control_character_is_left(diagnosis):
    report = to_terminal(diagnosis, color=False)
    assert re.findall(r"[^\n\u0020-\U0010ffff]|[\x7f-\x9f\u202a-\u202e\ud800-\udfff]", report) == []
    assert report.endswith("\n")
    assert not re.search(r"[ \t]+$", report, re.MULTILINE)


def test_with_colour_the_text_is_the_same(sick):
    plain_report = to_terminal(sick, color=False)
    coloured = to_terminal(sick, color=True)
    assert ESCAPE in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain_report.splitlines()


def test_no_colour_where_standard_output_is_no_terminal(sick):
    assert ESCAPE not in to_terminal(sick)


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_the_environment_can_turn_colour_off(sick, monkeypatch, variable, value):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert ESCAPE in to_terminal(sick)
    monkeypatch.setenv(variable, value)
    assert ESCAPE not in to_terminal(sick)


def test_a_sick_run_reads_from_verdict_to_notes(sick):
    report = flat(to_terminal(sick, color=False))
    story = [
        "SICK logs/three_layer",
        "100 sampled steps, 0 to 9,990",
        "The network does not learn: the initial weights are far too small.",
        "1. ERROR initial weights far too small: hidden_1, hidden_2 and output have a gain of 0.0007 to 0.004. Step 0.",
        "What follows from it",
        "error vanishing gradient (medium confidence): the gradient at hidden_1 is 3.1e-06 of the output's.",
        "Evidence",
        "gain 0.000712 0.1 about 1 hidden_1 0",
        "gradient decay 3.1e-06 0.0001 about 1 hidden_1 0 to 9,990",
        "What to change",
        "1. Initialise hidden_1 with He normal its weights are 1,400 times too small for 784 inputs.",
        "keras.layers.Dense(16",
        "2. Raise the learning rate to 0.01",
        "Judged by 4 rules; clear: exploding-gradient.",
        "Not judged - saturated-activation: no bounded activation; record activations.",
        "Missing - events.out.tfevents.1: 96 bytes at 1,024 are damaged",
        "Notes - some dead units: 7 % of the units of hidden_2 are zero on every example. Steps 20 to 40.",
    ]
    places = [report.find(part) for part in story]
    assert -1 not in places, story[places.index(-1)]
    assert places == sorted(places)


def test_a_healthy_run_is_told_shortly(healthy):
    report = to_terminal(healthy, color=False)
    assert report.startswith("HEALTHY  logs/fixed\n")
    assert "The gradient flows" in report
    assert "Judged by 2 rules; clear: dead-units, vanishing-gradient." in report
    assert len(report.splitlines()) <= 8
    assert not any(title in report for title in ("Evidence", "Missing", "Not judged", "Notes", "What to change"))


def test_a_note_does_not_make_a_cause(noted):
    report = to_terminal(noted, color=False)
    assert report.startswith("HEALTHY")
    assert "Notes\n- some dead units" in report
    assert "Evidence" not in report


def test_code_survives_copying_at_any_width(sick):
    code = sick.causes[0].remedies[0].code
    lines = to_terminal(sick, width=40, color=False).splitlines()
    start = next(i for i, line in enumerate(lines) if "keras.layers.Dense" in line)
    copied = textwrap.dedent("\n".join(lines[start : start + 3]))
    assert copied == code
    compile(copied, "copied", "exec")


def test_names_are_shown_letter_by_letter_and_never_as_markup(weird_diagnosis, weird_name):
    def squeezed(text):
        return "".join(text.split())

    report = squeezed(to_terminal(weird_diagnosis, color=True))
    bare = re.sub(r"\x1b\[[0-9;]*m", "", report)
    assert squeezed(f"The layer {plain(weird_name)} does not learn.") in bare
    assert squeezed(f"Change {plain(weird_name)}") in bare
    assert squeezed(f"{plain(weird_name)} is damaged") in bare


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_cut_short(weird_diagnosis, width):
    assert "…" not in to_terminal(weird_diagnosis, width=width, color=False)


def test_nan_and_infinity_are_shown(nonfinite):
    report = flat(to_terminal(nonfinite, color=False))
    assert "loss NaN inf" in report
    assert "least entry -inf 0" in report


def test_much_evidence_is_cut_and_says_so(sick):
    many = tuple(Measurement(f"gain {i}", i, 0.1) for i in range(40))
    root = replace(sick.causes[0].root, measurements=many)
    report = to_terminal(replace(sick, causes=(Cause(root),)), color=False)
    assert "gain 11 " in report
    assert "gain 12 " not in report
    assert "and 28 more measurements; --format json has all" in report
