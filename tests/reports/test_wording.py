import doctest
import math
from dataclasses import replace

import pytest

from gradscope.diagnosis.verdict import Outcome, Verdict
from gradscope.reports import wording
from gradscope.reports.wording import account, counted, evidence, health, number, plain, sampled, sentence, state, steps


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.00071234, "0.000712"),
        (1.2e-6, "1.2e-06"),
        (1.2345e-6, "1.23e-06"),
        (-3.14159, "-3.14"),
        (999.4, "999"),
        (999.6, "1,000"),
        (9990.0, "9,990"),
        (123456.7, "123,457"),
        (2.5e9, "2.5e+09"),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_a_number_has_three_significant_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize("text", ["dense_1", "日本語 é", "👩\u200d🔬", "‖∂L/∂a‖ ≥ 1e-3", "a\\b"])
def test_printable_text_stays_as_it_is(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("a\u202eb", "a\\u202eb"),
        ("a\x9bb", "a\\x9bb"),
        ("a\udc80b", "a\\udc80b"),
        ("1\u202f000\xa0x", "1 000 x"),
    ],
)
def test_what_steers_a_terminal_becomes_an_escape(text, shown):
    assert plain(text) == shown


def test_a_sentence_ends_with_one_full_stop():
    assert sentence("the gradient vanishes ") == "the gradient vanishes."
    assert sentence("Done.") == "Done."
    assert sentence("Why?") == "Why?"
    assert sentence("") == ""


def test_counts_and_ranges():
    assert [counted(n, "rule") for n in (0, 1, 2, 1200)] == ["no rules", "1 rule", "2 rules", "1,200 rules"]
    assert steps(0, 9990) == "0 to 9,990"
    assert steps(5, 5) == "5"


def test_the_state_of_a_run(healthy, noted, warnings, sick, not_judged):
    states = [health(diagnosis) for diagnosis in (healthy, noted, warnings, sick, not_judged)]
    assert states == ["healthy", "healthy", "warnings", "sick", "not judged"]
    assert [state(diagnosis) for diagnosis in (healthy, noted, warnings, sick, not_judged)] == states


def test_the_headline_says_what_is_open(healthy, noted):
    ((cause,), last) = noted.causes, noted.last_step
    lasting = replace(noted, causes=(replace(cause, root=replace(cause.root, last_step=last)), cause))
    assert (health(lasting), state(lasting)) == ("notes", "no error or warning, 2 notes")
    open_rule = Verdict("dead-units", Outcome.NOT_JUDGED, reason="record activations")
    partly = replace(healthy, verdicts=(*healthy.verdicts, open_rule))
    assert (health(partly), state(partly)) == ("healthy", "healthy by 2 of 3 rules")


def test_how_much_was_sampled(healthy, not_judged):
    assert sampled(healthy) == "100 sampled steps, 0 to 9,990"
    assert sampled(not_judged) == "no sampled steps"


def test_an_account_says_when(sick):
    root, consequence = sick.causes[0].findings()
    assert account(root).endswith("0.004. Step 0.")
    assert account(consequence).endswith("output's. Steps 0 to 9,990.")


def test_evidence_has_a_row_per_measurement_and_no_row_twice(sick):
    cause = sick.causes[0]
    rows = evidence([*cause.findings(), cause.root])
    assert rows == [
        ("gain", "0.000712", "0.1", "about 1", "hidden_1", "0"),
        ("gradient decay", "3.1e-06", "0.0001", "about 1", "hidden_1", "0 to 9,990"),
    ]


def test_the_examples_hold():
    result = doctest.testmod(wording)
    assert (result.failed, result.attempted) == (0, 2)
