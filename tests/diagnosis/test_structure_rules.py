"""What the rules on structure say: connections, symmetry, representations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.model_card import ActivationCard, VariableCard
from gradscope.vocabulary import STATISTIC_NAMES

BY_NAME = {rule.name: rule for rule in all_rules()}
SAMPLES = 30


def findings(name, run):
    return list(diagnose(run, [BY_NAME[name]]).findings())


def reason(name, run):
    (verdict,) = diagnose(run, [BY_NAME[name]]).verdicts
    return verdict.reason


def with_layer(run, name, **changes):
    layers = tuple(replace(card, **changes) if card.name == name else card for card in run.model.layers)
    return replace(run, model=replace(run.model, layers=layers))


def unconnected(run, *names):
    variables = tuple(replace(card, connected=False) if card.layer in names else card for card in run.model.variables)
    values = run.values.copy()
    for card in variables:
        if not card.connected:
            values[:, run.index["gradient", card.name]] = np.nan
    return replace(run, model=replace(run.model, variables=variables), values=values)


def taking_turns(run, *names):
    """The first sampled step had no gradient for those layers, and every other one after it has."""
    never = unconnected(run, *names)
    values = never.values.copy()
    values[1::2] = run.values[1::2]
    return replace(never, values=values)


class TestDisconnectedVariable:
    def zero(self, *names):
        return {("gradient", f"{name}/{role}"): 0.0 for name in names for role in ("kernel", "bias")}

    def test_a_layer_that_gets_a_gradient_now_and_then_is_connected(self):
        assert not findings("disconnected-variable", taking_turns(toy_run(), "hidden_1", "hidden_2"))

    def test_no_gradient_at_all_is_an_error_though_the_loss_falls(self):
        (finding,) = findings("disconnected-variable", unconnected(toy_run(), "hidden_1", "hidden_2"))
        assert (finding.severity, finding.variant) == (Severity.ERROR, "absent")
        assert finding.layers == ("hidden_1", "hidden_2")
        assert "hidden_2" in finding.remedies[0].title

    def test_an_operation_without_a_layer_hides_what_follows(self):
        run = with_layer(unconnected(toy_run(), "hidden_1"), "hidden_2", inbound=None)
        (finding,) = findings("disconnected-variable", run)
        assert finding.severity == Severity.ERROR

    def test_a_side_branch_that_nothing_uses_is_a_warning(self):
        run = unconnected(toy_run(), "hidden_2")
        run = with_layer(with_layer(run, "output", inbound=("hidden_1",)), "hidden_2", inbound=("hidden_1",))
        (finding,) = findings("disconnected-variable", run)
        assert (finding.severity, finding.layers, finding.explains) == (Severity.WARNING, ("hidden_2",), frozenset())

    def test_an_output_without_a_loss_is_told_to_get_one(self):
        run = with_layer(unconnected(toy_run(), "hidden_2"), "hidden_2", is_output=True)
        (finding,) = findings("disconnected-variable", run)
        assert finding.severity == Severity.ERROR
        assert finding.remedies[0].title == "Give hidden_2 a loss"

    @pytest.mark.parametrize(("alone", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)])
    def test_an_optimizer_that_trains_nothing_is_an_error_whatever_the_loss_of_others(self, alone, severity):
        run = toy_run(self.zero("hidden_1"), loss=np.geomspace(1, 1e-3, 30))
        trainers = {"hidden_1": 0 if alone else 1, "hidden_2": 1, "output": 1}
        cards = tuple(replace(card, optimizer=trainers[card.layer]) for card in run.model.variables)
        (finding,) = findings("disconnected-variable", replace(run, model=replace(run.model, variables=cards)))
        assert finding.severity == severity

    def test_a_tiny_gradient_is_none(self):
        tiny = dict.fromkeys(self.zero("hidden_1"), 1e-09)
        assert not findings("disconnected-variable", toy_run(tiny, loss=1.0))

    def test_zero_at_all_samples_but_one_is_none(self):
        once = {key: [0.0] * 29 + [1e-6] for key in self.zero("hidden_1")}
        assert not findings("disconnected-variable", toy_run(once, loss=1.0))

    def test_a_layer_of_which_one_variable_gets_a_gradient_is_connected(self):
        assert not findings("disconnected-variable", toy_run({("gradient", "hidden_1/bias"): 0.0}, loss=1.0))

    @pytest.mark.parametrize(
        ("layer", "samples", "severity"),
        [("output", 9, Severity.WARNING), ("output", 30, Severity.ERROR), ("hidden_1", 30, Severity.WARNING)],
    )
    def test_zeros_beside_a_loss_that_fell_are_an_error_where_an_output_learns_nothing(self, layer, samples, severity):
        loss = np.logspace(0, -3, samples)
        scale = self.zero(layer) | {("activation_gradient", "output"): 0.0}
        (finding,) = findings("disconnected-variable", toy_run(scale, steps=range(samples), loss=loss))
        assert (finding.severity, finding.variant) == (severity, "zero")

    @pytest.mark.parametrize(
        ("layer", "activation", "policy", "variant"),
        [
            ("output", "relu", "float32", "erased"),
            ("output", "relu", "mixed_float16", "zero"),
            ("output", "relu", "mixed_bfloat16", "erased"),
            ("hidden_1", "linear", "float32", "erased"),
            ("hidden_1", "relu", "float32", "zero"),
        ],
    )
    def test_a_gradient_that_arrives_and_is_not_handed_on_was_lost_by_the_step(
        self, layer, activation, policy, variant
    ):
        settings = {"dtype_policy": policy}
        run = toy_run(self.zero(layer), activation=activation, settings=settings, loss=1.0)
        (finding,) = findings("disconnected-variable", run)
        assert finding.variant == variant
        assert (finding.remedies[0].title == "Hand the optimizer the gradients that the tape gives") == (
            variant == "erased"
        )

    @pytest.mark.parametrize(
        ("share", "units", "loss", "found"),
        [(0.9, 1, 1.0, 1), (0.6, 1, 1.0, 0), (0.9, 4, 1.0, 0), (0.9, 1, None, 0), (np.linspace(0, 1, 30), 1, 1.0, 0)],
    )
    def test_a_loss_that_has_no_slope_for_most_answers_is_found(self, share, units, loss, found):
        run = toy_run(put={("activation_gradient", "output", "zero_fraction"): share}, loss=loss)
        cards = tuple(replace(c, units=units, output_shape=(None, units)) for c in run.model.layers)
        mine = findings("disconnected-variable", replace(run, model=replace(run.model, layers=cards)))
        assert [(f.severity, f.variant, f.layers) for f in mine] == [(Severity.ERROR, "flat-loss", ("output",))] * found

    def test_zero_at_the_only_samples_that_have_a_gradient_is_none(self):
        run = toy_run(self.zero("hidden_1"), loss=1.0)
        values = run.values.copy()
        values[:-2, [run.index["gradient", f"hidden_1/{name}"] for name in ("kernel", "bias")]] = np.nan
        assert not findings("disconnected-variable", replace(run, values=values))

    def test_two_samples_do_not_tell_zero(self):
        assert not findings("disconnected-variable", toy_run(self.zero("hidden_1"), steps=range(2), loss=1.0))

    def test_what_the_optimizer_was_not_handed_is_not_judged(self):
        run = unconnected(toy_run(), "hidden_1")
        others = tuple(
            replace(card, optimized=False) if card.layer == "hidden_1" else card for card in run.model.variables
        )
        assert not findings("disconnected-variable", replace(run, model=replace(run.model, variables=others)))


class TestSymmetricWeights:
    ALIKE = {("weight", "hidden_1/kernel", "unit_std"): 0.0}  # noqa: RUF012

    def test_units_that_stay_alike_are_an_error(self):
        (finding,) = findings("symmetric-weights", toy_run(put=self.ALIKE, loss=1.0))
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("hidden_1",))
        assert finding.measurements[0].value == 0

    def test_a_loss_that_fell_forgives_constants(self):
        (finding,) = findings("symmetric-weights", toy_run(put=self.ALIKE))
        assert finding.severity == Severity.WARNING

    def test_zeros_are_told_from_other_constants_and_never_forgiven(self):
        (finding,) = findings("symmetric-weights", toy_run({("weight", "hidden_1/kernel"): 0.0}))
        assert finding.severity == Severity.ERROR
        assert finding.sentence == "all weights of hidden_1 are zero, from the start"

    def test_what_breaks_by_itself_is_none(self):
        spread = np.concatenate([[0.0], np.linspace(0.01, 0.3, 29)])
        put = {("weight", "hidden_2/kernel", "unit_std"): spread, ("weight", "hidden_2/kernel", "rms"): spread}
        assert not findings("symmetric-weights", toy_run(put=put))

    def test_what_became_alike_is_none(self):
        put = {("weight", "hidden_1/kernel", "unit_std"): [0.3] * 10 + [0.0] * 20}
        assert not findings("symmetric-weights", toy_run(put=put, loss=1.0))

    def test_the_output_is_not_judged(self):
        assert not findings("symmetric-weights", toy_run({("weight", "output/kernel"): 0.0}, loss=1.0))

    def test_a_single_unit_is_alike_by_nature(self):
        run = toy_run(put=self.ALIKE, loss=1.0)
        one = tuple(
            replace(card, shape=(16, 1)) if card.name == "hidden_1/kernel" else card for card in run.model.variables
        )
        assert not findings("symmetric-weights", replace(run, model=replace(run.model, variables=one)))

    def test_biases_with_two_axes_are_no_kernels(self):
        run = toy_run({("weight", "hidden_1/bias"): 0.0})
        bias = VariableCard("hidden_1/bias", "hidden_1", "bias", (2, 8))
        others = tuple(bias if card.name == bias.name else card for card in run.model.variables)
        assert not findings("symmetric-weights", replace(run, model=replace(run.model, variables=others)))

    def test_a_log_without_the_spread_is_not_judged(self):
        put = {("weight", f"{name}/kernel", "unit_std"): np.nan for name in ("hidden_1", "hidden_2", "output")}
        assert "record weights" in reason("symmetric-weights", toy_run(put=put))


class TestCollapsedRepresentation:
    ALIKE = {("activation", "hidden_2", "example_std"): 1e-3}  # noqa: RUF012

    def test_examples_that_look_alike_beside_a_loss_at_rest_are_an_error(self):
        (finding,) = findings("collapsed-representation", toy_run(put=self.ALIKE, loss=1.0))
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("hidden_2",))

    def test_a_loss_that_falls_for_another_reason_does_not_hide_an_utter_collapse(self):
        put = {("activation", "hidden_2", "example_std"): 1e-7}
        (finding,) = findings("collapsed-representation", toy_run(put=put))
        assert finding.severity == Severity.ERROR

    def test_a_loss_that_falls_forgives(self):
        assert not findings("collapsed-representation", toy_run(put=self.ALIKE))

    def test_a_layer_that_is_constant_by_design_is_none(self):
        assert not findings(
            "collapsed-representation", toy_run(put={("activation", "hidden_1", "example_std"): 0.0}, loss=1.0)
        )

    def test_alike_at_first_only_is_none(self):
        put = {("activation", "hidden_2", "example_std"): [1e-5] * 12 + [0.5] * 18}
        assert not findings("collapsed-representation", toy_run(put=put, loss=1.0))

    def test_inputs_that_are_alike_cannot_be_told_apart(self):
        put = self.ALIKE | {("input", "input", "example_std"): 1e-3}
        assert not findings("collapsed-representation", toy_run(put=put, loss=1.0))

    SHRINKS = {("activation", "hidden_2", "example_std"): [0.7] * 5 + [0.02] * 25}  # noqa: RUF012

    @pytest.mark.parametrize(("losses", "found"), [(None, 1), ([{"name": "mean_squared_error"}], 0)])
    def test_what_shrinks_under_a_loss_that_falls_is_found_unless_the_loss_tells_that_it_learns(self, losses, found):
        run = toy_run(put=self.SHRINKS, settings={"losses": losses, "loss": "contrastive"})
        mine = findings("collapsed-representation", run)
        assert [(f.severity, f.layers) for f in mine] == [(Severity.ERROR, ("hidden_2",))] * found

    @pytest.mark.parametrize(("penalty", "variant"), [(2.0, "penalised"), (0.1, "")])
    def test_a_penalty_that_asks_for_it_is_the_cause(self, penalty, variant):
        step = {"called_loss": 1.0 / (1 + penalty)}
        dead = {("activation", "hidden_2", "dead_unit_fraction"): [0.1] * 5 + [1.0] * 25}
        run = toy_run(put=self.SHRINKS | dead, loss=1.0, step=step, settings={"loss_additions": ["penalties"]})
        (finding,) = findings("collapsed-representation", run)
        assert finding.variant == variant
        assert (finding.remedies[0].topic == "penalty") == bool(variant)
        root = diagnose(run).causes[0].root
        assert (root.rule == "collapsed-representation") == bool(variant)

    @pytest.mark.parametrize(("left", "variant"), [(1e-3, "penalised"), (0.5, "")])
    def test_so_is_a_small_one_that_was_minimised_while_nothing_else_was(self, left, variant):
        added = 0.1 * np.geomspace(1, left, 30)
        step, settings = {"called_loss": 1.0}, {"loss_additions": ["penalties"]}
        run = toy_run(put=self.SHRINKS, loss=1.0 + added, step=step, settings=settings)
        (finding,) = findings("collapsed-representation", run)
        assert (finding.variant, "is left" in finding.sentence) == (variant, bool(variant))

    @pytest.mark.parametrize(
        ("left", "cost", "variants"), [(1e-3, 0.7, ["penalised"]), (0.5, 0.7, [""]), (1e-3, 0.4, [""])]
    )
    def test_it_may_let_what_the_outputs_cost_fall_a_little(self, left, cost, variants):
        bare = np.r_[np.linspace(1.0, cost, 15), np.full(15, cost)]
        loss = bare + 0.1 * np.geomspace(1, left, 30)
        # Of a reconstruction's likelihood, say, nobody knows what a constant answer has.
        own = {"losses": [{"name": "likelihood", "from_logits": None, "output": None}], "loss_additions": ["penalties"]}
        utter = {("activation", "hidden_2", "example_std"): 1e-7}
        run = toy_run(put=utter, loss=loss, step={"called_loss": bare}, settings=own)
        assert [finding.variant for finding in findings("collapsed-representation", run)] == variants

    @pytest.mark.parametrize(("last", "variant"), [(1e-6, "rewarded"), (0.5, "")])
    def test_a_loss_without_targets_that_falls_as_all_become_alike_asks_for_it(self, last, variant):
        spread = np.geomspace(0.7, 1e-4, SAMPLES)
        shrinks = {("activation", name, "example_std"): spread for name in ("hidden_2", "output")}
        dead = {("activation", "hidden_2", "dead_unit_fraction"): [0.1] * 5 + [1.0] * 25}
        run = toy_run(put=shrinks | dead, loss=np.geomspace(1.0, last, SAMPLES), settings={"losses": [], "loss": None})
        keys = (replace(key, kind="input", name="other") if key.kind == "target" else key for key in run.tensors)
        run = replace(run, tensors=tuple(keys))
        (finding,) = findings("collapsed-representation", run)
        assert finding.variant == variant
        root = diagnose(run, [BY_NAME["collapsed-representation"], BY_NAME["dead-units"]]).causes[0].root
        assert (root.rule == "collapsed-representation") == bool(variant)

    def test_what_a_normalisation_takes_out_may_shrink(self):
        assert not findings("collapsed-representation", toy_run(put=self.SHRINKS, batch_norm=True, loss=1.0))

    def test_batches_of_one_are_not_judged(self):
        put = {("activation", name, "example_std"): np.nan for name in ("hidden_1", "hidden_2", "output")}
        assert "batches of one" in reason("collapsed-representation", toy_run(put=put, loss=1.0))

    def test_an_offset_that_a_normalisation_takes_out_is_none(self):
        run = toy_run(put=self.ALIKE, batch_norm=True, loss=1.0)
        assert not findings("collapsed-representation", run)


def test_zero_weights_read_as_one_diagnosis():
    names = ("hidden_1", "hidden_2", "output")
    scale = {("weight", f"{name}/kernel"): 0.0 for name in names}
    scale |= {("gradient", f"{name}/{role}"): 0.0 for name in names[:2] for role in ("kernel", "bias")}
    scale |= {("activation", name): 0.0 for name in names[:2]}
    put = {("activation", name, "example_std"): 0.0 for name in names[:2]}
    (cause,) = diagnose(toy_run(scale, put, loss=1.0)).causes
    assert cause.root.rule == "symmetric-weights"
    assert {"disconnected-variable", "collapsed-representation"} <= {f.rule for f in cause.consequences}


@pytest.mark.parametrize("name", ["disconnected-variable", "symmetric-weights", "collapsed-representation"])
def test_converged_runs_are_clear(name):
    vanishing = np.geomspace(1, 1e-7, SAMPLES)
    scale = {("gradient", f"{n}/{role}"): vanishing for n in ("hidden_1", "output") for role in ("kernel", "bias")}
    assert not findings(name, toy_run(scale, loss=vanishing))


class TestMisplacedSoftmax:
    def run(self, *, loss=1.0, beside=()):
        """The first layer decides for one of its 16 units."""
        run = toy_run(put={("activation", "hidden_1", "rms"): 0.25}, activation="relu", loss=loss)
        first, second, *rest = run.model.layers
        first = replace(first, activation=ActivationCard("softmax", "joint"))
        second = replace(second, inbound=("hidden_1", *beside))
        return replace(run, model=replace(run.model, layers=(first, second, *rest)))

    def test_what_is_behind_learns_only_which_unit_wins(self):
        (finding,) = findings("misplaced-softmax", self.run())
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("hidden_1",))
        assert "which one wins" in finding.sentence

    def test_a_gate_beside_other_inputs_is_none(self):
        assert not findings("misplaced-softmax", self.run(beside=("input",)))

    def test_nor_is_one_under_which_the_network_learns(self):
        assert not findings("misplaced-softmax", self.run(loss=None))


def test_an_operation_between_two_layers_may_bend_the_signal():
    bare = toy_run(activation="linear", loss=1.0)
    assert [f.variant for f in findings("linear-units", bare)] == ["no-activation"]
    first, second, *rest = bare.model.layers
    bent = replace(bare, model=replace(bare.model, layers=(first, replace(second, inbound=None), *rest)))
    assert not findings("linear-units", bent)


def test_a_leaky_relu_with_a_slope_of_one_bends_nothing():
    bare = toy_run(activation="linear", loss=1.0)
    first, second, *rest = bare.model.layers
    leak = replace(second, name="leak", kind="LeakyReLU", inbound=("hidden_1",), fan_in=None)
    for shape, found in (("linear", ["no-activation"]), ("leaky", [])):
        leak = replace(leak, activation=ActivationCard("leaky_relu", shape, 1.0))
        cards = (first, leak, replace(second, inbound=("leak",)), *rest)
        run = replace(bare, model=replace(bare.model, layers=cards))
        assert [f.variant for f in findings("linear-units", run)] == found


@pytest.mark.parametrize(("fan_in", "loss", "found"), [(2, 1.0, 1), (32, 1.0, 0), (2, 0.7, 0)])
def test_a_single_layer_without_activation_is_one_too_few_where_it_projects_nothing(fan_in, loss, found):
    run = toy_run(hidden=1, activation="linear", loss=loss)
    first, *rest = run.model.layers
    run = replace(run, model=replace(run.model, layers=(replace(first, fan_in=fan_in), *rest)))
    assert len([f for f in findings("linear-units", run) if f.variant == "no-activation"]) == found


def test_what_the_last_layer_gives_may_be_no_answer():
    put = {("activation", "output", "min"): 0.0, ("activation", "output", "max"): 9.0}
    settings = {"losses": [{"name": "binary_crossentropy", "from_logits": False, "output": None}]}
    run = toy_run(put=put, loss=1.0, settings=settings)
    assert findings("mismatched-loss", run)
    *layers, last = run.model.layers
    hidden = replace(run, model=replace(run.model, layers=(*layers, replace(last, is_output=False))))
    assert not [f for f in findings("mismatched-loss", hidden) if f.layers]


@pytest.mark.parametrize(("rates", "found"), [((0.6, 0.6, 0.6), 1), ((0.5, 0.5, 0.5), 0), ((0.6, 0.6, 0.1), 0)])
def test_several_strong_dropouts_leave_next_to_nothing_between_them(rates, found):
    run = toy_run(dropout=0.3, loss=1.0)
    *layers, dropout, last = run.model.layers
    drops = [replace(dropout, name=f"dropout_{i}", arguments={"rate": rate}) for i, rate in enumerate(rates)]
    run = replace(run, model=replace(run.model, layers=(*layers, *drops, last)))
    assert len(findings("excessive-dropout", run)) == found


@pytest.mark.parametrize(("late", "severity"), [(0.6, Severity.ERROR), (0.45, Severity.WARNING), (0.3, Severity.NOTE)])
def test_a_strong_dropout_is_judged_by_what_is_learnt_all_the_same(late, severity):
    (finding,) = findings("excessive-dropout", toy_run(dropout=0.9, loss=np.r_[np.ones(8), np.full(22, late)]))
    assert finding.severity == severity


def test_a_second_softmax_is_to_become_linear():
    run = toy_run(put={("activation", "hidden_2", "rms"): 0.07}, activation="softmax", loss=1.0)
    first, second, last = run.model.layers
    ends = replace(last, kind="Softmax", fan_in=None, inbound=("hidden_2",))
    (finding,) = findings("misplaced-softmax", replace(run, model=replace(run.model, layers=(first, second, ends))))
    assert "linear" in finding.remedies[0].title


@pytest.mark.parametrize(("late", "severity"), [(0.9, Severity.ERROR), (0.45, Severity.WARNING)])
def test_several_strong_dropouts_that_only_slow_it_down_are_a_warning(late, severity):
    run = toy_run(dropout=0.7, loss=np.r_[np.full(15, 1.0), np.linspace(1.0, late, 15)])
    two = replace(
        run.model,
        layers=tuple(
            replace(card, kind="Dropout", arguments={"rate": 0.7}) if card.name == "hidden_2" else card
            for card in run.model.layers
        ),
    )
    (finding,) = findings("excessive-dropout", replace(run, model=two))
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("stddev", "loss", "severity"),
    [
        (0.7, 1.0, None),  # the signal of the toy run has a deviation of 1
        (3.0, 1.0, Severity.ERROR),
        (3.0, np.linspace(1.0, 0.6, SAMPLES), Severity.WARNING),
        (9.0, np.linspace(1.0, 0.6, SAMPLES), Severity.ERROR),
        (3.0, None, Severity.NOTE),
    ],
)
def test_noise_that_drowns_the_signal_is_judged_by_what_is_learnt(stddev, loss, severity):
    noises = [{"layer": "noise", "stddev": stddev, "inbound": "input"}]
    run = toy_run(put={("input", "input", "example_std"): 1.0}, loss=loss, settings={"noises": noises})
    found = findings("excessive-dropout", run)
    assert [(f.pathology, f.layers, f.severity) for f in found] == (
        [("excessive-dropout:noise", ("noise",), severity)] if severity else []
    )


def test_noise_on_what_was_not_recorded_is_left_in_peace():
    noises = [{"layer": "noise", "stddev": 9.0, "inbound": None}]
    assert not findings("excessive-dropout", toy_run(loss=1.0, settings={"noises": noises}))


@pytest.mark.parametrize(
    ("late", "severity"), [(1.0, Severity.ERROR), (0.4, Severity.ERROR), (0.1, Severity.WARNING), (0.01, Severity.NOTE)]
)
def test_variables_that_keras_does_not_know_are_named(late, severity):
    settings = {"untracked_variables": ["projection/matrix"]}
    (finding,) = findings("omitted-variable", toy_run(loss=np.r_[np.ones(8), np.full(22, late)], settings=settings))
    assert (finding.pathology, finding.layers) == ("omitted-variable:untracked", ("projection",))
    assert finding.severity == severity
    assert bool(finding.explains) == (severity > Severity.NOTE)
    assert "add_weight" in finding.remedies[0].code


def test_a_network_that_was_good_from_the_start_can_do_without_variables_that_keras_does_not_know():
    settings = {"untracked_variables": ["projection/matrix"]}
    (finding,) = findings("omitted-variable", toy_run(loss=0.02, settings=settings))
    assert (finding.severity, finding.explains) == (Severity.NOTE, frozenset())


class TestShutOut:
    """What lets nothing of the examples through, between two layers that are not known to feed each other."""

    def run(self, *alike, apart=1.0, inbound=None):
        put = {("activation", name, "example_std"): 1e-7 for name in alike}
        put |= {("activation", "hidden_1", "example_std"): apart, ("activation", "hidden_1", "rms"): 1.0}
        run = toy_run(put=put, loss=1.0)
        cards = tuple(replace(card, inbound=inbound if card.name == alike[0] else ("x",)) for card in run.model.layers)
        return replace(run, model=replace(run.model, layers=cards))

    def test_hidden_layers_behind_it_look_alike(self):
        (finding,) = findings("collapsed-representation", self.run("hidden_2", "output"))
        assert (finding.severity, finding.variant, finding.layers) == (Severity.ERROR, "shut-out", ("hidden_2",))
        assert "at hidden_1 (they differ by 100 % of the signal) does not come through to hidden_2" in finding.sentence
        assert ["between hidden_1 and hidden_2" in remedy.title for remedy in finding.remedies] == [True]

    @pytest.mark.parametrize(
        ("apart", "inbound"), [(0.001, None), (1.0, ("hidden_1",))], ids=["before", "known to feed"]
    )
    def test_what_weights_may_have_done_is_no_shutting_out(self, apart, inbound):
        run = self.run("hidden_2", "output", apart=apart, inbound=inbound)
        assert [f.variant for f in findings("collapsed-representation", run)] == [""]

    def test_weights_of_zero_are_reason_enough(self):
        run = self.run("hidden_2", "output")
        values = run.values.copy()
        values[:, run.index["weight", "hidden_2/kernel"], STATISTIC_NAMES.index("rms")] = 0.0
        assert [f.variant for f in findings("collapsed-representation", replace(run, values=values))] == [""]

    def test_the_output_alone(self):
        (finding,) = findings("constant-output", self.run("output"))
        assert (finding.severity, finding.variant, finding.layers) == (Severity.ERROR, "shut-out", ("output",))


@pytest.mark.parametrize(("inbound", "first"), [(None, "Scale what saturates"), (("x",), "Initialise")])
def test_queries_and_keys_whose_gradient_vanishes_are_told_to_scale_their_scores(inbound, first):
    names = ("hidden_1", "hidden_2")
    run = toy_run({("activation_gradient", name): 1e-9 for name in names}, activation="linear", loss=1.0)
    cards = tuple(replace(c, inbound=inbound if c.name in names else ("y",)) for c in run.model.layers)
    (finding,) = findings("vanishing-gradient", replace(run, model=replace(run.model, layers=cards)))
    assert finding.remedies[0].title.startswith(first)
