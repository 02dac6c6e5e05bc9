"""What single rules say of hand-made runs, beyond the contract that all share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.model_card import ActivationCard, LayerCard, ModelCard

BY_NAME = {rule.name: rule for rule in all_rules()}
SAMPLES = 30
SLOWLY = tuple(np.linspace(1.0, 0.7, SAMPLES))  # neither at rest nor fallen


def findings(name, run):
    return list(diagnose(run, [BY_NAME[name]]).findings())


def reason(name, run):
    (verdict,) = diagnose(run, [BY_NAME[name]]).verdicts
    return verdict.reason


def from_sample(index, before, after):
    return [before] * index + [after] * (SAMPLES - index)


class TestNonfiniteValues:
    def test_the_first_layer_in_forward_order_is_named(self):
        put = {("activation", name, "nan_count"): from_sample(12, 0, 5) for name in ("hidden_2", "output")}
        put |= {("gradient", f"{name}/kernel", "nan_count"): from_sample(12, 0, 5) for name in ("hidden_1", "hidden_2")}
        (finding,) = findings("nonfinite-values", toy_run(put=put))
        assert (finding.layers, finding.first_step, finding.variant) == (("hidden_2",), 120, "forward")
        assert finding.last_step == 290

    @pytest.mark.parametrize(("update", "remedy"), [(1.0, "Guard"), (2000.0, "Clip")])
    def test_weights_that_break_out_of_the_calm_point_at_an_operation(self, update, remedy):
        put = {("weight", "hidden_1/kernel", "nan_count"): from_sample(12, 0, 256)}
        losses = {"losses": [{"name": "mean_squared_error", "from_logits": None, "output": "output"}]}
        run = toy_run({("update", "hidden_1/kernel"): update}, put, settings=losses)
        (finding,) = findings("nonfinite-values", run)
        assert finding.remedies[0].title.startswith(remedy)
        assert ("without a large step" in finding.sentence) == (remedy == "Guard")

    @pytest.mark.parametrize(("policy", "named"), [("mixed_float16", True), ("float32", False)])
    def test_an_input_that_float16_cannot_hold_is_named(self, policy, named):
        put = {("preactivation", "hidden_1", "inf_count"): from_sample(2, 0, 9), ("input", "input", "max"): 89080.0}
        (finding,) = findings("nonfinite-values", toy_run(put=put, settings={"dtype_policy": policy}))
        assert ("89,080" in finding.sentence) == named
        assert (finding.remedies[0].topic == "input-scale") == named

    @pytest.mark.parametrize(("sample", "clipped"), [(0, False), (12, True)])
    def test_before_the_first_update_clipping_would_not_have_helped(self, sample, clipped):
        put = {("activation", "hidden_2", "nan_count"): from_sample(sample, 0, 5)}
        (finding,) = findings("nonfinite-values", toy_run(put=put))
        assert any(remedy.title.startswith("Clip") for remedy in finding.remedies) == clipped

    def test_a_layer_without_weights_comes_before_the_next_ones_preactivation(self):
        put = {("activation", "hidden_1", "nan_count"): 3, ("preactivation", "hidden_2", "nan_count"): 9}
        (finding,) = findings("nonfinite-values", toy_run(put=put))
        assert finding.layers == ("hidden_1",)
        assert "hidden_1" in finding.remedies[0].title

    @pytest.mark.parametrize("earlier", [False, True], ids=["at once", "masked before"])
    def test_targets_that_are_not_finite_are_named_unless_they_broke_nothing_before(self, earlier):
        put = {("target", "target", "nan_count"): from_sample(0 if earlier else 12, 0, 1)}
        put |= {("activation_gradient", "output", "nan_count"): from_sample(12, 0, 5)}
        (finding,) = findings("nonfinite-values", toy_run(put=put, loss=from_sample(12, 1.0, np.nan)))
        assert (finding.variant, finding.first_step) == ("loss" if earlier else "target", 120)
        assert ("targets" in finding.remedies[0].title) != earlier

    def test_a_loss_that_was_never_finite_is_where_it_began(self):
        put = {("activation_gradient", "output", "nan_count"): 5}
        losses = {"losses": [{"name": "rmsle", "from_logits": None, "output": "output"}]}
        (finding,) = findings("nonfinite-values", toy_run(put=put, loss=np.nan, settings=losses))
        assert (finding.variant, finding.first_step) == ("loss", 0)
        assert [remedy.topic for remedy in finding.remedies] == ["guards"]

    def test_running_statistics_are_written_after_what_they_are_of(self):
        put = {("weight", "norm/moving_mean", "nan_count"): 16, ("preactivation", "hidden_2", "nan_count"): 9}
        (finding,) = findings("nonfinite-values", toy_run(put=put, batch_norm=True))
        assert (finding.layers, finding.variant) == (("hidden_2",), "forward")

    def test_the_backward_pass_meets_the_last_layer_first(self):
        put = {("activation_gradient", name, "inf_count"): 1 for name in ("hidden_1", "hidden_2")}
        (finding,) = findings("nonfinite-values", toy_run(put=put))
        assert (finding.layers, finding.variant) == (("hidden_2",), "backward")
        assert "infinite" in finding.sentence

    @pytest.mark.parametrize(("loss", "word"), [("binary_crossentropy", "logits"), ("mean_squared_error", "roots")])
    def test_an_infinite_loss_is_found(self, loss, word):
        losses = [{"name": loss, "from_logits": None, "output": "output"}]
        run = toy_run(loss=from_sample(3, 1.0, np.inf), settings={"losses": losses})
        (finding,) = findings("nonfinite-values", run)
        assert (finding.variant, finding.first_step) == ("loss", 30)
        assert word in finding.remedies[0].title

    @pytest.mark.parametrize(
        ("dtype", "epsilon", "says"),
        [
            ("float16", 1e-8, "Adam's epsilon of 1e-08 is zero in float16"),
            ("float16", 1e-7, ""),
            ("float32", 0.0, "Adam's epsilon of 0 is zero)"),
            ("float32", 1e-50, "Adam's epsilon of 1e-50 is zero)"),
            ("float32", 1e-8, ""),
            ("float32", None, ""),
        ],
    )
    def test_updates_break_in_an_optimizer_whose_epsilon_is_zero(self, dtype, epsilon, says):
        put = {("update", "hidden_1/kernel", "nan_count"): 3}
        run = toy_run(put=put, settings={"optimizer": {"name": "Adam", "epsilon": epsilon}})
        cards = tuple(replace(card, dtype=dtype) for card in run.model.variables)
        (finding,) = findings("nonfinite-values", replace(run, model=replace(run.model, variables=cards)))
        assert says in finding.sentence
        assert ("epsilon" in finding.sentence) == bool(says)
        raised = [remedy.code for remedy in finding.remedies if remedy.topic == "optimizer-epsilon"]
        assert [code.startswith("optimizer.epsilon = 1e-7") for code in raised] == [True] * (
            bool(says) and dtype == "float32"
        )
        assert ('"mixed_float16"' in finding.remedies[0].code) == (dtype == "float16")

    def test_float16_weights_do_not_explain_a_loss_that_is_not_finite(self):
        run = toy_run(loss=from_sample(3, 1.0, np.inf))
        cards = tuple(replace(card, dtype="float16") for card in run.model.variables)
        (finding,) = findings("nonfinite-values", replace(run, model=replace(run.model, variables=cards)))
        assert "precision" not in {remedy.topic for remedy in finding.remedies}

    def test_a_loss_that_was_not_recorded_at_some_steps_is_no_nan(self):
        assert not findings("nonfinite-values", toy_run(loss=[1.0, np.nan] * 15))

    def test_skipped_steps_of_loss_scaling_are_normal(self):
        put = {("gradient", "hidden_1/kernel", "inf_count"): from_sample(29, 0, 1)}
        run = toy_run(put=put)
        scaled = replace(run, model=replace(run.model, settings={"dtype_policy": "mixed_float16"}))
        assert findings("nonfinite-values", run)
        assert not findings("nonfinite-values", scaled)
        bfloat = replace(run, model=replace(run.model, settings={"dtype_policy": "mixed_bfloat16"}))
        assert findings("nonfinite-values", bfloat)

    def test_infinite_activations_beside_a_finite_loss_are_a_warning(self):
        (finding,) = findings("nonfinite-values", toy_run(put={("activation", "hidden_1", "inf_count"): 4}))
        assert finding.severity == Severity.WARNING


class TestVanishingGradient:
    STARVED = {("update", "hidden_1/kernel"): 1e-4}  # noqa: RUF012

    @pytest.mark.parametrize(("loss", "severity"), [(SLOWLY, Severity.NOTE), (1.0, Severity.ERROR)])
    def test_without_starvation_it_matters_where_the_loss_stands_still(self, loss, severity):
        (finding,) = findings("vanishing-gradient", toy_run({("activation_gradient", "hidden_1"): 1e-6}, loss=loss))
        assert finding.severity == severity

    @pytest.mark.parametrize(
        ("gradient", "update", "loss", "said"),
        [
            (1e-5, 1e-4, 1.0, "and stand still"),
            (1e-5, 1.0, 1.0, "at first"),
            (0.1, 1e-4, 1.0, ""),
            (1e-5, 1e-4, None, ""),
        ],
    )
    def test_one_of_two_kernels_of_a_layer_may_get_none(self, gradient, update, loss, said):
        run = toy_run({("gradient", "hidden_2/kernel"): gradient, ("update", "hidden_2/kernel"): update}, loss=loss)
        tensors = [replace(key, layer="hidden_1") if key.layer == "hidden_2" else key for key in run.tensors]
        cards = [replace(card, layer="hidden_1") if card.layer == "hidden_2" else card for card in run.model.variables]
        run = replace(run, tensors=tuple(tensors), model=replace(run.model, variables=tuple(cards)))
        mine = [f for f in findings("vanishing-gradient", run) if f.variant == "within-layer"]
        assert [f.layers for f in mine] == [("hidden_1",)] * bool(said)
        assert all("hidden_2/kernel" in f.sentence and f.sentence.endswith(said) for f in mine)

    @pytest.mark.parametrize(
        ("passed", "late", "severity"),
        [(10, 0.7, Severity.ERROR), (10, 0.55, Severity.WARNING), (10, 0.05, Severity.NOTE)],
    )
    def test_what_passed_and_held_the_loss_up_for_most_of_the_run_is_no_note(self, passed, late, severity):
        scale = {("activation_gradient", "hidden_1"): from_sample(passed, 1e-6, 1.0)}
        (finding,) = findings("vanishing-gradient", toy_run(scale, loss=np.r_[np.ones(10), np.full(20, late)]))
        assert finding.severity == severity

    @pytest.mark.parametrize(
        ("gradient", "update", "spread", "loss", "severities"),
        [
            (1e-5, 1e-4, 1e-4, 0.8, [Severity.ERROR]),
            (1e-5, 1e-4, 1e-4, 0.3, [Severity.WARNING]),
            (1e-5, 1e-4, 0.5, 0.8, []),
            (1e-5, 1.0, 1e-4, 0.8, [Severity.ERROR]),  # as under Adam, whose steps are of one size
            (0.05, 1.0, 1e-4, 0.8, []),
            (1.0, 1e-4, 1e-4, 0.8, []),
        ],
    )
    def test_one_of_two_branches_may_stand_still(self, gradient, update, spread, loss, severities):
        scale = {("activation_gradient", "hidden_1"): gradient, ("update", "hidden_1/kernel"): update}
        put = {("activation", "hidden_1", "example_std"): 0.7 * spread}
        run = toy_run(scale, put, loss=np.r_[np.ones(5), np.full(25, loss)])
        inbound = {"hidden_1": ("input",), "hidden_2": ("input",), "output": ("hidden_1", "hidden_2")}
        cards = tuple(replace(card, inbound=inbound[card.name]) for card in run.model.layers)
        mine = findings("vanishing-gradient", replace(run, model=replace(run.model, layers=cards)))
        assert [(f.variant, f.layers, f.severity) for f in mine] == [("branch", ("hidden_1",), s) for s in severities]

    @pytest.mark.parametrize(("signal", "found"), [(1e-3, 1), (1.0, 0)])
    def test_in_many_layers_a_signal_that_fades_as_well_tells(self, signal, found):
        scale = {("activation_gradient", "hidden_1"): 0.005, ("activation", "hidden_8"): signal}
        assert len(findings("vanishing-gradient", toy_run(scale, hidden=8, loss=1.0))) == found

    @pytest.mark.parametrize(("loss", "found"), [(SLOWLY, 0), (1.0, 1)])
    def test_a_steady_decay_counts_earlier_where_the_loss_stands_still(self, loss, found):
        scale = {("activation_gradient", f"hidden_{i + 1}"): 0.25 ** (4 - i) for i in range(4)}
        assert len(findings("vanishing-gradient", toy_run(scale, hidden=4, loss=loss))) == found

    @pytest.mark.parametrize(("factor", "severity"), [(3e-4, Severity.WARNING), (3e-5, Severity.ERROR)])
    def test_severity_follows_the_factor(self, factor, severity):
        run = toy_run({("activation_gradient", "hidden_1"): factor, **self.STARVED}, loss=SLOWLY)
        (finding,) = findings("vanishing-gradient", run)
        assert finding.severity == severity

    def test_a_hundredfold_decay_is_healthy(self):
        assert not findings("vanishing-gradient", toy_run({("activation_gradient", "hidden_1"): 1e-2, **self.STARVED}))

    def test_what_passed_is_a_note(self):
        scale = {("activation_gradient", "hidden_1"): from_sample(10, 1e-6, 1.0)}
        (finding,) = findings("vanishing-gradient", toy_run(scale))
        assert (finding.severity, finding.explains) == (Severity.NOTE, frozenset())
        assert (finding.first_step, finding.last_step) == (0, 90)

    def test_what_began_later_has_its_first_step(self):
        scale = {
            ("activation_gradient", "hidden_1"): from_sample(12, 1.0, 1e-6),
            ("update", "hidden_1/kernel"): from_sample(12, 1.0, 1e-6),
        }
        (finding,) = findings("vanishing-gradient", toy_run(scale, loss=1.0))
        assert (finding.severity, finding.first_step) == (Severity.ERROR, 120)

    def test_gradients_that_all_shrink_together_are_convergence(self):
        falling = np.geomspace(1, 1e-8, SAMPLES)
        scale = {("activation_gradient", name): falling for name in ("hidden_1", "hidden_2", "output")}
        assert not findings("vanishing-gradient", toy_run(scale))

    def test_single_exact_zeros_do_not_count(self):
        scale = {("activation_gradient", "hidden_1"): [0.0, 0.0, 1.0] * 10, **self.STARVED}
        assert not findings("vanishing-gradient", toy_run(scale, loss=1.0))

    def test_a_starved_side_branch_beside_a_sound_trunk_is_no_finding(self):
        run = toy_run({("activation_gradient", "hidden_1"): 1e-6, **self.STARVED}, loss=1.0)
        cards = list(run.model.layers)
        cards[1] = replace(cards[1], inbound=("input",))
        cards[2] = replace(cards[2], inbound=("hidden_1", "hidden_2"))
        assert not findings("vanishing-gradient", replace(run, model=replace(run.model, layers=tuple(cards))))

    def test_bias_gradients_stand_in(self):
        run = toy_run({("gradient", "hidden_1/bias"): 1e-7, ("update", "hidden_1/kernel"): 1e-7}, loss=1.0, card=False)
        keep = [i for i, key in enumerate(run.tensors) if not key.kind.startswith("activation")]
        bare = replace(run, tensors=tuple(run.tensors[i] for i in keep), values=run.values[:, keep])
        (finding,) = findings("vanishing-gradient", bare)
        assert (finding.severity, finding.confidence, finding.layers) == (Severity.ERROR, "medium", ("hidden_1",))

    def test_a_brief_run_gives_a_warning(self):
        run = toy_run({("activation_gradient", "hidden_1"): 3e-5, **self.STARVED}, steps=range(4), loss=1.0)
        (finding,) = findings("vanishing-gradient", run)
        assert finding.severity == Severity.WARNING

    def test_sigmoid_layers_are_told_to_change(self):
        run = toy_run({("activation_gradient", "hidden_1"): 1e-6, **self.STARVED}, activation="sigmoid", loss=1.0)
        (finding,) = findings("vanishing-gradient", run)
        assert finding.remedies[0].title == "Replace the activation of hidden_1 by relu"


class TestExplodingGradient:
    def norms(self, values):
        run = toy_run(loss=1.0)
        return replace(run, step_statistics={**run.step_statistics, "global_gradient_norm": np.array(values, float)})

    def test_a_high_start_is_no_explosion(self):
        assert not findings("exploding-gradient", self.norms(np.geomspace(1e6, 1e-3, SAMPLES)))

    def test_noise_of_a_converged_network_is_no_explosion(self):
        norms = np.geomspace(1, 1e-12, SAMPLES)
        norms[25] = 1e-6
        assert not findings("exploding-gradient", self.norms(norms))

    def test_a_single_spike_is_a_warning(self):
        (finding,) = findings("exploding-gradient", self.norms([*[1.0] * 20, 1e6, *[1.0] * 9]))
        assert (finding.severity, finding.first_step) == (Severity.WARNING, 200)
        assert "norm at 1" in finding.remedies[0].title

    def test_lasting_growth_is_an_error(self):
        (finding,) = findings("exploding-gradient", self.norms([*[1.0] * 18, *[1e6] * 12]))
        assert finding.severity == Severity.ERROR

    def test_growth_into_nan_explains_it(self):
        run = self.norms([*np.geomspace(1, 1e9, 20), *[np.nan] * 10])
        values = run.values.copy()
        values[20:] = toy_run(put={("gradient", "output/kernel", "nan_count"): 1}).values[20:]
        (cause,) = diagnose(replace(run, values=values)).causes
        assert cause.root.pathology == "exploding-gradient:over-time"
        assert "nonfinite-values:backward" in {f.pathology for f in cause.consequences}


class TestDeadUnits:
    @pytest.mark.parametrize(("signal", "named"), [(0.0, ("hidden_1",)), (1.0, ("hidden_1", "hidden_2"))])
    def test_what_gets_nothing_is_not_ill_itself(self, signal, named):
        dead = {("activation", name, "dead_unit_fraction"): 1.0 for name in ("hidden_1", "hidden_2")}
        dead |= {("activation", name, "zero_fraction"): 1.0 for name in ("hidden_1", "hidden_2")}
        run = toy_run({("preactivation", "hidden_2"): signal}, dead, loss=1.0)
        assert [finding.layers for finding in findings("dead-units", run)] == [named]

    def test_died_later_asks_for_a_lower_rate(self):
        put = {("activation", "hidden_1", "dead_unit_fraction"): from_sample(12, 0.1, 0.7)}
        (finding,) = findings("dead-units", toy_run(put=put, loss=SLOWLY))
        assert (finding.severity, finding.first_step) == (Severity.WARNING, 120)
        assert finding.remedies[0].title == "Lower the learning rate from 0.01 to about 0.001"

    @pytest.mark.parametrize(("share", "severity"), [(0.6, Severity.NOTE), (0.9, Severity.ERROR)])
    def test_what_rivals_lose_together_does_not_fall(self, share, severity):
        put = {("activation", "hidden_1", "dead_unit_fraction"): share}
        rivals = {"optimizers": [{"name": "Adam"}, {"name": "Adam"}]}
        (finding,) = findings("dead-units", toy_run(put=put, loss=1.0, settings=rivals))
        assert finding.severity == severity

    def test_the_window_fills_late_but_the_units_were_dead_from_the_start(self):
        put = {("activation", "hidden_1", "dead_unit_fraction"): from_sample(5, np.nan, 1.0)}
        (finding,) = findings("dead-units", toy_run(put=put, loss=1.0))
        assert (finding.severity, finding.first_step) == (Severity.ERROR, 0)

    def test_other_activations_and_the_output_are_not_judged(self):
        assert not findings(
            "dead-units", toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): 1.0}, activation="tanh")
        )
        assert not findings("dead-units", toy_run(put={("activation", "output", "dead_unit_fraction"): 1.0}))

    def test_an_unfilled_window_is_not_judged(self):
        put = {("activation", f"hidden_{i}", "dead_unit_fraction"): np.nan for i in (1, 2)}
        assert "record more steps" in reason("dead-units", toy_run(put=put))


class TestSaturatedActivation:
    @pytest.mark.parametrize(
        ("share", "loss", "severity"),
        [
            (0.97, SLOWLY, Severity.ERROR),
            (0.6, SLOWLY, Severity.WARNING),
            (0.97, np.linspace(1.0, 0.3, SAMPLES), Severity.NOTE),
            (0.97, None, Severity.NOTE),
        ],
    )
    def test_it_is_as_grave_as_learning_is_slow(self, share, loss, severity):
        put = {("activation", "hidden_1", "saturation_fraction"): share, ("activation", "hidden_1", "mean"): -0.95}
        (finding,) = findings("saturated-activation", toy_run(put=put, activation="tanh", loss=loss))
        assert finding.severity == severity
        assert finding.sentence.endswith("on the lower side")

    @pytest.mark.parametrize(("length", "found"), [(12, ["passed"]), (1, [])])
    def test_a_saturation_that_passed_is_noted(self, length, found):
        share = [0.1] * 5 + [0.99] * length + [0.1] * (SAMPLES - 5 - length)
        put = {("activation", "hidden_1", "saturation_fraction"): share, ("activation", "hidden_1", "mean"): -0.99}
        mine = findings("saturated-activation", toy_run(put=put, activation="tanh"))
        assert [f.variant for f in mine] == found
        assert all(f.severity == Severity.NOTE and "on the lower side" in f.sentence for f in mine)

    @pytest.mark.parametrize(
        ("pace", "late", "severity"),
        [(0.1, 0.4, Severity.ERROR), (1.0, 0.4, Severity.NOTE), (0.1, 0.15, Severity.NOTE)],
        ids=["stuck", "moves", "solved"],
    )
    def test_one_that_stays_as_it_was_drawn_is_an_error_while_much_is_to_be_learnt(self, pace, late, severity):
        put = {("activation", "hidden_1", "saturation_fraction"): 0.65}
        run = toy_run(
            {("update", "hidden_1/kernel"): pace},
            put,
            activation="tanh",
            loss=np.r_[np.linspace(1.0, late, 10), np.full(20, late)],
        )
        (finding,) = findings("saturated-activation", run)
        assert (finding.severity, finding.layers) == (severity, ("hidden_1",))

    def test_where_no_layer_goes_far_none_is_stuck(self):
        put = {("activation", "hidden_1", "saturation_fraction"): 0.65}
        short = {("update", f"{name}/kernel"): 0.1 for name in ("hidden_1", "hidden_2", "output")}
        run = toy_run(short, put, activation="tanh", loss=np.r_[np.linspace(1.0, 0.4, 10), np.full(20, 0.4)])
        assert [finding.severity for finding in findings("saturated-activation", run)] == [Severity.NOTE]

    def test_the_output_may_saturate(self):
        put = {("activation", "output", "saturation_fraction"): 1.0}
        assert not findings("saturated-activation", toy_run(put=put, activation="tanh"))


class TestUpdateRatio:
    def test_the_new_learning_rate_follows_from_the_measured_ratio(self):
        (finding,) = findings("update-ratio-out-of-range", toy_run({("update", "hidden_1/kernel"): 500}, loss=1.0))
        assert finding.remedies[0].code == "optimizer.learning_rate = 2e-05"

    def test_small_updates_after_the_loss_fell_are_convergence(self):
        scale = {("update", f"{name}/kernel"): 1e-6 for name in ("hidden_1", "hidden_2", "output")}
        assert findings("update-ratio-out-of-range", toy_run(scale, loss=1.0))
        assert not findings("update-ratio-out-of-range", toy_run(scale))

    @pytest.mark.parametrize(("late", "severity"), [(0.9, Severity.WARNING), (0.55, Severity.NOTE)])
    def test_large_updates_under_which_it_learns_are_a_note(self, late, severity):
        run = toy_run({("update", "hidden_1/kernel"): 150}, loss=np.r_[1.0, 0.9, np.full(28, late)])
        assert [finding.severity for finding in findings("update-ratio-out-of-range", run)] == [severity]

    def test_large_updates_at_the_start_only_are_a_note(self):
        scale = {("update", f"{name}/kernel"): from_sample(10, 500, 1) for name in ("hidden_1", "hidden_2", "output")}
        (finding,) = findings("update-ratio-out-of-range", toy_run(scale))
        assert (finding.severity, finding.last_step) == (Severity.NOTE, 90)


class TestGainMismatch:
    SMALL = {("weight", "hidden_1/kernel"): 1e-3}  # noqa: RUF012

    @pytest.mark.parametrize(("loss", "explained"), [(None, set()), (1.0, {"dead-units"})])
    def test_a_mended_mismatch_is_a_note_and_explains_units_that_died_of_it(self, loss, explained):
        scale = {("weight", "hidden_1/kernel"): from_sample(8, 1e-3, 1.0)}
        (finding,) = findings("gain-mismatch", toy_run(scale, loss=loss))
        assert (finding.severity, finding.explains) == (Severity.NOTE, explained)

    def test_a_mismatch_that_the_gradient_survives_is_a_note(self):
        (finding,) = findings("gain-mismatch", toy_run(self.SMALL, loss=1.0))
        assert finding.severity == Severity.NOTE
        (finding,) = findings(
            "gain-mismatch", toy_run({**self.SMALL, ("activation_gradient", "hidden_1"): 1e-6}, loss=1.0)
        )
        assert finding.severity == Severity.ERROR

    @pytest.mark.parametrize(
        ("still", "late", "gradient", "severity"),
        [
            (20, 0.5, 0.01, Severity.ERROR),
            (20, 0.1, 0.01, Severity.NOTE),
            (2, 0.5, 0.01, Severity.NOTE),
            (20, 0.5, 1.0, Severity.NOTE),
        ],
    )
    def test_a_mismatch_that_held_the_loss_up_is_an_error(self, still, late, gradient, severity):
        scale = {
            ("weight", "hidden_1/kernel"): from_sample(8, 1e-3, 1.0),
            ("activation_gradient", "hidden_1"): gradient,
        }
        loss = np.r_[np.ones(still), np.full(30 - still, late)]
        (finding,) = findings("gain-mismatch", toy_run(scale, loss=loss))
        assert finding.severity == severity

    def test_a_small_last_layer_is_a_note(self):
        (finding,) = findings("gain-mismatch", toy_run({("weight", "output/kernel"): 1e-3}, loss=1.0))
        assert finding.severity == Severity.NOTE

    def test_many_slightly_small_layers_add_up(self):
        scale = {("weight", f"hidden_{i + 1}/kernel"): 0.4 for i in range(12)}
        (finding,) = findings("gain-mismatch", toy_run(scale, hidden=12, loss=1.0))
        assert len(finding.layers) == 12

    @pytest.mark.parametrize(("scale", "found"), [(40.0, ["too-large"]), (1e-3, [])])
    def test_of_an_embedding_the_size_of_its_vectors_counts(self, scale, found):
        run = toy_run({("weight", "hidden_1/kernel"): scale}, loss=1.0)
        words = replace(run.model.layers[0], kind="Embedding", activation=None)
        vectors = [
            replace(card, role="embeddings") if card.layer == "hidden_1" else card for card in run.model.variables
        ]
        model = replace(run.model, layers=(words, *run.model.layers[1:]), variables=tuple(vectors))
        mine = findings("gain-mismatch", replace(run, model=model))
        assert [finding.variant for finding in mine] == found
        assert all("far too large (hidden_1: gain" in finding.sentence for finding in mine)

    @pytest.mark.parametrize(
        ("scale", "start", "late", "found"),
        [(2.0, 12.0, 1.1, ["too-large"]), (2.0, 12.0, 0.5, []), (2.0, 2.0, 1.1, []), (0.4, 12.0, 1.1, [])],
    )
    def test_vectors_whose_products_start_the_loss_too_high_are_named(self, scale, start, late, found):
        run = toy_run({("weight", "hidden_1/kernel"): scale}, loss=np.r_[np.full(8, start), np.full(22, late)])
        words = replace(run.model.layers[0], kind="Embedding", activation=None)
        vectors = [
            replace(card, role="embeddings") if card.layer == "hidden_1" else card for card in run.model.variables
        ]
        model = replace(run.model, layers=(words, *run.model.layers[1:]), variables=tuple(vectors))
        mine = findings("gain-mismatch", replace(run, model=model))
        assert [(f.variant, f.layers, f.severity) for f in mine] == [(v, ("hidden_1",), Severity.ERROR) for v in found]

    @pytest.mark.parametrize(("activation", "severity"), [("tanh", Severity.ERROR), ("sigmoid", Severity.NOTE)])
    def test_a_tanh_at_the_output_that_starts_and_stays_saturated_is_an_error(self, activation, severity):
        put = {("activation", "output", "saturation_fraction"): 0.9}
        run = toy_run({("weight", "output/kernel"): 40.0}, put, loss=np.linspace(1.0, 0.3, 30))
        *layers, last = run.model.layers
        cards = (*layers, replace(last, activation=ActivationCard(activation, "bounded", 1.0)))
        (finding,) = findings("gain-mismatch", replace(run, model=replace(run.model, layers=cards)))
        assert finding.severity == severity

    @pytest.mark.parametrize(("loss", "found"), [(1.0, 1), (None, 0)])
    def test_small_gains_that_add_up_to_little_count_where_the_loss_stands_still(self, loss, found):
        scale = {("weight", f"hidden_{i + 1}/kernel"): 0.25 for i in range(3)}
        assert len(findings("gain-mismatch", toy_run(scale, hidden=3, loss=loss))) == found

    def test_too_large_is_found(self):
        (finding,) = findings("gain-mismatch", toy_run({("weight", "hidden_1/kernel"): 100}, loss=1.0))
        assert (finding.variant, finding.layers) == ("too-large", ("hidden_1",))

    @pytest.mark.parametrize(
        ("activation", "saturated", "low", "severity"),
        [("tanh", 0.8, 0.3, 3), ("tanh", 0.2, 0.3, 1), ("tanh", 0.8, 0.01, 1), ("relu", 0.8, 0.3, 1)],
    )
    def test_large_weights_that_saturate_are_an_error_while_much_is_to_be_learnt(
        self, activation, saturated, low, severity
    ):
        put = {("activation", "hidden_1", "saturation_fraction"): saturated}
        scale = {("weight", "hidden_1/kernel"): 20.0}
        run = toy_run(scale, put, activation=activation, loss=np.geomspace(1, low, 30))
        (finding,) = findings("gain-mismatch", run)
        assert (finding.variant, finding.severity) == ("too-large", severity)

    def test_a_normalisation_behind_forgives(self):
        run = toy_run(self.SMALL, loss=1.0)
        cards = list(run.model.layers)
        normalisation = LayerCard("bn", "BatchNormalization", depth=1, inbound=("hidden_1",))
        cards[1] = replace(cards[1], inbound=("bn",))
        cards = [cards[0], normalisation, *(replace(card, depth=i + 2) for i, card in enumerate(cards[1:]))]
        assert not findings("gain-mismatch", replace(run, model=replace(run.model, layers=tuple(cards))))

    @pytest.mark.parametrize(("fan_in", "fan_out"), [(1, 1024), (1024, 1), (9, 64), (4608, 512)])
    @pytest.mark.parametrize("initialiser", ["glorot", "he"])
    def test_usual_initialisers_are_silent(self, fan_in, fan_out, initialiser):
        std = np.sqrt(2 / (fan_in + fan_out)) if initialiser == "glorot" else np.sqrt(2 / fan_in)
        run = toy_run(put={("weight", "hidden_1/kernel", "rms"): std}, loss=1.0)
        cards = (replace(run.model.layers[0], fan_in=fan_in, fan_out=fan_out), *run.model.layers[1:])
        assert not findings("gain-mismatch", replace(run, model=replace(run.model, layers=cards)))

    def test_a_run_that_was_not_recorded_from_the_start_is_not_judged(self):
        assert "from the start" in reason("gain-mismatch", toy_run(self.SMALL, steps=range(5000, 5300, 10)))

    def test_without_a_card_it_is_not_judged(self):
        run = replace(toy_run(self.SMALL), model=ModelCard())
        assert "model card" in reason("gain-mismatch", run)

    @pytest.mark.parametrize(("mean", "found"), [(1.2, 1), (0.1, 0)])
    def test_weights_of_one_sign_add_up_over_the_inputs(self, mean, found):
        put = {("weight", "hidden_1/kernel", name): number for name, number in (("mean", mean), ("rms", 1.2))}
        assert len(findings("gain-mismatch", toy_run(put=put, loss=1.0))) == found


class TestConstantOutput:
    def test_a_large_offset_with_a_sound_gradient_is_none(self):
        assert not findings("constant-output", toy_run({("activation", "output"): 1e6}))

    def test_dead_input_with_a_flat_loss_is_found(self):
        (finding,) = findings("constant-output", toy_run({("activation", "hidden_1"): 1e-6}, loss=1.0))
        assert finding.layers == ("output",)

    def test_an_input_that_goes_straight_to_the_output_is_not_judged(self):
        run = toy_run({("activation_gradient", "hidden_1"): 1e-7}, loss=1.0)
        cards = (*run.model.layers[:2], replace(run.model.layers[2], inbound=("hidden_2", "input")))
        assert "a path from the input" in reason(
            "constant-output", replace(run, model=replace(run.model, layers=cards))
        )
