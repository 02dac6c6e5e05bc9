"""A rule is watched at work: what it saw, and what it held against its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from gradscope.configuration import Configuration
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.inquiry import inquire
from gradscope.diagnosis.policy import Policy
from gradscope.diagnosis.rule import NothingToJudge, NotJudged, Rule, limit
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Outcome
from gradscope.diagnosis.watched import watched_rule

RULES = {rule.name: rule for rule in all_rules()}
DEAD = {("activation", "hidden_2", "dead_unit_fraction"): 0.6}
RUNS = {
    "healthy": toy_run(),
    "tanh": toy_run(activation="tanh"),
    "dead": toy_run(put={**DEAD, ("activation", "hidden_1", "dead_unit_fraction"): 1.0}, loss=1.0),
    "vanishing": toy_run({("activation_gradient", "hidden_1"): 1e-6, ("update", "hidden_1/kernel"): 1e-6}, loss=1.0),
    "exploding": toy_run({("activation_gradient", "hidden_1"): 1e5, ("update", "output/kernel"): 5000}, loss=1.0),
    "small weights": toy_run({("weight", f"{name}/kernel"): 1e-3 for name in ("hidden_1", "hidden_2")}, loss=1.0),
    "saturated": toy_run(put={("activation", "hidden_1", "saturation_fraction"): 0.99}, activation="tanh", loss=1.0),
    "nan": toy_run(put={("gradient", "hidden_1/kernel", "nan_count"): [0] * 20 + [1] * 10}),
    "no card": toy_run(card=False),
    "one step": toy_run(steps=[0]),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_watching_a_rule_does_not_change_what_it_says(rule, run):
    evidence, asked = Evidence(run), []

    def judged(by):
        try:
            return list(by.check(**{name: evidence[name] for name in by.evidence()}))
        except (NotJudged, NothingToJudge) as reason:
            return str(reason)

    plain = judged(rule)
    assert judged(watched_rule(rule, asked)) == plain
    assert inquire(run, rule).verdict in diagnose(run).verdicts
    if isinstance(plain, list) and plain:
        assert asked


def test_a_silent_rule_shows_how_far_it_is_from_firing():
    run = toy_run(put={("activation", "hidden_2", "dead_unit_fraction"): 0.3})
    found = inquire(run, RULES["dead-units"])
    assert found.verdict.outcome == Outcome.CLEAR
    compared = {(a.limit, a.relation, round(float(a.values[0]), 3), a.held) for a in found.asked}
    assert compared == {("max_dead_unit_fraction", ">=", 0.0, 0), ("max_dead_unit_fraction", ">=", 0.3, 0)}
    seen = {(e.evidence, e.where, e.quantity): e.late for e in found.exhibits}
    assert seen["activation", "hidden_2", "dead_unit_fraction"] == pytest.approx(0.3)


def test_a_rule_that_cannot_judge_says_what_it_lacks():
    found = inquire(toy_run(steps=()), RULES["vanishing-gradient"])
    assert found.verdict.outcome == Outcome.NOT_JUDGED
    assert found.asked == ()


def test_the_projects_limits_count():
    policy = Policy(limits={"dead-units": {"max_dead_unit_fraction": 0.7}})
    found = inquire(toy_run(put=DEAD), RULES["dead-units"], configuration=Configuration(policy=policy))
    assert found.verdict.outcome == Outcome.CLEAR
    assert {asked.bound for asked in found.asked} == {0.7}


def test_limits_are_seen_inside_numpy_and_through_their_multiples():
    @dataclass(frozen=True)
    class SomeRule(Rule):
        name: ClassVar[str] = "some-rule"
        bound: float = limit(0.5, "1", "made up")

        def check(self, run):
            values = np.array([0.1, 0.7, np.nan])
            facts = [
                (values > self.bound).tolist() == [False, True, False],
                bool(np.float32(0.7) >= self.bound),
                bool(np.float64(0.2) < self.bound / 2),
                2 * self.bound >= 0.9,
                max(0.3, self.bound) == 0.5,
                float(np.minimum(self.bound, 0.1)) == 0.1,
            ]
            assert all(facts), facts
            return ()

    asked = []
    list(watched_rule(SomeRule(), asked).check(toy_run()))
    assert [(a.limit, a.bound, a.relation, a.values.round(3).tolist(), a.held) for a in asked[:4]] == [
        ("bound", 0.5, ">", [0.1, 0.7], 1),
        ("bound", 0.5, ">=", [0.7], 1),
        ("bound / 2", 0.25, "<", [0.2], 1),
        ("bound x 2", 1.0, "<=", [0.9], 1),
    ]
