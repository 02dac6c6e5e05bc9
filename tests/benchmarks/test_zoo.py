"""The zoo is well labelled, and its figures count what they say."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from gradscope.diagnosis.rules import all_rules

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def benchmarks_on_the_path():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def chosen():
    from zoo import programs

    return programs()


def test_each_sick_program_has_a_healthy_twin_in_the_same_half(chosen):
    by_name = {program.name: program for program in chosen}
    assert len(chosen) >= 80
    for program in chosen:
        twin = by_name[program.twin]
        assert (twin.twin, twin.half, twin.sick) == (program.name, program.half, not program.sick)


def test_a_family_is_of_one_half_and_both_halves_have_some(chosen):
    halves = {half: {program.family for program in chosen if program.half == half} for half in ("think", "test")}
    assert all(halves.values())
    assert not halves["think"] & halves["test"]
    assert halves["think"] | halves["test"] == {program.family for program in chosen}


def test_a_label_names_rules_that_exist(chosen):
    known = {rule.name for rule in all_rules()}
    for program in chosen:
        assert {cause.partition(":")[0] for cause in program.causes} <= known, program.name
        assert bool(program.causes) == program.sick


def test_a_proof_bears_a_label_out_only_where_behaviour_does(chosen):
    from zoo.proof import borne_out

    sick = next(program for program in chosen if program.sick)
    healthy = next(program for program in chosen if program.name == sick.twin)

    def proof(of_sick, of_healthy):
        return {
            sick.name: {"runs": [{"skill": of_sick, "finite": of_sick is not None}]},
            healthy.name: {"runs": [{"skill": of_healthy, "finite": True}]},
        }

    assert borne_out(sick, proof(0.1, 0.9)) is True
    assert borne_out(sick, proof(None, 0.9)) is True
    assert borne_out(sick, proof(0.85, 0.9)) is False
    assert borne_out(healthy, proof(0.1, healthy.level + 0.01)) is True
    assert borne_out(healthy, proof(0.1, healthy.level - 0.01)) is False
    assert borne_out(sick, {}) is None


def test_a_program_that_fails_costs_its_own_result_only():
    from zoo.pool import run_jobs

    jobs = [
        {"do": "record", "program": "no/such/program", "seed": 0},
        {"do": "record", "program": "nor/this", "seed": 0},
    ]
    answers = {job["program"]: answer for job, answer in run_jobs(jobs, 1)}
    assert set(answers) == {"no/such/program", "nor/this"}
    assert all("error" in answer for answer in answers.values())


def test_figures_count_what_they_say(chosen, three_layer):
    from zoo import figures
    from zoo.judging import judge

    sick = next(p for p in chosen if p.sick and p.causes == {"gain-mismatch:too-small"})
    sick = dataclasses.replace(sick, layers=frozenset({"hidden_1", "hidden_2", "output"}))
    right = judge(sick, 0, three_layer, early=False)
    assert (right.severity, right.right_cause, right.right_layer) == ("error", True, True)
    elsewhere = judge(dataclasses.replace(sick, causes=frozenset({"dead-units"})), 0, three_layer, early=False)
    assert not elsewhere.right_cause
    assert not elsewhere.named_cause
    false_alarm = dataclasses.replace(right, sick=False)
    miss = dataclasses.replace(right, severity="warning")
    whole = figures.overall([right, miss, false_alarm])
    assert (whole["recall"], whole["recall_with_warnings"], whole["precision"]) == (0.5, 1.0, 0.5)
    assert (whole["false_errors"], whole["false_warnings"]) == (1.0, 0.0)
    blind = dict.fromkeys(right.peers, False)
    alarmed = dict.fromkeys(right.peers, True)
    said = [dataclasses.replace(right, peers=alarmed), dataclasses.replace(right, peers=blind)]
    said.append(dataclasses.replace(false_alarm, peers=alarmed))
    baseline = figures.peers(said)["SageMaker Debugger"]
    assert (baseline["recall"], baseline["precision"], baseline["false_errors"]) == (0.5, 0.5, 1.0)
