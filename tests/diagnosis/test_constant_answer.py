"""What a network reaches that ignores its input, and how rules tell it from one that learns."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.vocabulary import STATISTIC_NAMES

BY_NAME = {rule.name: rule for rule in all_rules()}


def with_targets(run, loss, *, mean, std):
    values, row = run.values.copy(), run.index["target", "target"]
    for name, number in {"mean": mean, "std": std, "example_std": std, "rms": np.hypot(mean, std), "count": 64}.items():
        values[:, row, STATISTIC_NAMES.index(name)] = number
    return replace(
        run,
        values=values,
        model=run.model.with_settings({"losses": [{"name": loss, "from_logits": None, "output": None}]}),
    )


@pytest.mark.parametrize(
    ("loss", "mean", "std", "expected"),
    [
        ("mean_squared_error", 3.0, 2.0, 4.0),
        ("binary_crossentropy", 0.5, 0.5, log(2)),
        ("binary_crossentropy", 0.0, 0.0, np.nan),
        ("sparse_categorical_crossentropy", 4.5, 2.9, log(16)),
        ("a loss of one's own", 0.5, 0.5, np.nan),
    ],
)
def test_the_best_constant_answer(loss, mean, std, expected):
    evidence = Evidence(with_targets(toy_run(), loss, mean=mean, std=std))
    assert evidence["constant_answer"].loss == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_the_targets_of_single_examples_are_taken_together():
    swinging = np.tile([-1.0, 1.0], 15)
    evidence = Evidence(with_targets(toy_run(), "mean_squared_error", mean=swinging, std=0.0))
    assert evidence["constant_answer"].loss == pytest.approx(1.0)


def test_coming_down_to_a_constant_answer_is_no_learning():
    down_to = np.concatenate([[50.0, 20.0], np.full(28, 1.0)])
    assert Evidence(with_targets(toy_run(loss=down_to), "mean_squared_error", mean=0.0, std=1.0))["loss_trend"].at_rest
    unknown = toy_run(loss=down_to, settings={"losses": None})
    assert not Evidence(unknown)["loss_trend"].at_rest
    below = Evidence(with_targets(toy_run(loss=down_to), "mean_squared_error", mean=0.0, std=2.0))["loss_trend"]
    assert not below.at_rest
    assert below.falling


def test_the_mean_over_all_late_steps_counts_more_than_single_batches():
    run = toy_run(loss=1.0)
    steady = {**run.step_statistics, "interval_loss": np.linspace(1.0, 0.1, 30)}
    assert not Evidence(replace(run, step_statistics=steady))["loss_trend"].at_rest


@pytest.mark.parametrize(("spread", "loss", "found"), [(0.001, 1.0, 1), (0.5, 1.0, 0), (0.001, 0.3, 0)])
def test_equal_answers_at_the_loss_of_a_constant_one_are_a_constant_output(spread, loss, found):
    run = toy_run(put={("activation", "output", "example_std"): spread}, loss=loss)
    run = with_targets(run, "mean_squared_error", mean=0.0, std=1.0)
    findings = list(diagnose(run, [BY_NAME["constant-output"]]).findings())
    assert len(findings) == found
    assert all(f.severity == Severity.ERROR and f.layers == ("output",) for f in findings)
