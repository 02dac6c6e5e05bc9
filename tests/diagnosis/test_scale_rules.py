"""What the rules on scale say: of the input, and of units that stay linear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.model_card import ActivationCard, LayerCard

BY_NAME = {rule.name: rule for rule in all_rules()}
SLOWLY = tuple(np.linspace(1.0, 0.7, 30))  # neither at rest nor fallen


def findings(name, run):
    return list(diagnose(run, [BY_NAME[name]]).findings())


def with_first(run, kind, **card):
    """The same run with a layer of that kind in front."""
    first = LayerCard("first", kind, depth=0, inbound=("input",), **card)
    rest = [replace(layer, depth=layer.depth + 1) for layer in run.model.layers]
    rest[0] = replace(rest[0], inbound=("first",))
    return replace(run, model=replace(run.model, layers=(first, *rest)))


class TestBadlyScaledInput:
    PIXELS = {("input", "input"): 120.0}  # noqa: RUF012
    MIDDLING = np.linspace(1.0, 0.7, 30)

    @pytest.mark.parametrize(
        ("loss", "scale", "severity"),
        [
            (1.0, 50.0, Severity.ERROR),
            (MIDDLING, 120.0, Severity.ERROR),
            (MIDDLING, 50.0, Severity.WARNING),
            (None, 120.0, Severity.NOTE),
        ],
    )
    def test_severity_follows_the_harm(self, loss, scale, severity):
        (finding,) = findings("badly-scaled-input", toy_run({("input", "input"): scale}, loss=loss))
        assert (finding.severity, finding.variant, finding.layers) == (severity, "too-large", ("hidden_1",))

    @pytest.mark.parametrize(
        ("late", "scale", "severity"),
        [(0.45, 120.0, Severity.ERROR), (0.35, 120.0, Severity.NOTE), (0.45, 50.0, Severity.NOTE)],
    )
    def test_an_extreme_scale_is_an_error_while_much_of_the_loss_is_left_though_it_falls(self, late, scale, severity):
        run = toy_run({("input", "input"): scale}, loss=np.r_[np.linspace(1.0, late, 10), np.full(20, late)])
        assert [finding.severity for finding in findings("badly-scaled-input", run)] == [severity]

    @pytest.mark.parametrize(
        ("start", "late", "severity"),
        [(50.0, 0.6, Severity.WARNING), (2.0, 0.6, Severity.ERROR), (50.0, 1.0, Severity.ERROR)],
    )
    def test_where_the_loss_came_down_from_far_above_the_noise_may_allow_no_less(self, start, late, severity):
        run = toy_run({("input", "input"): 120.0}, loss=np.r_[np.geomspace(start, late, 10), np.full(20, late)])
        assert [finding.severity for finding in findings("badly-scaled-input", run)] == [severity]

    @pytest.mark.parametrize(
        ("number", "spread", "said"),
        [
            (7.0, 0.0, ["is the same for all examples"]),
            (5000.0, 0.0, ["is the same for all examples"]),
            (0.0, 0.0, ["is nothing but zeros"]),
            (7.0, 3.0, []),
        ],
    )
    @pytest.mark.parametrize("examples", [32, 1])
    def test_numbers_of_words_that_are_all_one_ask_for_a_look_at_them(self, number, spread, said, examples):
        put = {("input", "input", name): number for name in ("mean", "rms", "min", "max")}
        put |= {("input", "input", "example_std"): spread, ("input", "input", "zero_fraction"): float(number == 0)}
        run = with_first(toy_run(put=put, loss=1.0, step={"example_count": examples}), "Embedding")
        found = findings("badly-scaled-input", run)
        told = said if examples > 1 else []
        assert [finding.sentence for finding in found] == [
            f"the input {what} and reaches first as it is" for what in told
        ]
        assert all(finding.severity == Severity.ERROR for finding in found)
        assert all(finding.remedies[0].topic == "input-values" for finding in found)

    def test_numbers_that_are_all_one_in_each_batch_but_another_in_the_next_are_none(self):
        put = {("input", "input", "mean"): np.arange(1.0, 31.0), ("input", "input", "example_std"): 0.0}
        run = with_first(toy_run(put=put, loss=1.0, step={"example_count": 32}), "Embedding")
        assert not findings("badly-scaled-input", run)

    def test_an_input_of_nothing_but_zeros_is_found(self):
        put = {("input", "input", "zero_fraction"): 1.0, ("input", "input", "rms"): 0.0}
        (finding,) = findings("badly-scaled-input", toy_run(put=put, loss=1.0))
        assert "nothing but zeros" in finding.sentence

    def test_values_that_stop_being_finite_are_harm(self):
        put = {("gradient", "hidden_1/kernel", "nan_count"): [0] * 8 + [1] * 22}
        diagnosis = diagnose(toy_run(self.PIXELS, put))
        assert diagnosis.causes[0].root.rule == "badly-scaled-input"
        assert "nonfinite-values" in {f.rule for f in diagnosis.causes[0].consequences}

    def test_a_saturated_first_layer_is_harm(self):
        put = {("activation", "hidden_1", "saturation_fraction"): 0.97}
        run = toy_run(self.PIXELS, put, activation="tanh", loss=self.MIDDLING)
        (finding,) = findings("badly-scaled-input", run)
        assert finding.severity == Severity.ERROR

    @pytest.mark.parametrize(
        ("farthest", "loss", "found"), [(400.0, 1.0, ["outliers"]), (20.0, 1.0, []), (400.0, None, [])]
    )
    def test_single_entries_far_outside_of_all_others(self, farthest, loss, found):
        shares = {f"quantile_{q:02d}": (q - 50) / 25 for q in (2, 5, 25, 50, 75, 95, 98)}
        put = {("input", "input", name): value for name, value in {**shares, "min": -2.5, "max": farthest}.items()}
        assert [finding.variant for finding in findings("badly-scaled-input", toy_run(put=put, loss=loss))] == found

    def test_a_tiny_input_is_found(self):
        (finding,) = findings("badly-scaled-input", toy_run({("input", "input"): 1e-4}, loss=1.0))
        assert (finding.variant, finding.severity) == ("too-small", Severity.ERROR)

    def test_a_small_variation_about_a_large_mean_is_found(self):
        put = {("input", "input", "mean"): 5.0, ("input", "input", "rms"): 5.0, ("input", "input", "example_std"): 0.1}
        (finding,) = findings("badly-scaled-input", toy_run(put=put, loss=1.0))
        assert finding.variant == "offset"
        assert "(they share 50 times what they differ by)" in finding.sentence

    @pytest.mark.parametrize(
        ("std", "late", "severity"),
        [(0.5, 0.85, Severity.ERROR), (0.5, 0.6, Severity.WARNING), (0.1, 0.6, Severity.ERROR)],
    )
    def test_an_offset_that_leaves_little_learnt_is_an_error(self, std, late, severity):
        put = {("input", "input", "mean"): 5.0, ("input", "input", "rms"): 5.0, ("input", "input", "example_std"): std}
        run = toy_run(put=put, loss=np.r_[np.linspace(1.0, late, 10), np.full(20, late)])
        assert [finding.severity for finding in findings("badly-scaled-input", run)] == [severity]

    def test_examples_that_point_the_same_way_are_found_whatever_the_mean_of_the_columns(self):
        put = {("input", "input", "mean"): 0.0, ("input", "input", "example_std"): 0.1}
        (finding,) = findings("badly-scaled-input", toy_run({("input", "input"): 1.0}, put, loss=1.0))
        assert (finding.variant, finding.severity) == ("offset", Severity.ERROR)
        assert not findings("badly-scaled-input", toy_run(put=put | {("input", "input", "example_std"): 0.3}, loss=1.0))

    UNEVEN = {("input", "input", "leading_unit_ratio"): 300.0, ("input", "input", "leading_unit"): 3}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("loss", "severity"), [(1.0, Severity.ERROR), (MIDDLING, Severity.ERROR), (None, Severity.NOTE)]
    )
    def test_a_column_that_drowns_the_others_is_found(self, loss, severity):
        (finding,) = findings("badly-scaled-input", toy_run(put=self.UNEVEN, loss=loss))
        assert (finding.variant, finding.severity) == ("uneven", severity)
        assert "column 3 varies 300 times as much as the median one" in finding.sentence
        assert "column 3" in finding.remedies[0].reason

    def test_columns_barely_uneven_are_no_error_while_something_is_learnt(self):
        put = self.UNEVEN | {("input", "input", "leading_unit_ratio"): 50.0}
        (finding,) = findings("badly-scaled-input", toy_run(put=put, loss=self.MIDDLING))
        assert finding.severity == Severity.WARNING
        assert not findings("badly-scaled-input", toy_run(put=put | {("input", "input", "leading_unit_ratio"): 20.0}))

    def test_columns_of_rare_marks_are_no_finding(self):
        put = self.UNEVEN | {("input", "input", "zero_fraction"): 0.9}
        assert not findings("badly-scaled-input", toy_run(put=put, loss=1.0))

    @pytest.mark.parametrize(("scale", "found", "severity"), [(11.0, 0, Severity.WARNING), (120.0, 1, Severity.ERROR)])
    def test_an_input_barely_beyond_its_limit_makes_no_run_explode(self, scale, found, severity):
        put = {("gradient", "hidden_1/kernel", "nan_count"): [0] * 8 + [1] * 22}
        rules = [BY_NAME["badly-scaled-input"], BY_NAME["nonfinite-values"]]
        causes = diagnose(toy_run({("input", "input"): scale}, put), rules).causes
        (mine,) = (cause for cause in causes if cause.root.rule == "badly-scaled-input")
        assert mine.severity == severity
        assert [finding.rule for finding in mine.consequences] == ["nonfinite-values"] * found

    def test_single_huge_entries_make_a_run_explode(self):
        put = {("gradient", "hidden_1/kernel", "nan_count"): [0] * 8 + [1] * 22, ("input", "input", "max"): 150.0}
        (finding,) = findings("badly-scaled-input", toy_run({("input", "input"): 11.0}, put))
        assert finding.severity == Severity.ERROR
        assert "nonfinite-values" in finding.explains

    def test_next_to_nothing_learnt_from_a_large_input_is_an_error(self):
        run = toy_run({("input", "input"): 50.0}, loss=np.r_[np.linspace(1.0, 0.85, 10), np.full(20, 0.85)])
        assert [finding.severity for finding in findings("badly-scaled-input", run)] == [Severity.ERROR]

    def test_a_sparse_input_counts_by_what_is_not_zero(self):
        put = {("input", "input", "rms"): 3e-3, ("input", "input", "zero_fraction"): 1 - 1e-5}
        assert not findings("badly-scaled-input", toy_run(put=put, loss=1.0))

    @pytest.mark.parametrize("kind", ["Normalization", "Rescaling", "Embedding", "BatchNormalization", "Lambda"])
    def test_what_goes_through_such_a_layer_has_no_scale(self, kind):
        assert not findings("badly-scaled-input", with_first(toy_run(self.PIXELS, loss=1.0), kind))

    def test_reshaping_keeps_the_scale(self):
        (finding,) = findings("badly-scaled-input", with_first(toy_run(self.PIXELS, loss=1.0), "Flatten"))
        assert finding.layers == ("hidden_1",)

    def test_an_operation_that_is_no_layer_may_have_scaled_it(self):
        run = toy_run(self.PIXELS, loss=1.0)
        layers = (replace(run.model.layers[0], inbound=None), *run.model.layers[1:])
        assert not findings("badly-scaled-input", replace(run, model=replace(run.model, layers=layers)))

    def test_a_normalisation_behind_the_first_layer_forgives(self):
        assert not findings("badly-scaled-input", toy_run(self.PIXELS, hidden=1, batch_norm=True, loss=1.0))

    def test_an_input_barely_too_large_is_a_warning_at_most(self):
        (finding,) = findings("badly-scaled-input", toy_run({("input", "input"): 11.0}, loss=1.0))
        assert finding.severity == Severity.WARNING

    def test_an_input_that_is_the_same_for_all_examples_is_found(self):
        put = {("input", "input", "mean"): 0.5, ("input", "input", "example_std"): 0.0}
        (finding,) = findings("badly-scaled-input", toy_run(put=put, loss=1.0, step={"example_count": 32}))
        assert finding.sentence == "the input is the same for all examples and reaches hidden_1 as it is"
        assert not findings("badly-scaled-input", toy_run(put=put, loss=1.0, step={"example_count": 1}))

    @pytest.mark.parametrize(
        ("scale", "text", "steps"),
        [
            ([1.0] * 20 + [255.0] * 10, "is large (rms 260 from step 200 on, 1 before)", (200, 290)),
            ([1.0] * 27 + [255.0] * 3, "is large (rms 260 from step 270 on, 1 before)", (270, 290)),
            ([255.0] * 12 + [1.0] * 18, "is large (rms 260 up to step 110, 1 after it)", (0, 110)),
            ([1.0] * 15 + [1e-3] * 15, "is tiny (rms 0.001 from step 150 on, 1 before)", (150, 290)),
            ([50.0] * 10 + [5000.0] * 20, "is large (rms 5000 from step 100 on, 50 before)", (100, 290)),
        ],
    )
    def test_a_scale_that_jumps_is_bad_where_it_is(self, scale, text, steps):
        (finding,) = findings("badly-scaled-input", toy_run({("input", "input"): scale}, loss=1.0))
        assert text in finding.sentence
        assert (finding.first_step, finding.last_step) == steps
        assert finding.remedies[0].title == "Scale all of the data alike"

    def test_what_breaks_where_the_scale_jumps_follows_from_it(self):
        scale = {("input", "input"): [1.0] * 20 + [255.0] * 10}
        dead = {("activation", "hidden_1", "dead_unit_fraction"): [0.0] * 20 + [1.0] * 10}
        rules = [BY_NAME["badly-scaled-input"], BY_NAME["dead-units"]]
        (cause,) = diagnose(toy_run(scale, dead, loss=[0.1] * 20 + [1.0] * 10), rules).causes
        assert cause.root.rule == "badly-scaled-input"
        assert [found.rule for found in cause.consequences] == ["dead-units"]

    @pytest.mark.parametrize("scale", [[1.0, 30.0] * 15, [1.0] * 10 + [500.0] + [1.0] * 19, np.geomspace(0.5, 5.0, 30)])
    def test_batches_that_differ_and_moderate_change_are_none(self, scale):
        run = toy_run({("input", "input"): scale}, loss=1.0)
        assert not [found for found in findings("badly-scaled-input", run) if "step" in found.sentence]


class TestLinearUnits:
    SMALL = {("preactivation", f"hidden_{i}", f"quantile_{q}"): 0.05 for i in (1, 2) for q in ("02", "98")}  # noqa: RUF012

    @pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
    def test_small_preactivations_beside_a_loss_at_rest_are_an_error(self, activation):
        (finding,) = findings("linear-units", toy_run(put=self.SMALL, activation=activation, loss=1.0))
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("hidden_1", "hidden_2"))

    def test_a_task_that_asks_for_no_more_is_a_note(self):
        (finding,) = findings("linear-units", toy_run(put=self.SMALL, activation="tanh"))
        assert finding.severity == Severity.NOTE

    def test_one_layer_that_bends_suffices(self):
        put = {key: 0.05 for key in self.SMALL if key[1] == "hidden_1"}
        assert not findings("linear-units", toy_run(put=put, activation="tanh", loss=1.0))

    def test_linear_at_first_only_is_none(self):
        put = {key: np.linspace(0.01, 2.0, 30) for key in self.SMALL}
        assert not findings("linear-units", toy_run(put=put, activation="tanh", loss=1.0))

    def test_relus_that_are_never_off_are_linear(self):
        put = {("activation", f"hidden_{i}", "zero_fraction"): 0.0 for i in (1, 2)}
        (finding,) = findings("linear-units", toy_run(put=put, loss=1.0))
        assert finding.sentence == "hidden_1 and hidden_2 work as linear layers (no entry is ever off)"

    SIDES = {  # noqa: RUF012  a quarter of the units is off for all examples, the others are on
        ("activation", f"hidden_{i}", name): 0.25 for i in (1, 2) for name in ("zero_fraction", "dead_unit_fraction")
    }

    @pytest.mark.parametrize(
        ("change", "loss", "severities"),
        [
            ({}, SLOWLY, [Severity.ERROR]),
            ({}, 1.0, []),
            ({"zero_fraction": 0.5}, SLOWLY, []),
            ({"zero_fraction": 0.6, "dead_unit_fraction": 0.6}, SLOWLY, []),
            ({}, np.linspace(9.0, 3.0, 30), []),
            ({}, None, []),
        ],
        ids=["sick", "at rest", "switching", "dead", "far above", "falling"],
    )
    def test_relus_each_on_for_all_examples_or_off_for_all_are_linear(self, change, loss, severities):
        put = self.SIDES | {("activation", "hidden_2", name): number for name, number in change.items()}
        found = findings("linear-units", toy_run(put=put, loss=loss))
        assert [finding.severity for finding in found] == severities
        said = "hidden_1 and hidden_2 work as linear layers (of units that are not dead 0 % of the entries are off)"
        assert all(finding.sentence == said for finding in found)

    def test_in_the_first_steps_they_may_be(self):
        assert not findings("linear-units", toy_run(put=self.SIDES, loss=SLOWLY, steps=range(0, 90, 3)))

    def test_gelu_bends_near_zero(self):
        run = toy_run(put=self.SMALL, activation="tanh", loss=1.0)
        gelu = tuple(
            replace(card, activation=ActivationCard("gelu", "half_saturating")) if not card.is_output else card
            for card in run.model.layers
        )
        assert not findings("linear-units", replace(run, model=replace(run.model, layers=gelu)))

    def test_a_network_without_nonlinear_layers_is_meant_so(self):
        assert not findings("linear-units", toy_run(put=self.SMALL, activation="linear"))


@pytest.mark.parametrize(("factor", "below"), [(0.3, True), (4.0, False)])
def test_gains_that_are_off_together_are_each_held_against_a_limit_that_they_miss(factor, below):
    off = {("weight", f"hidden_{i}/kernel"): factor for i in range(1, 7)}
    (finding,) = findings("gain-mismatch", toy_run(off, hidden=6, loss=1.0))
    assert len(finding.measurements) >= 6
    assert all((m.value < m.limit) == below for m in finding.measurements)
