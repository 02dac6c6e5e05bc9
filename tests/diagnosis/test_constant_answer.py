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
from gradscope.vocabulary import QUANTILES, STATISTIC_NAMES

PERCENT = [round(100 * q) for q in QUANTILES]
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
        ("categorical_crossentropy", 1 / 16, 0.242, log(16)),
        ("categorical_crossentropy", 1 / 16, 0.05, np.nan),  # a teacher's answers
        ("categorical_crossentropy", 1 / 16 / 255, 0.242 / 255, log(16)),  # labels that were divided with the pixels
        ("a loss of one's own", 0.5, 0.5, np.nan),
    ],
)
def test_the_best_constant_answer(loss, mean, std, expected):
    evidence = Evidence(with_targets(toy_run(), loss, mean=mean, std=std))
    assert evidence["constant_answer"].loss == pytest.approx(expected, rel=1e-5, nan_ok=True)


def with_shares(run, least, greatest, loss="binary_crossentropy"):
    """Targets spread evenly between two shares."""
    run = with_targets(run, loss, mean=(least + greatest) / 2, std=(greatest - least) / 12**0.5)
    values, row, reach = run.values.copy(), run.index["target", "target"], greatest - least
    quantiles = {f"quantile_{q:02d}": least + reach * q / 100 for q in PERCENT}
    for statistic, number in {"min": least, "max": greatest, **quantiles}.items():
        values[:, row, STATISTIC_NAMES.index(statistic)] = number
    return replace(run, values=values)


@pytest.mark.parametrize(("least", "greatest", "severity"), [(0.3, 0.7, Severity.NOTE), (0.0, 1.0, Severity.ERROR)])
def test_shares_that_leave_most_of_the_loss_to_right_answers_tell_no_plateau(least, greatest, severity):
    run = with_shares(toy_run(loss=0.69), least, greatest)
    assert Evidence(run)["constant_answer"].soft == (severity == Severity.NOTE)
    (finding,) = diagnose(run, [BY_NAME["loss-plateau"]]).findings()
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("least", "greatest", "loss", "severity", "title"),
    [
        (-0.06, 1.06, None, Severity.WARNING, "Clip the targets to 0 and 1"),
        (-0.06, 1.06, [*[1.0] * 20, *[np.nan] * 10], Severity.ERROR, "Scale"),
        (-1.0, 2.0, None, Severity.ERROR, "Scale"),
    ],
    ids=["a little beyond", "and it breaks", "far beyond"],
)
def test_shares_a_little_beyond_their_bounds_are_to_be_clipped(least, greatest, loss, severity, title):
    put = {("weight", "hidden_1/kernel", "nan_count"): np.repeat([0, 9], [20, 10])} if loss else {}
    run = with_shares(toy_run(put=put, loss=loss), least, greatest)
    (finding,) = diagnose(run, [BY_NAME["mismatched-loss"]]).findings()
    assert (finding.severity, finding.variant) == (severity, "labels-out-of-range")
    assert finding.remedies[0].title.startswith(title)


@pytest.mark.parametrize(("reduction", "expected"), [({"reduction": "sum"}, 4.0 * 32), ({}, 4.0)])
def test_a_loss_that_sums_over_the_examples_is_as_many_times_as_large(reduction, expected):
    run = with_targets(toy_run(), "mean_squared_error", mean=3.0, std=2.0)
    values = run.values.copy()
    values[:, run.index["activation", "output"], STATISTIC_NAMES.index("count")] = 32 * 16
    losses = [{"name": "mean_squared_error", "output": "output", **reduction}]
    run = replace(run, values=values, model=run.model.with_settings({"losses": losses}))
    assert Evidence(run)["constant_answer"].loss == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [({"name": "mean_absolute_error"}, 1.0), ({"name": "huber"}, 7 / 12), ({"name": "huber", "delta": 0.02}, 0.0198)],
)
def test_errors_that_are_not_squared_are_counted_from_the_median(loss, expected):
    run, row = toy_run(), toy_run().index["target", "target"]
    values = run.values.copy()  # targets spread evenly from -2 to 2
    for statistic, number in {"min": -2, "max": 2, **{f"quantile_{q:02d}": 4 * q / 100 - 2 for q in PERCENT}}.items():
        values[:, row, STATISTIC_NAMES.index(statistic)] = number
    run = replace(run, values=values, model=run.model.with_settings({"losses": [loss]}))
    assert Evidence(run)["constant_answer"].loss == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(("weight", "expected"), [(0.5, 2.5), (None, np.nan)])
