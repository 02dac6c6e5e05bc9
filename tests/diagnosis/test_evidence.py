from __future__ import annotations

import doctest
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from gradscope.diagnosis.evidence import EVIDENCE, Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rule import NotJudged
from gradscope.model_card import LayerCard, ModelCard, VariableCard
from gradscope.run import Run


@pytest.mark.parametrize(
    "module",
    ["engine", "evidence", "example", "layer_code", "wording"],
)
def test_examples_run(module):
    result = doctest.testmod(import_module(f"gradscope.diagnosis.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_every_evidence_is_documented_and_computable():
    evidence = Evidence(toy_run())
    for name, function in EVIDENCE.items():
        assert function.__doc__
        assert evidence[name] is evidence[name]


def chain(*cards: LayerCard) -> Run:
    return Run(
        "x", np.arange(1), (), np.zeros((1, 0, 0)), model=ModelCard(cards, (VariableCard("add/w", "add", "w", (1,)),))
    )


def test_a_layer_counts_as_normalised_only_if_nothing_else_takes_its_output():
    stem = LayerCard("stem", "Conv2D", 0, inbound=("input",))
    relu = LayerCard("relu", "ReLU", 1, inbound=("stem",))
    bn = LayerCard("bn", "BatchNormalization", 2, inbound=("relu",))
    normalised = {layer.name: layer.normalised for layer in Evidence(chain(stem, relu, bn))["layers"]}
    assert normalised == {"stem": True, "relu": True, "bn": False}
    add = LayerCard("add", "Add", 3, inbound=("bn", "stem"))
    assert not Evidence(chain(stem, relu, bn, add))["layers"][0].normalised


@pytest.mark.parametrize(("trained", "normalised"), [(True, False), (False, True)])
def test_a_frozen_batch_normalisation_normalises_what_is_frozen_too(trained, normalised):
    stem = LayerCard("stem", "Conv2D", 0, inbound=("input",), trainable=trained)
    bn = LayerCard("bn", "BatchNormalization", 1, inbound=("stem",), trainable=False)
    assert Evidence(chain(stem, bn))["layers"][0].normalised == normalised


def test_layers_without_a_card_stand_in_recorded_order():
    layers = Evidence(toy_run(card=False))["layers"]
    assert [(layer.name, layer.is_output) for layer in layers] == [
        ("hidden_1", False),
        ("hidden_2", False),
        ("output", True),
    ]


def test_kernels_leave_out_biases_and_frozen_layers():
    names = [kernel.name for kernel in Evidence(toy_run(frozen=["hidden_1"]))["kernels"]]
    assert names == ["hidden_2/kernel", "output/kernel"]


def test_early_and_late_follow_steps_not_samples():
    steps = [*range(10), *range(100, 1000, 100)]
    window = Evidence(toy_run(steps=steps))["window"]
    assert window.steps[window.early].tolist() == list(range(10))
    assert window.steps[window.late].tolist() == [600, 700, 800, 900]
    assert not window.brief


def test_the_window_ends_before_the_first_broken_step():
    run = toy_run(put={("gradient", "hidden_1/kernel", "nan_count"): [0] * 20 + [1] * 10})
    window = Evidence(run)["window"]
    assert window.cut == 200
    assert window.steps[window.usable].max() == 190
    assert window.steps[window.late].max() == 190


def test_a_run_that_breaks_at_its_first_step_has_no_window():
    run = toy_run(put={("gradient", "hidden_1/kernel", "nan_count"): 1})
    with pytest.raises(NotJudged, match="no sampled step lies before step 0"):
        Evidence(run)["window"]


def test_the_flow_is_relative_to_the_outputs_gradient():
    run = toy_run({("activation_gradient", "hidden_1"): 1e-3, ("activation_gradient", "output"): 10.0})
    flow = Evidence(run)["flow"]
    np.testing.assert_allclose(flow.gradient[0], [1e-4, 0.1], rtol=1e-5)
    assert flow.head == (0,)


def test_a_zero_output_gradient_gives_no_ratio():
    run = toy_run({("activation_gradient", "output"): [0.0, *[1.0] * 29]})
    assert np.isnan(Evidence(run)["flow"].gradient[0]).all()


def test_logits_stand_in_for_a_softmax_output():
    run = toy_run(activation="softmax")
    kinds = [
        replace(key, kind="preactivation_gradient")
        if (key.kind, key.name) == ("activation_gradient", "output")
        else key
        for key in run.tensors
    ]
    flow = Evidence(replace(run, tensors=tuple(kinds)))["flow"]
    assert not flow.missing
    assert np.isfinite(flow.gradient).all()


def test_unknown_connections_judge_the_input_side_third():
    flow = Evidence(toy_run(hidden=9, card=False))["flow"]
    assert flow.head == (0, 1, 2)


def test_coming_down_from_a_leap_of_the_loss_is_no_learning():
    trend = Evidence(toy_run(loss=[1.0, 1e8, 1e7, *[0.8] * 27]))["loss_trend"]
    assert not trend.fallen


def test_mean_losses_that_a_huge_one_drowned_give_way_to_single_ones():
    mean = np.array([1.0] * 10 + [1e10] + [0.0] * 19)
    drowned = toy_run(loss=1.0, step={"interval_loss": mean})
    assert Evidence(drowned)["loss_trend"].late == pytest.approx(1.0)
    assert Evidence(drowned)["loss_trend"].loss[10] == 1e10
    solved = toy_run(loss=1.0, step={"interval_loss": np.where(mean > 1, 1.0, mean)})
    assert Evidence(solved)["loss_trend"].late == 0


def descent(rate, curvatures, weights, steps=range(200)):
    """Plain gradient descent on ``Σ λ/2 w²``: the run of its loss, and of the change that each update is to make."""
    curvatures, weights = np.array(curvatures), np.array(weights, float)
    losses, promised = [], []
    for _ in steps:
        gradients = curvatures * weights
        losses.append(float(curvatures @ weights**2) / 2)
        promised.append(-rate * float(gradients @ gradients))
        weights -= rate * gradients
    return toy_run(loss=losses, steps=steps, step={"expected_loss_change": promised, "learning_rate": rate})


@pytest.mark.parametrize(("steep", "ratio"), [(0.0, 1.0), (1.0, 0.5), (3.0, 0.1)])
def test_of_what_the_gradients_promise_curvature_leaves_part(steep, ratio):
    # Along the steep one the steps are the longest that are stable: they lead to and fro, and the loss stays.
    run = descent(0.1, [1e-3, 20.0], [1000.0, 0.05 * steep])
    assert Evidence(run)["reduction_ratio"] == pytest.approx(ratio, rel=0.03)


@pytest.mark.parametrize(("share", "left"), [(0.25, 0.75), (0.5, 0.5)])
def test_a_share_of_the_longest_stable_step_makes_so_much_of_the_promise(share, left):
    run = descent(2 * share / 3.0, [3.0], [1.0], range(2))
    made = run.step_statistics["loss"][1] - run.step_statistics["loss"][0]
    assert made / run.step_statistics["expected_loss_change"][0] == pytest.approx(left)


@pytest.mark.parametrize(
    ("loss", "promised"),
    [(1.0, 0.0), (np.linspace(1.0, 0.5, 30), np.nan), (np.linspace(1.0, 0.5, 30), 0.1)],
    ids=["nothing", "unknown", "a rise"],
)
def test_where_nothing_is_promised_no_ratio_is_known(loss, promised):
    assert np.isnan(Evidence(toy_run(loss=loss, step={"expected_loss_change": promised}))["reduction_ratio"])
    assert np.isnan(Evidence(toy_run(loss=loss))["reduction_ratio"])


def test_a_loss_that_rises_makes_nothing_of_the_promise():
    run = toy_run(loss=np.linspace(0.5, 1.0, 30), step={"expected_loss_change": -0.1})
    assert Evidence(run)["reduction_ratio"] == 0


@pytest.mark.parametrize(("rate", "growth"), [(1.0, 4.0), (0.7, 1.21), (0.6, np.nan)])
def test_a_loss_that_multiplies_by_the_same_at_each_step_grows_exponentially(rate, growth):
    run = descent(rate, [3.0], [1.0], range(30))
    assert Evidence(run)["loss_trend"].growth == pytest.approx(growth, nan_ok=True, rel=1e-6)


@pytest.mark.parametrize(
    "loss", [np.linspace(1.0, 1.5, 30), [1.0, 2.0], np.r_[0.0, np.geomspace(0.1, 9, 28), 0.0], -np.geomspace(1, 99, 30)]
)
def test_other_rises_do_not(loss):
    assert np.isnan(Evidence(toy_run(loss=loss, steps=range(len(loss))))["loss_trend"].growth)


def test_a_negative_loss_is_neither_fallen_nor_falling():
    trend = Evidence(toy_run(loss=np.linspace(-1, -5, 30)))["loss_trend"]
    assert trend.flat


def test_what_an_input_feeds_that_is_the_same_for_all_is_not_asked_how_examples_differ():
    flag = {("input", "input", "example_std"): 0.0}
    assert not Evidence(toy_run(put=flag))["example_spread"].hidden
    assert set(Evidence(toy_run())["example_spread"].hidden) == {"hidden_1", "hidden_2"}
