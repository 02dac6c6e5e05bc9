"""What the rules on float16 and on batch normalisation say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.vocabulary import STATISTIC_NAMES

BY_NAME = {rule.name: rule for rule in all_rules()}
FLOAT16 = {"dtype_policy": "mixed_float16"}


def findings(name, run):
    return list(diagnose(run, [BY_NAME[name]]).findings())


def reason(name, run):
    (verdict,) = diagnose(run, [BY_NAME[name]]).verdicts
    return verdict.reason


class TestGradientUnderflow:
    def lost(self, fraction):
        return {("gradient", f"{n}/kernel", "underflow_fraction"): fraction for n in ("hidden_1", "hidden_2", "output")}

    @pytest.mark.parametrize(("fraction", "severity"), [(0.98, Severity.ERROR), (0.7, Severity.WARNING)])
    def test_severity_follows_the_share(self, fraction, severity):
        run = toy_run(put=self.lost(fraction), settings=FLOAT16, loss=1.0)
        (finding,) = findings("gradient-underflow", run)
        assert (finding.severity, finding.layers) == (severity, ("hidden_1", "hidden_2", "output"))

    def test_a_third_of_the_entries_is_usual(self):
        assert not findings("gradient-underflow", toy_run(put=self.lost(0.35), settings=FLOAT16, loss=1.0))

    def test_a_loss_that_falls_can_spare_them(self):
        assert not findings("gradient-underflow", toy_run(put=self.lost(0.98), settings=FLOAT16))

    @pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
    def test_other_types_are_not_concerned(self, policy):
        run = toy_run({("gradient", "hidden_1/kernel"): 0.0}, settings={"dtype_policy": policy}, loss=1.0)
        assert not findings("gradient-underflow", run)

    def test_gradients_that_are_all_zero_read_as_underflow_with_its_consequences(self):
        names = ("hidden_1", "hidden_2", "output")
        scale = {(kind, f"{n}/{r}"): 0.0 for n in names for r in ("kernel", "bias") for kind in ("gradient", "update")}
        cause = diagnose(toy_run(scale, settings=FLOAT16, loss=1.0)).causes[0]
        assert cause.root.rule == "gradient-underflow"
        assert "disconnected-variable" in {f.rule for f in cause.consequences}
        assert "Scale the loss" in cause.remedies[0].title

    @pytest.mark.parametrize(
        ("dtype", "epsilon", "loss", "found"),
        [("float16", 1e-7, 1.0, 1), ("float16", 1e-3, 1.0, 0), ("float32", 1e-7, 1.0, 0), ("float16", 1e-7, None, 0)],
    )
    def test_squares_that_an_optimizer_keeps_in_float16_underflow(self, dtype, epsilon, loss, found):
        run = toy_run(loss=loss, settings={"optimizer": {"name": "Adam", "epsilon": epsilon}})
        cards = tuple(replace(card, dtype=dtype) for card in run.model.variables)
        mine = findings("gradient-underflow", replace(run, model=replace(run.model, variables=cards)))
        assert [(f.severity, f.variant, f.remedies[0].topic) for f in mine] == [
            (Severity.ERROR, "squares", "precision")
        ] * found

    def test_squares_are_found_where_the_share_that_underflows_was_not_recorded(self):
        run = toy_run(loss=1.0, settings={"dtype_policy": "float16", "optimizer": {"name": "Adam", "epsilon": 1e-7}})
        values = run.values.copy()
        values[:, :, STATISTIC_NAMES.index("underflow_fraction")] = np.nan
        cards = tuple(replace(card, dtype="float16") for card in run.model.variables)
        run = replace(run, values=values, model=replace(run.model, variables=cards))
        assert [finding.variant for finding in findings("gradient-underflow", run)] == ["squares"]

    def test_zeros_in_spite_of_loss_scaling_have_another_reason(self):
        names = ("hidden_1", "hidden_2", "output")
        run = toy_run({("gradient", f"{n}/kernel"): 0.0 for n in names}, settings=FLOAT16, loss=1.0)
        scaled = replace(run, step_statistics={**run.step_statistics, "loss_scale": np.full(30, 2.0**15)})
        assert findings("gradient-underflow", run)
        assert not findings("gradient-underflow", scaled)

    def test_single_zeros_of_an_underflowing_gradient_belong_to_it(self):
        put = self.lost([np.nan, 1.0, 1.0] * 10)
        scale = {("gradient", f"{n}/kernel"): [0.0, 1e-9, 1e-9] * 10 for n in ("hidden_1", "hidden_2", "output")}
        (finding,) = findings("gradient-underflow", toy_run(scale, put, settings=FLOAT16, loss=1.0))
        assert finding.first_step == 0

    def test_a_log_without_the_share_is_not_judged(self):
        assert "record" in reason("gradient-underflow", toy_run(settings=FLOAT16))


class TestCollapsedBatchStatistics:
    def with_norm(self, **card):
        """Batches of std 0.7 with mean 0.35; changes of the model card of the normalisation."""
        run = toy_run(batch_norm=True, loss=1.0, put=self.put)
        layers = tuple(replace(c, **card) if c.name == "norm" else c for c in run.model.layers)
        return replace(run, model=replace(run.model, layers=layers))

    put: dict = {}  # noqa: RUF012

    def test_single_vectors_have_no_variance(self):
        put = {("activation", "norm", "example_std"): np.nan}
        run = toy_run(put=put, batch_norm=True, loss=1.0)
        alone = replace(run, step_statistics={**run.step_statistics, "example_count": np.ones(30)})
        (finding,) = findings("collapsed-batch-statistics", alone)
        assert (finding.severity, finding.variant) == (Severity.ERROR, "no-variance")
        assert "one example has no variance" in finding.remedies[0].reason

    @pytest.mark.parametrize(
        ("examples", "loss", "known", "severities"),
        [
            (2, 1.0, True, [Severity.ERROR]),
            (3, 0.7, True, [Severity.WARNING]),
            (2, 0.7, False, [Severity.WARNING]),
            (2, 0.3, True, []),
            (4, 1.0, True, []),
        ],
    )
    def test_of_two_or_three_vectors_little_more_than_their_order_is_left(self, examples, loss, known, severities):
        run = self.of_few(examples, np.r_[np.linspace(1.0, loss, 10), np.full(20, loss)])
        unknown = {"losses": [{"name": "a loss of one's own", "from_logits": None, "output": None}]}
        run = run if known else replace(run, model=run.model.with_settings(unknown))
        found = findings("collapsed-batch-statistics", run)
        assert [(f.severity, f.variant, f.layers) for f in found] == [
            (s, "few-examples", ("norm",)) for s in severities
        ]
        assert all(f"over {examples} examples" in f.sentence for f in found)
        assert all(remedy.topic == "normalisation" for f in found for remedy in f.remedies)

    def of_few(self, examples, loss, **how):
        return toy_run(batch_norm=True, loss=loss, step={"example_count": examples}, **how)

    def test_of_maps_each_place_counts(self):
        run = self.of_few(2, 1.0)
        maps = [replace(c, output_shape=(None, 8, 8, 16)) if c.name == "norm" else c for c in run.model.layers]
        assert not findings("collapsed-batch-statistics", replace(run, model=replace(run.model, layers=tuple(maps))))

    def test_a_trial_of_a_few_steps_may_have_small_batches(self):
        assert not findings("collapsed-batch-statistics", self.of_few(2, 1.0, steps=range(0, 90, 3)))

    def test_a_huge_epsilon_takes_the_place_of_the_variance(self):
        self.put = {("activation", "norm", s): 1e-5 for s in ("std", "example_std", "rms")}
        (finding,) = findings(
            "collapsed-batch-statistics", self.with_norm(kind="LayerNormalization", arguments={"epsilon": 1e9})
        )
        assert (finding.severity, finding.variant) == (Severity.ERROR, "no-variance")
        assert finding.remedies[0].code == "keras.layers.LayerNormalization(epsilon=1e-3)"

    @pytest.mark.parametrize(
        ("kind", "shape", "arguments", "single"),
        [
            ("LayerNormalization", (None, 1), {"axis": [-1]}, True),
            ("LayerNormalization", (None, 8, 8, 1), {}, True),
            ("LayerNormalization", (None, 8, 8, 1), {"axis": [1, 2]}, False),
            ("LayerNormalization", (None, 16), {"axis": -1}, False),
            ("GroupNormalization", (None, 16), {"groups": -1}, True),
            ("GroupNormalization", (None, 16), {"groups": 16}, True),
            ("GroupNormalization", (None, 64), {}, False),
            ("GroupNormalization", (None, 8, 8, 16), {"groups": 16}, False),
        ],
    )
    def test_layer_normalisation_is_not_remedied_by_layer_normalisation(self, kind, shape, arguments, single):
        self.put = {("activation", "norm", s): 0.0 for s in ("std", "example_std", "rms")}
        run = self.with_norm(kind=kind, output_shape=shape, arguments=arguments)
        (finding,) = findings("collapsed-batch-statistics", run)
        assert ("over a single feature" in finding.sentence) == single
        assert ("of a single feature" in finding.remedies[0].reason) == single
        assert finding.remedies[0].title == "Leave norm out, or normalise over features that differ"
        assert finding.remedies[0].code.startswith(f"keras.layers.{kind}(")

    def test_a_normalisation_behind_dead_units_is_what_follows_from_them(self):
        put = {("activation", "norm", "example_std"): 0.0, ("activation", "hidden_2", "dead_unit_fraction"): 1.0}
        (cause,) = diagnose(toy_run(put=put, batch_norm=True, loss=1.0)).causes
        assert cause.root.rule == "dead-units"
        assert "collapsed-batch-statistics:starved" in {found.pathology for found in cause.consequences}

    def test_single_images_have(self):
        self.put = {("activation", "norm", "example_std"): np.nan}
        run = self.with_norm(output_shape=(None, 8, 8, 16))
        alone = replace(run, step_statistics={**run.step_statistics, "example_count": np.ones(30)})
        assert not findings("collapsed-batch-statistics", alone)

    def test_statistics_that_never_move_are_found(self):
        self.put = {("weight", "norm/moving_mean", s): 0.0 for s in ("mean", "rms")}
        self.put |= {("weight", "norm/moving_variance", s): 1.0 for s in ("mean", "rms")}
        (finding,) = findings("collapsed-batch-statistics", self.with_norm())
        assert (finding.variant, finding.layers) == ("not-updated", ("norm",))

    def test_what_saturates_behind_statistics_that_never_move_follows_from_them(self):
        self.put = {("weight", "norm/moving_mean", s): 0.0 for s in ("mean", "rms")}
        self.put |= {("weight", "norm/moving_variance", s): 1.0 for s in ("mean", "rms")}
        self.put |= {("activation", "hidden_2", "saturation_fraction"): 0.97}
        run = toy_run(put=self.put, batch_norm=True, activation="tanh", loss=1.0)
        rules = [BY_NAME[name] for name in ("collapsed-batch-statistics", "saturated-activation")]
        (cause,) = diagnose(run, rules).causes
        assert cause.root.variant == "not-updated"

    def test_frozen_statistics_are_meant_to_stand_still(self):
        self.put = {("weight", "norm/moving_mean", s): 0.0 for s in ("mean", "rms")}
        self.put |= {("weight", "norm/moving_variance", s): 1.0 for s in ("mean", "rms")}
        assert not findings("collapsed-batch-statistics", self.with_norm(trainable=False))

    @pytest.mark.parametrize("momentum", [0.9999, 0.998])
    def test_a_momentum_too_high_for_the_run_is_an_error(self, momentum):
        self.put = {("weight", "norm/moving_variance", "mean"): 9.0}
        (finding,) = findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": momentum}))
        assert (finding.severity, finding.variant) == (Severity.ERROR, "not-settled")
        assert finding.measurements[0].value == pytest.approx(3 / 0.7, rel=1e-3)

    def test_statistics_that_agree_are_settled_whatever_the_momentum(self):
        assert not findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": 0.9999}))

    def test_a_small_rest_of_initial_values_may_be_too_much(self):
        self.put = {("weight", "norm/moving_variance", "mean"): 1.6}
        (finding,) = findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": 0.991}))
        assert (finding.severity, finding.variant) == (Severity.ERROR, "not-settled")

    def test_the_default_momentum_settles_in_a_few_hundred_steps(self):
        self.put = {("weight", "norm/moving_variance", "mean"): 9.0}
        assert not findings("collapsed-batch-statistics", self.with_norm())

    def test_a_mean_that_is_not_remembered_is_an_error(self):
        self.put = {("weight", "norm/moving_mean", s): 0.35 * 0.03 for s in ("mean", "rms")}
        self.put |= {("activation", "hidden_2", "mean"): 1.4, ("activation", "hidden_2", "rms"): np.hypot(1.4, 0.7)}
        (finding,) = findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": 0.9999}))
        assert (finding.severity, finding.variant) == (Severity.ERROR, "not-settled")
        assert "mean 2 standard deviations from the batches'" in finding.sentence
        assert finding.measurements[0].value == pytest.approx((1.4 - 0.0105) / 0.7, rel=1e-3)
        assert finding.remedies[0].topic == "momentum"

    def test_means_of_both_signs_do_not_hide_each_other(self):
        share = 1 - 0.9999**291
        self.put = {("weight", "norm/moving_mean", "mean"): 0.0, ("weight", "norm/moving_mean", "rms"): 1.4 * share}
        self.put |= {("activation", "hidden_2", "mean"): 0.0, ("activation", "hidden_2", "rms"): np.hypot(1.4, 0.7)}
        (finding,) = findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": 0.9999}))
        assert finding.measurements[0].value == pytest.approx(1.4 * (1 - share) / 0.7, rel=1e-3)

    def test_a_mean_that_settled_or_is_near_enough_is_sound(self):
        self.put = {("activation", "hidden_2", "mean"): 0.2, ("activation", "hidden_2", "rms"): np.hypot(0.2, 0.7)}
        self.put |= {("weight", "norm/moving_mean", s): 0.006 for s in ("mean", "rms")}
        assert not findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": 0.9999}))
        self.put |= {("activation", "hidden_2", "mean"): 1.4, ("activation", "hidden_2", "rms"): np.hypot(1.4, 0.7)}
        assert not findings("collapsed-batch-statistics", self.with_norm(arguments={"momentum": 0.9}))