def test_the_losses_of_several_outputs_add_up_by_their_weights(weight, expected):
    run = with_targets(toy_run(), "mean_squared_error", mean=0.0, std=1.0)
    row = run.index["target", "target"]
    second = replace(run.tensors[row], name="target_1")
    values = np.concatenate([run.values, 2 * run.values[:, [row]]], axis=1)
    losses = [{"name": "mse", "weight": weight}, {"name": "mse", "weight": 0.5}]
    run = replace(run, tensors=(*run.tensors, second), values=values, model=run.model.with_settings({"losses": losses}))
    answer = Evidence(run)["constant_answer"]
    assert answer.loss == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert answer.terms == pytest.approx((expected - 2.0, 2.0), rel=1e-5, nan_ok=True)


def test_a_loss_that_names_itself_in_no_way_is_known_by_its_first_value():
    # Answers of rms 1 and unrelated targets of rms √5 about 2 give 1 + 5 at first.
    put = {("activation", "output", "mean"): 0.0, ("activation", "output", "rms"): 1.0}
    for first, expected in ((6.0, 1.0), (3.0, np.nan)):
        run = toy_run(put=put, loss=np.linspace(first, 0.1, 30), settings={"losses": None})
        run = replace(with_targets(run, "", mean=2.0, std=1.0), model=run.model)
        units = tuple(replace(card, units=1) if card.is_output else card for card in run.model.layers)
        run = replace(run, model=replace(run.model, layers=units))
        assert Evidence(run)["constant_answer"].loss == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_a_new_network_far_below_a_constant_answer_shows_that_the_loss_has_a_weight():
    trend = Evidence(with_targets(toy_run(loss=1e-6), "mean_squared_error", mean=0.0, std=1.0))["loss_trend"]
    assert not trend.knows_constant
    assert trend.at_rest


@pytest.mark.parametrize(("additions", "at_rest"), [([], True), (["penalties"], False)])
def test_a_loss_above_a_constant_answer_is_no_learning_unless_something_adds_to_it(additions, at_rest):
    run = with_targets(toy_run(loss=np.linspace(100, 5, 30)), "mean_squared_error", mean=0.0, std=1.0)
    run = replace(run, model=run.model.with_settings({"loss_additions": additions}))
    assert Evidence(run)["loss_trend"].at_rest == at_rest


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


@pytest.mark.parametrize(("spread", "loss", "found"), [(1e-7, 0.5, 1), (1e-7, None, 0), (1e-3, 0.5, 0)])
def test_answers_that_are_the_same_to_within_rounding_need_no_targets(spread, loss, found):
    run = toy_run(
        put={("activation", "output", "example_std"): spread}, loss=loss, settings={"losses": None, "loss": "mine"}
    )
    assert len(list(diagnose(run, [BY_NAME["constant-output"]]).findings())) == found


def test_what_an_update_does_cannot_be_seen_before_it():
    wild = {("update", f"{name}/kernel"): 2000.0 for name in ("hidden_1", "hidden_2", "output")}
    put = {("activation", "hidden_1", "saturation_fraction"): 0.99}
    roots = [cause.root.rule for cause in diagnose(toy_run(wild, put, activation="tanh", loss=1.0)).causes]
    assert set(roots) == {"saturated-activation", "learning-rate-too-high"}
    put = {("activation", "hidden_1", "saturation_fraction"): [0.1] + [0.99] * 29}
    roots = [cause.root.rule for cause in diagnose(toy_run(wild, put, activation="tanh", loss=1.0)).causes]
    assert roots == ["learning-rate-too-high"]


@pytest.mark.parametrize(
    ("loss", "found"),
    [(np.linspace(3, 2, 30), ["above"]), (np.geomspace(50, 2, 30), []), (np.geomspace(50, 0.5, 30), [])],
)
def test_a_loss_that_will_not_come_down_to_a_constant_answer_is_an_error(loss, found):
    run = with_targets(toy_run(loss=loss), "mean_squared_error", mean=0.0, std=1.0)
    assert [f.variant for f in diagnose(run, [BY_NAME["loss-plateau"]]).findings()] == found


@pytest.mark.parametrize(("losses", "slow"), [([{"name": "mse"}], True), ([{"name": "mine"}], False)])
def test_half_of_a_loss_without_a_floor_says_nothing(losses, slow):
    run = with_targets(toy_run(loss=np.linspace(1.0, 0.7, 30)), "", mean=0.0, std=1.0)
    run = replace(run, model=run.model.with_settings({"losses": losses}))
    assert Evidence(run)["loss_trend"].slow == slow


def test_an_explosion_before_the_first_update_is_no_work_of_the_update():
    wild = {("update", f"{name}/kernel"): 2000.0 for name in ("hidden_1", "hidden_2", "output")}
    wild |= {("activation_gradient", "hidden_1"): 1e6}
    put = {("gradient", "hidden_1/kernel", "nan_count"): [0] * 2 + [1] * 28}
    (cause,) = diagnose(toy_run(wild, put)).causes
    assert cause.root.pathology == "exploding-gradient:across-depth"
    assert {"learning-rate-too-high", "nonfinite-values"} <= {found.rule for found in cause.consequences}
