"""A run in its first steps: what healthy networks outgrow is at most a warning there, and an error later."""

from __future__ import annotations

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity

BY_NAME = {rule.name: rule for rule in all_rules()}
FIRST = tuple(range(12))
LATER = tuple(range(0, 120, 10))
ILL = {
    "constant-output": {"put": {("activation", "output", "example_std"): 0.01}, "loss": 1.0},
    "diverging-loss": {"loss": np.linspace(1.0, 4.0, 12)},
    "badly-scaled-target": {"scale": {("target", "target"): 1e4}, "loss": 1e8},
    "update-ratio-out-of-range": {"scale": {("update", "hidden_1/kernel"): 2000}, "loss": 1.0},
}


def severity(rule, steps, changes):
    (finding,) = diagnose(toy_run(**changes, steps=steps), [BY_NAME[rule]]).findings()
    return finding.severity


@pytest.mark.parametrize("rule", ILL)
def test_what_healthy_networks_outgrow_is_no_error_in_the_first_steps(rule):
    assert severity(rule, FIRST, ILL[rule]) == Severity.WARNING
    assert severity(rule, LATER, ILL[rule]) == Severity.ERROR


def test_one_step_shows_no_course():
    alike = {"put": {("weight", "hidden_1/kernel", "unit_std"): 0.0}, "loss": 1.0}
    assert severity("symmetric-weights", (0,), alike) == Severity.WARNING
    assert severity("symmetric-weights", (0, 1), alike) == Severity.ERROR


def test_extreme_values_are_an_error_at_once():
    cut_off = {"scale": {("activation_gradient", "hidden_1"): 1e-8}, "loss": 1.0}
    assert severity("constant-output", FIRST, cut_off) == Severity.ERROR


@pytest.mark.parametrize(("end", "expected"), [(0.75, Severity.WARNING), (0.97, Severity.ERROR)])
def test_a_rate_under_which_the_loss_gathers_speed_may_be_right(end, expected):
    loss = np.concatenate([np.full(8, 1.0), np.linspace(1.0, end, 22)])
    slow = {("update", f"{name}/kernel"): 1e-2 for name in ("hidden_1", "hidden_2", "output")}
    (finding,) = diagnose(toy_run(slow, loss=loss), [BY_NAME["learning-rate-too-low"]]).findings()
    assert finding.severity == expected
