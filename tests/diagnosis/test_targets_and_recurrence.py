"""Targets off scale, recurrent weights, a frozen model: rules on hand-made runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.inquiry import inquire
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.model_card import VariableCard
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

BY_NAME = {rule.name: rule for rule in all_rules()}
STILL, HALVED, SLOWLY = 1e8, 1e8 * np.linspace(1.0, 0.1, 30), 1e8 * np.linspace(1.0, 0.6, 30)


def findings(name, run):
    return list(diagnose(run, [BY_NAME[name]]).findings())


@pytest.mark.parametrize(
    ("loss", "severity"), [(STILL, Severity.ERROR), (SLOWLY, Severity.WARNING), (HALVED, Severity.NOTE)]
)
def test_large_targets_are_judged_by_the_harm_they_do(loss, severity):
    put = {("target", "target", "example_std"): 1e4}
    (finding,) = findings("badly-scaled-target", toy_run({("target", "target"): 1e4}, put, loss=loss))
    assert (finding.severity, finding.layers) == (severity, ("output",))
    assert bool(finding.explains) == (severity > Severity.NOTE)


def with_second_output(scale, loss, weight=1.0):
    """Outputs ``hidden_2`` with targets of that scale and ``output`` with targets of scale 1."""
    run = toy_run({("target", "target"): scale}, {("target", "target", "example_std"): scale}, loss=loss)
    small = toy_run().values[:, [run.index["target", "target"]]]
    cards = tuple(
        replace(card, is_output=True, activation=run.model.layers[-1].activation) if card.name == "hidden_2" else card
        for card in run.model.layers
    )
    losses = [{"name": "mse", "output": "hidden_2", "weight": weight}, {"name": "mse", "output": "output"}]
    return replace(
        run,
        tensors=(*run.tensors, TensorKey("target", "target_1", "target_1")),
        values=np.concatenate([run.values, small], axis=1),
        model=replace(run.model, layers=cards).with_settings({"losses": losses}),
    )


@pytest.mark.parametrize(("late", "left"), [(100.0, 100.0), (1e9, 1e6)])
def test_a_loss_counts_for_what_a_constant_answer_has_until_all_together_have_less(late, left):
    large, small = Evidence(with_second_output(1e3, np.full(30, late)))["loss_levels"]
    assert (large.name, large.level, large.left) == ("hidden_2", pytest.approx(1e6), pytest.approx(left))
    assert (small.name, small.left) == ("output", small.level)
    assert not Evidence(with_second_output(np.nan, 1.0))["loss_levels"][1:]


def test_who_asks_why_a_loss_is_outweighed_sees_what_each_counts_for():
    seen = inquire(with_second_output(1e3, 1.0), BY_NAME["outweighed-loss"]).exhibits
    levels = [(each.evidence, each.where, each.quantity) for each in seen if each.evidence.startswith("loss_levels")]
    assert levels == [("loss_levels", n, q) for n in ("hidden_2", "output") for q in ("level", "left")]


def test_large_targets_that_drown_another_output_are_an_error_however_far_the_loss_falls():
    falling = np.geomspace(1e7, 1e4, 30)
    (finding,) = findings("badly-scaled-target", with_second_output(1e3, falling))
    assert finding.severity == Severity.ERROR
    assert (
        finding.sentence
        == "the targets of hidden_2 are large (standard deviation 1000), and its loss drowns that of output"
    )


@pytest.mark.parametrize(("loss", "weight"), [(np.geomspace(1e7, 10.0, 30), 1.0), (np.geomspace(1e7, 1e4, 30), 1e-4)])
def test_large_targets_leave_the_other_output_its_share_where_they_are_learnt_or_count_little(loss, weight):
    (finding,) = findings("badly-scaled-target", with_second_output(1e3, loss, weight))
    assert "drowns" not in finding.sentence


@pytest.mark.parametrize(
    ("weight", "idle", "spread", "severities"),
    [
        (1e4, 1e-4, 0.2, [Severity.ERROR]),
        (1e4, 1.0, 0.2, [Severity.ERROR]),
        (300.0, 1.0, 0.2, [Severity.WARNING]),
        (1e4, 1.0, 0.9, []),
        (15.0, 1.0, 0.2, []),
        (15.0, 1e-4, 0.2, []),
    ],
)
def test_a_loss_that_another_one_outweighs(weight, idle, spread, severities):
    run = with_second_output(1.0, weight * np.linspace(2.0, 0.5, 30), weight)
    row = run.index["update", "output/kernel"]
    values = run.values.copy()
    values[:, row] *= idle
    values[:, run.index["activation", "output"], STATISTIC_NAMES.index("example_std")] = spread
    found = findings("outweighed-loss", replace(run, values=values))
    assert [(finding.severity, finding.layers) for finding in found] == [(each, ("output",)) for each in severities]
    assert all(f'"output": {weight:g}, "hidden_2": {weight:g}' in finding.remedies[0].code for finding in found)


def test_a_loss_that_is_a_sum_outweighs_by_no_purpose():
    run = with_second_output(1.0, 300.0 * np.linspace(2.0, 0.5, 30))
    first, second = run.settings["losses"]
    run = replace(run, model=run.model.with_settings({"losses": [{**first, "reduction": "sum"}, second]}))
    values = run.values.copy()
    values[:, run.index["activation", first["output"]], STATISTIC_NAMES.index("count")] = 300 * 16
    values[:, run.index["activation", "output"], STATISTIC_NAMES.index("example_std")] = 0.2
    (finding,) = findings("outweighed-loss", replace(run, values=values))
    assert (finding.severity, finding.layers) == (Severity.ERROR, ("output",))
    assert '"output": 300, "hidden_2": 1' in finding.remedies[0].code


@pytest.mark.parametrize(("spread", "found"), [(1e-8, [("output",)]), (0.5, [])])
def test_one_of_several_outputs_may_be_constant_whatever_the_loss_of_all(spread, found):
    run = with_second_output(1.0, np.geomspace(2.0, 0.01, 30))
    values = run.values.copy()
    values[:, run.index["activation", "output"], STATISTIC_NAMES.index("example_std")] = spread
    assert [f.layers for f in findings("constant-output", replace(run, values=values))] == found


@pytest.mark.parametrize(("name", "severity"), [("mean_squared_error", Severity.WARNING), ("mae", Severity.NOTE)])
def test_of_errors_that_are_not_squared_less_is_half(name, severity):
    shares = {f"quantile_{q:02d}": 100 * (q - 50) / 25 for q in (2, 5, 25, 50, 75, 95, 98)}
    sizes = {**shares, "min": -200, "max": 200, "std": 100.0, "example_std": 100.0}
    put = {("target", "target", statistic): value for statistic, value in sizes.items()}
    level = 1e4 if name == "mean_squared_error" else 100.0
    run = toy_run({("target", "target"): 100.0}, put, loss=level * np.r_[np.ones(3), np.full(27, 0.6)])
    run = replace(run, model=run.model.with_settings({"losses": [{"name": name}]}))
    assert [f.severity for f in findings("badly-scaled-target", run)] == [severity]


def test_a_large_loss_that_was_learnt_leaves_the_other_one_its_share():
    assert not findings("outweighed-loss", with_second_output(1.0, 1e4 * np.geomspace(2.0, 1e-4, 30), 1e4))


@pytest.mark.parametrize(("still", "severity"), [(12, Severity.WARNING), (3, Severity.NOTE)])
def test_large_targets_that_held_the_loss_up_are_a_warning(still, severity):
    put = {("target", "target", "example_std"): 1e4}
    loss = 1e8 * np.r_[np.ones(still), np.full(30 - still, 0.25)]
    (finding,) = findings("badly-scaled-target", toy_run({("target", "target"): 1e4}, put, loss=loss))
    assert finding.severity == severity


@pytest.mark.parametrize(("farthest", "loss", "found"), [(999.0, 3.0, 1), (5.0, 3.0, 0), (999.0, None, 0)])
def test_targets_with_outliers(farthest, loss, found):
    shares = {f"quantile_{q:02d}": (q - 50) / 25 for q in (2, 5, 25, 50, 75, 95, 98)}
    put = {("target", "target", name): value for name, value in {**shares, "min": -2.5, "max": farthest}.items()}
    run = toy_run(put=put, loss=loss)
    assert [finding.variant for finding in findings("badly-scaled-target", run)] == ["outliers"] * found
    robust = run.model.with_settings({"losses": [{"name": "mean_absolute_error"}]})
    assert not findings("badly-scaled-target", replace(run, model=robust))


@pytest.mark.parametrize(
    ("std", "share", "severity"),
    [(100.0, 0.9, Severity.ERROR), (100.0, 0.6, Severity.WARNING), (1e4, 0.6, Severity.ERROR)],
)
def test_large_targets_of_which_little_is_learnt_are_an_error(std, share, severity):
    put = {("target", "target", "example_std"): std}
    loss = std**2 * np.r_[np.linspace(1.2, share, 15), np.full(15, share)]
    (finding,) = findings("badly-scaled-target", toy_run({("target", "target"): std}, put, loss=loss))
    assert finding.severity == severity


@pytest.mark.parametrize(("first", "root"), [(0, "nonfinite-values"), (8, "badly-scaled-target")])
def test_what_breaks_before_any_update_does_not_follow_from_the_targets(first, root):
    put = {("gradient", "hidden_1/kernel", "nan_count"): [0] * first + [1] * (30 - first)}
    run = toy_run({("target", "target"): 1e4}, put, loss=STILL)
    rules = [BY_NAME["badly-scaled-target"], BY_NAME["nonfinite-values"]]
    assert diagnose(run, rules).causes[0].root.rule == root


def test_class_numbers_are_no_scale():
    run = toy_run({("target", "target"): 1e4}, loss=STILL)
    losses = [{"name": "sparse_categorical_crossentropy", "from_logits": True, "output": "output"}]
    assert not findings("badly-scaled-target", replace(run, model=run.model.with_settings({"losses": losses})))


def with_recurrent_kernel(rms, kind="LSTM", loss=1.0):
    run = toy_run(loss=loss)
    values = np.full((len(run.steps), 1, len(STATISTIC_NAMES)), np.nan, np.float32)
    for name, number in {"rms": rms, "norm": 16 * rms, "count": 256, "std": rms, "mean": 0.0}.items():
        values[:, 0, STATISTIC_NAMES.index(name)] = number
    name = "hidden_1/recurrent_kernel"
    card = VariableCard(name, "hidden_1", "recurrent_kernel", (16, 16))
    cards = tuple(replace(card, kind=kind) if card.name == "hidden_1" else card for card in run.model.layers)
    return replace(
        run,
        tensors=(*run.tensors, TensorKey("weight", name, "hidden_1")),
        values=np.concatenate([run.values, values], axis=1),
        model=replace(run.model, layers=cards, variables=(*run.model.variables, card)),
    )


@pytest.mark.parametrize(("gain", "found"), [(1.0, 0), (0.05, 0), (4.0, 1)])
def test_recurrent_weights_behind_gates_are_judged_for_being_too_large_only(gain, found):
    run = with_recurrent_kernel(gain / 4)  # √16 units
    mine = [f for f in findings("gain-mismatch", run) if "hidden_1" in f.layers]
    assert len(mine) == found
    for finding in mine:
        assert f"hidden_1: gain {gain:.2g} per step of the sequence" in finding.sentence
        assert 'recurrent_initializer="orthogonal"' in finding.remedies[0].code


@pytest.mark.parametrize(("activation", "found"), [("relu", 1), (None, 0)])
def test_a_state_that_nothing_bounds_explodes_sooner(activation, found):
    run = with_recurrent_kernel(2.0 / 4, "SimpleRNN")
    given = {"activation": activation} if activation else {}
    cards = tuple(replace(c, arguments=given) if c.name == "hidden_1" else c for c in run.model.layers)
    run = replace(run, model=replace(run.model, layers=cards))
    assert len([f for f in findings("gain-mismatch", run) if "sequence" in f.sentence]) == found


@pytest.mark.parametrize(("loss", "severity"), [(1.0, Severity.ERROR), (None, Severity.WARNING)])
def test_a_model_without_a_trainable_variable_is_found(loss, severity):
    run = toy_run(loss=loss, frozen=("hidden_1", "hidden_2", "output"))
    (finding,) = findings("unchanged-weights", run)
    assert (finding.variant, finding.severity) == ("all-frozen", severity)
    assert "output" in finding.remedies[0].title


def test_a_start_far_above_a_constant_answer_is_not_what_a_fall_is_measured_from():
    trend = Evidence(toy_run(loss=np.concatenate([np.full(10, 500.0), np.full(20, 0.6)])))["loss_trend"]
    assert trend.constant == pytest.approx(1.0, rel=0.3)
    assert (trend.fallen, trend.falling) == (False, False)


@pytest.mark.parametrize(("loss", "severity"), [(1.0, Severity.ERROR), (None, Severity.WARNING)])
def test_new_layers_that_no_optimizer_is_handed_are_found(loss, severity):
    (finding,) = findings("omitted-variable", toy_run(omitted=("hidden_1", "hidden_2"), loss=loss))
    assert (finding.severity, finding.layers) == (severity, ("hidden_1", "hidden_2"))


@pytest.mark.parametrize(("loss", "severity"), [(1.0, Severity.WARNING), (None, Severity.NOTE)])
def test_trained_layers_that_are_left_out_are_noted_and_more_where_little_is_learnt(loss, severity):
    run = toy_run(omitted=("hidden_1",), loss=loss)
    row = run.index["weight", "hidden_1/bias"]
    run.values[:, row, STATISTIC_NAMES.index("rms")] = 0.1
    (finding,) = findings("omitted-variable", run)
    assert finding.severity == severity


@pytest.mark.parametrize(("loss", "severity"), [(1.0, Severity.ERROR), (None, Severity.WARNING)])
@pytest.mark.parametrize("bias", [0.0, 0.1], ids=["new", "trained before"])
def test_what_became_trainable_since_compile_is_to_be_compiled_again(loss, severity, bias):
    settings = {"trainable_since_compile": ["hidden_1/bias", "hidden_1/kernel"]}
    run = toy_run(omitted=("hidden_1",), loss=loss, settings=settings)
    run.values[:, run.index["weight", "hidden_1/bias"], STATISTIC_NAMES.index("rms")] = bias
    (finding,) = findings("omitted-variable", run)
    assert (finding.severity, finding.layers) == (severity, ("hidden_1",))
    assert "trainable since compile()" in finding.sentence
    assert [remedy.code.startswith("model.compile(") for remedy in finding.remedies] == [True]


def test_what_was_forgotten_all_along_is_named_beside_what_became_trainable_since():
    settings = {"trainable_since_compile": ["hidden_1/bias", "hidden_1/kernel"]}
    found = findings("omitted-variable", toy_run(omitted=("hidden_1", "hidden_2"), loss=1.0, settings=settings))
    assert {f.layers: "since compile()" in f.sentence for f in found} == {("hidden_1",): True, ("hidden_2",): False}


@pytest.mark.parametrize(("loss", "severity"), [(1.0, [3]), (np.linspace(1.0, 0.6, 30), [2]), (None, [])])
def test_what_is_frozen_before_it_was_trained_is_found_where_random_features_are_not_enough(loss, severity):
    never = {("weight", "hidden_1/bias", "rms"): 0.0}
    found = findings("omitted-variable", toy_run(put=never, frozen=("hidden_1",), loss=loss))
    assert [finding.severity for finding in found] == severity
    assert all((f.pathology, f.layers) == ("omitted-variable:frozen", ("hidden_1",)) for f in found)


def test_what_was_trained_at_first_and_frozen_then_is_no_finding():
    assert not findings("omitted-variable", toy_run(frozen=("hidden_1",), loss=1.0))


def test_a_layer_that_another_sampled_step_trains_is_not_left_out():
    run = toy_run()
    variables = tuple(replace(v, optimized=v.layer != "hidden_1") for v in run.model.variables)
    assert not findings("omitted-variable", replace(run, model=replace(run.model, variables=variables)))


@pytest.mark.parametrize(("share", "loss", "severity"), [(0.01, 1.0, 3), (0.01, None, 1), (0.5, 1.0, None)])
def test_shrunken_weights_matter_where_the_loss_stands_still(share, loss, severity):
    scale = {("weight", f"{name}/kernel"): np.geomspace(1.0, share, 30) for name in ("hidden_1", "hidden_2", "output")}
    assert [int(f.severity) for f in findings("shrunken-weights", toy_run(scale, loss=loss))] == (
        [severity] if severity else []
    )


@pytest.mark.parametrize(("share", "found"), [(1e-6, 1), (1e-2, 0)])
def test_one_kernel_that_is_all_but_gone_is_enough(share, found):
    run = toy_run({("weight", "hidden_1/kernel"): np.geomspace(1, share, 30)}, loss=1.0)
    assert [f.layers for f in findings("shrunken-weights", run)] == [("hidden_1",)] * found


def test_under_a_penalty_one_kernel_that_shrinks_is_enough_where_the_loss_stands_still():
    run = toy_run({("weight", "hidden_1/kernel"): np.geomspace(1, 1e-2, 30)}, loss=1.0)
    run = replace(run, model=run.model.with_settings({"loss_additions": ["penalties"]}))
    assert [f.layers for f in findings("shrunken-weights", run)] == [("hidden_1",)]


@pytest.mark.parametrize(
    ("constraint", "left", "loss", "found"),
    [("MaxNorm", 0.3, 0.9, 1), (None, 0.3, 0.9, 0), ("MaxNorm", 0.8, 0.9, 0), ("MaxNorm", 0.3, None, 0)],
)
def test_a_constraint_that_holds_weights_small(constraint, left, loss, found):
    run = toy_run({("weight", "hidden_1/kernel"): np.r_[1.0, np.full(29, left)]}, loss=loss)
    cards = [replace(card, constraint=constraint) for card in run.model.variables]
    run = replace(run, model=replace(run.model, variables=tuple(cards)))
    mine = findings("shrunken-weights", run)
    assert [(each.variant, each.layers, each.severity) for each in mine] == [
        ("constrained", ("hidden_1",), Severity.ERROR)
    ] * found
    assert all("kernel_constraint" in each.remedies[0].code for each in mine)


@pytest.mark.parametrize(
    ("decay", "rate", "loss", "found"),
    [
        (10.0, 5e-3, 1.0, [Severity.ERROR]),
        (10.0, 5e-3, np.linspace(1.0, 0.3, 30), [Severity.WARNING]),
        (10.0, 5e-3, None, []),
        (0.1, 0.5, 1.0, []),
        (10.0, 1e-4, 1.0, []),
    ],
)
def test_a_decay_that_takes_more_than_steps_give_back(decay, rate, loss, found):
    settings = {"optimizer": {"name": "AdamW", "weight_decay": decay}}
    run = toy_run(loss=loss, settings=settings, step={"learning_rate": rate})
    mine = findings("shrunken-weights", run)
    assert [f.severity for f in mine] == found
    assert all("optimizer.weight_decay" in f.remedies[0].code for f in mine)


@pytest.mark.parametrize(("greatest", "found"), [(0.05, ["frozen"]), (0.4, [])])
def test_a_frozen_embedding_is_new_where_its_numbers_are_as_keras_draws_them(greatest, found):
    rms = 0.05 / np.sqrt(3)
    sizes = {"rms": rms, "min": -greatest, "max": greatest}
    run = toy_run(put={("weight", "hidden_1/kernel", name): number for name, number in sizes.items()}, loss=1.0)
    cards = [card for card in run.model.variables if card.name != "hidden_1/bias"]
    cards = [
        replace(card, role="embeddings", initializer="RandomUniform", trainable=False)
        if card.layer == "hidden_1"
        else card
        for card in cards
    ]
    layers = (replace(run.model.layers[0], kind="Embedding", trainable=False), *run.model.layers[1:])
    run = replace(run, model=replace(run.model, layers=layers, variables=tuple(cards)))
    mine = findings("omitted-variable", run)
    assert [finding.variant for finding in mine] == found
    assert all("numbers are still as they were drawn" in finding.sentence for finding in mine)


@pytest.mark.parametrize(
    ("decay", "shrunk", "late", "found"),
    [(5.0, 0.4, 0.6, 1), (5.0, 0.9, 0.6, 0), (5.0, 0.4, 0.1, 0), (2.0, 0.4, 0.6, 0)],
)
def test_a_decay_that_takes_more_than_the_weights_over_the_run_wears_them_down(decay, shrunk, late, found):
    left = np.geomspace(1, shrunk, 30)
    scale = {("weight", f"{name}/kernel"): left for name in ("hidden_1", "hidden_2", "output")}
    settings = {"optimizer": {"name": "AdamW", "weight_decay": decay}}
    loss = np.r_[np.linspace(1, late, 10), np.full(20, late)]
    run = toy_run(scale, loss=loss, settings=settings, step={"learning_rate": 1e-3})
    mine = [f for f in findings("shrunken-weights", run) if f.variant == "decay"]
    assert [f.severity for f in mine] == [Severity.ERROR] * found


@pytest.mark.parametrize(
    ("gain", "loss", "found"),
    [
        (0.3, np.r_[np.ones(20), np.full(10, 0.85)], 1),
        (0.5, np.r_[np.ones(20), np.full(10, 0.85)], 0),
        (0.3, np.r_[np.ones(4), np.full(26, 0.85)], 0),
    ],
)
def test_a_state_that_forgets_at_once_counts_where_the_loss_stood_still_for_long(gain, loss, found):
    run = with_recurrent_kernel(gain / 4, "SimpleRNN", loss)
    mine = [f for f in findings("gain-mismatch", run) if "sequence" in f.sentence]
    assert [(f.variant, f.layers) for f in mine] == [("too-small", ("hidden_1",))] * found


@pytest.mark.parametrize(("kind", "loss", "found"), [("SimpleRNN", 1.0, 1), ("LSTM", 1.0, 0), ("SimpleRNN", None, 0)])
def test_a_state_without_gates_fades_under_small_weights(kind, loss, found):
    run = with_recurrent_kernel(0.3 / 4, kind, loss)
    mine = [f for f in findings("gain-mismatch", run) if f.layers == ("hidden_1",) and "sequence" in f.sentence]
    assert [f.variant for f in mine] == ["too-small"] * found
    assert all([r.topic for r in f.remedies] == ["recurrent-weights"] for f in mine)


@pytest.mark.parametrize(
    ("within", "size", "found"), [(0.1, 32, 1), (0.1, None, 1), (0.0, 32, 1), (0.0, None, 0), (0.1, 4, 0), (3.0, 32, 0)]
)
def test_sorted_data_shows_in_the_targets_of_the_batches(within, size, found):
    put = {("target", "target", "mean"): np.arange(30) // 10, ("target", "target", "example_std"): within}
    run = toy_run(put=put, loss=1.0, step={"example_count": size} if size else None)
    assert len(findings("unshuffled-batches", run)) == found


def test_sorted_data_under_which_it_learns_is_a_note():
    stretch = np.arange(30) // 10
    put = {("target", "target", "mean"): stretch, ("target", "target", "rms"): np.hypot(stretch, 0.1)}
    put |= {("target", "target", "example_std"): 0.1}
    (finding,) = findings("unshuffled-batches", toy_run(put=put))
    assert finding.severity == Severity.NOTE


@pytest.mark.parametrize(("low", "severity"), [(0.3, Severity.ERROR), (0.01, Severity.WARNING)])
def test_batches_of_one_class_are_an_error_until_the_loss_is_next_to_nothing(low, severity):
    put = {("target", "target", "mean"): np.arange(30) // 10, ("target", "target", "example_std"): 0.1}
    settings = {"losses": [{"name": "sparse_categorical_crossentropy", "from_logits": True, "output": None}]}
    (finding,) = findings("unshuffled-batches", toy_run(put=put, loss=np.geomspace(1, low, 30), settings=settings))
    assert finding.severity == severity


def test_rare_classes_make_most_batches_alike_by_chance():
    within = np.where(np.arange(30) % 4, 0.0, 0.25)  # three in four batches of 16 hold none of the rare class
    put = {("target", "target", "mean"): within**2, ("target", "target", "example_std"): within}
    assert not findings("unshuffled-batches", toy_run(put=put, loss=1.0, step={"example_count": 16}))
