"""Which outputs, losses and targets fit each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence.reach import target_range
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.model_card import ActivationCard
from gradscope.vocabulary import QUANTILES, STATISTIC_NAMES

(RULE,) = [rule for rule in all_rules() if rule.name == "mismatched-loss"]


def run_with(function, activation="linear", *, output=(-2.0, 2.0), target=(0.0, 1.0), logits=None, units=16, **toy):
    """A run whose output has that activation and range, with targets spread evenly between two values."""
    at = np.array(QUANTILES)
    low, high = target
    put = {("activation", "output", "min"): output[0], ("activation", "output", "max"): output[1]}
    put |= {("target", "target", "min"): low, ("target", "target", "max"): high}
    put |= {
        ("target", "target", f"quantile_{round(q * 100):02d}"): low + (high - low) * share
        for q, share in zip(QUANTILES, at, strict=True)
    }
    losses = [{"name": function, "from_logits": logits, "output": None}]
    run = toy_run(put=put, settings={"losses": losses}, **({"loss": 1.0} | toy))
    cards = list(run.model.layers)
    cards[-1] = replace(cards[-1], activation=ActivationCard(activation, "joint"), units=units)
    return replace(run, model=replace(run.model, layers=tuple(cards)))


def passed_by(run):
    """The same run where Keras computed the loss from the logits."""
    kinds = [
        replace(key, kind="preactivation_gradient") if key.name == "output" and "gradient" in key.kind else key
        for key in run.tensors
    ]
    return replace(run, tensors=tuple(kinds))


def found(run):
    return [(f.variant, f.severity) for f in diagnose(run, [RULE]).findings()]


@pytest.mark.parametrize(("low", "severities"), [(-2.0, [Severity.ERROR]), (-0.5, [Severity.WARNING]), (0.0, [])])
def test_a_logarithmic_error_is_blind_below_zero(low, severities):
    run = run_with("mean_squared_logarithmic_error", target=(low, 2.0))
    assert found(run) == [("logarithm-of-negatives", severity) for severity in severities]


@pytest.mark.parametrize(
    "run",
    [
        run_with("sparse_categorical_crossentropy", "softmax", output=(0, 1), target=(0, 15), logits=False),
        run_with("sparse_categorical_crossentropy", logits=True, output=(-9, 9), target=(0, 15)),
        run_with("sparse_categorical_crossentropy", logits=None, output=(-9, 9), target=(0, 15)),
        run_with("sparse_categorical_crossentropy", "softmax", output=(0, 1), target=(-1, 255), logits=False),
        run_with("categorical_crossentropy", "softmax", output=(0, 1), logits=False),
        run_with("binary_crossentropy", "sigmoid", output=(1e-9, 1), logits=False),
        run_with("binary_crossentropy", logits=True, output=(-3, 0.5)),
        run_with("mean_squared_error", target=(-100, 350)),
        run_with("mean_squared_error", "relu", target=(0, 350)),
        run_with("mean_squared_error", "tanh", target=(-1, 1)),
        run_with("mean_squared_error", "softmax", output=(0, 1)),
        run_with("poisson", "softplus", output=(1e-3, 9), target=(0, 30)),
        run_with("a loss of one's own", "tanh", target=(-100, 100)),
    ],
)
def test_what_fits_is_silent(run):
    assert found(run) == []


@pytest.mark.parametrize(
    ("run", "variant"),
    [
        (run_with("categorical_crossentropy", "softmax", output=(0, 1), logits=True), "squashed-twice"),
        (run_with("bce", "sigmoid", output=(0, 1), logits=True, units=1), "squashed-twice"),
        (run_with("categorical_crossentropy", "custom", output=(0, 1), logits=True), "squashed-twice"),
        (run_with("sparse_categorical_crossentropy", logits=False), "logits-as-probabilities"),
        (run_with("binary_crossentropy", "tanh", output=(-1, 1), logits=False), "logits-as-probabilities"),
        (run_with("sparse_categorical_crossentropy", "relu", output=(0, 9), logits=True), "one-sided-logits"),
        (run_with("poisson", output=(-1, 5), target=(0, 30)), "logits-as-probabilities"),
        (run_with("binary_crossentropy", "softmax", output=(1, 1), units=1, logits=False), "single-unit-softmax"),
        (run_with("mse", "relu", output=(0, 2), target=(-1, 1)), "unreachable-targets"),
        (run_with("mae", "sigmoid", output=(0, 1), target=(20, 350)), "unreachable-targets"),
        (run_with("huber", "tanh", output=(-1, 1), target=(-9, 9)), "unreachable-targets"),
        (
            run_with("binary_crossentropy", "sigmoid", output=(0, 1), target=(-1, 1), logits=False),
            "labels-out-of-range",
        ),
        (run_with("binary_crossentropy", logits=True, output=(-4, 4), target=(0, 255)), "labels-out-of-range"),
        (run_with("binary_crossentropy", output=(-4, 4), target=(0.7, 8.9), logits=False), "labels-out-of-range"),
    ],
)
def test_what_does_not_fit_is_an_error(run, variant):
    assert found(run) == [(variant, Severity.ERROR)]


def test_what_keras_mends_by_itself_is_a_note():
    run = passed_by(run_with("categorical_crossentropy", "softmax", output=(0, 1), logits=True))
    (finding,) = diagnose(run, [RULE]).findings()
    assert (finding.severity, finding.explains) == (Severity.NOTE, frozenset())
    assert "Keras noticed" in finding.sentence


def test_a_softmax_over_one_unit_is_wrong_though_the_loss_falls():
    run = run_with("binary_crossentropy", "softmax", output=(1, 1), units=1, logits=False, loss=None)
    assert found(passed_by(run)) == [("single-unit-softmax", Severity.ERROR)]


def test_logits_that_the_loss_learns_from_all_the_same_are_a_warning():
    run = run_with("binary_crossentropy", logits=False, loss=None)
    assert found(run) == [("logits-as-probabilities", Severity.WARNING)]


def test_a_few_targets_out_of_reach_are_a_warning():
    assert found(run_with("mse", "relu", target=(-2, 10))) == [("unreachable-targets", Severity.WARNING)]


def test_labels_without_a_unit_count_where_the_loss_breaks():
    run = run_with("sparse_categorical_crossentropy", logits=True, target=(1, 16), loss=[1.0] * 10 + [np.inf] * 20)
    assert found(run) == [("labels-out-of-range", Severity.ERROR)]


def test_of_several_outputs_only_the_named_ones_are_judged():
    def two(*names):
        run = run_with("mse")
        losses = [{"name": "categorical_crossentropy", "from_logits": False, "output": name} for name in names]
        layers = (run.model.layers[0], replace(run.model.layers[1], is_output=True), run.model.layers[2])
        return replace(run, model=replace(run.model.with_settings({"losses": losses}), layers=layers))

    assert [f.layers for f in diagnose(two("hidden_2", "output"), [RULE]).findings()] == [("hidden_2",), ("output",)]
    assert found(two(None, None)) == []


def test_a_run_of_a_loop_of_ones_own_is_not_judged():
    (verdict,) = diagnose(toy_run(settings={"losses": None}), [RULE]).verdicts
    assert "record a compiled model's fit()" in verdict.reason


@pytest.mark.parametrize(
    ("target", "bounds", "share"),
    [((-1, 1), (0, np.inf), 0.5), ((0, 1), (0, 1), 0.0), ((-1, 1), (-0.5, 0.5), 0.125), ((5, 7), (0, 1), 75.0)],
)
def test_the_unreachable_share_of_even_targets(target, bounds, share):
    # By hand: the mean squared distance to the bounds over the variance of a uniform distribution, width² / 12.
    run = run_with("mse", target=target)
    expected = share if share != 75.0 else ((6**3 - 4**3) / 3 / 2) / (2**2 / 12)
    assert target_range(run, "target").unreachable(*bounds) == pytest.approx(expected, rel=0.02, abs=1e-6)


def test_extremes_alone_tell_only_targets_that_all_lie_outside():
    run = toy_run()
    assert np.isnan(target_range(run, "target").unreachable(0, np.inf))
    assert target_range(run, "target").unreachable(3, np.inf) == 1
    assert np.isnan(target_range(run, "elsewhere").unreachable(0, 1))


def in_a_loop(run, *, steepest, shape=None):
    """The same run, of a loop that names no loss; the steepest slope at an entry of the output."""
    values = run.values.copy()
    row = run.index["activation_gradient", "output"]
    count = values[0, row, STATISTIC_NAMES.index("count")]
    for name, sign in (("min", -1), ("max", 1)):
        values[:, row, STATISTIC_NAMES.index(name)] = sign * steepest * 16 / count
    told = {"losses": [], "loss": None, "target_shapes": {"target": shape}}
    return replace(run, values=values, model=run.model.with_settings(told))


@pytest.mark.parametrize(("steepest", "expected"), [(0.95, [("squashed-twice", Severity.ERROR)]), (16.0, [])])
def test_in_a_loop_the_slope_at_a_softmax_tells_which_loss_it_is(steepest, expected):
    run = run_with("", "softmax", output=(0.01, 0.3), loss=np.log(16))
    assert found(in_a_loop(run, steepest=steepest)) == expected


@pytest.mark.parametrize(("shape", "expected"), [([None], [("broadcast", Severity.ERROR)]), ([None, 1], [])])
def test_targets_with_an_axis_less_are_compared_with_every_answer(shape, expected):
    run = run_with("", output=(-0.2, 0.2), target=(-2, 2), units=1)
    values = run.values.copy()
    for kind, rms in (("activation", 0.1), ("target", 1.0)):
        row = run.index[kind, "output" if kind == "activation" else "target"]
        for name, number in (("mean", 0.0), ("rms", rms), ("std", rms), ("example_std", rms)):
            values[:, row, STATISTIC_NAMES.index(name)] = number
    cards = [replace(card, output_shape=(None, 1)) if card.is_output else card for card in run.model.layers]
    run = replace(run, values=values, model=replace(run.model, layers=tuple(cards)))
    assert found(in_a_loop(run, steepest=1.0, shape=shape)) == expected


@pytest.mark.parametrize(("activation", "found"), [("relu", ["one-sided-logits"]), ("linear", [])])
def test_a_softmax_layer_needs_logits_of_both_signs(activation, found):
    run = run_with("categorical_crossentropy", activation, output=(0.0, 0.9), logits=False)
    logits = replace(run.model.layers[-1], name="logits")
    softmax = replace(
        logits, name="output", kind="Softmax", activation=ActivationCard("softmax", "joint"), inbound=("logits",)
    )
    logits = replace(logits, is_output=False)
    run = replace(run, model=replace(run.model, layers=(*run.model.layers[:-1], logits, softmax)))
    assert [f.variant for f in diagnose(run, [RULE]).findings()] == found


@pytest.mark.parametrize(
    ("zeros", "loss", "expected"), [(0.8, 1.0, ["silent-output"]), (0.45, 1.0, []), (0.8, None, [])]
)
def test_a_relu_output_that_falls_silent_learns_no_more(zeros, loss, expected):
    run = run_with("mean_squared_error", "relu", output=(0, 1), loss=loss)
    values = run.values.copy()
    for key, share in {("activation", "output"): zeros, ("target", "target"): 0.4}.items():
        values[:, run.index[key], STATISTIC_NAMES.index("zero_fraction")] = share
    cards = list(run.model.layers)
    cards[-1] = replace(cards[-1], activation=ActivationCard("relu", "rectifier"))
    run = replace(run, values=values, model=replace(run.model, layers=tuple(cards)))
    assert [variant for variant, _ in found(run)] == expected


@pytest.mark.parametrize(
    ("loss", "activation", "target", "expected"),
    [
        ("mean_absolute_error", "softmax", (0, 1), ["absolute-error-of-shares"]),
        ("mean_squared_error", "softmax", (0, 1), ["squared-error-of-shares"]),
        ("mean_absolute_error", "sigmoid", (0, 1), []),
        ("mean_absolute_error", "softmax", (0, 0.5), []),
    ],
)
def test_errors_of_a_softmax_hardly_tell_right_from_wrong(loss, activation, target, expected):
    run = run_with(loss, activation, output=(0, 1), target=target)
    values = run.values.copy()
    values[:, run.index["target", "target"], STATISTIC_NAMES.index("mean")] = 1 / 16
    assert [variant for variant, _ in found(replace(run, values=values))] == expected


@pytest.mark.parametrize(("least", "expected"), [(0.0, ["rates-of-zero"]), (0.01, [])])
def test_a_rate_has_to_be_above_zero(least, expected):
    run = run_with("poisson", "relu", output=(least, 3.0), target=(0, 5))
    assert [variant for variant, _ in found(run)] == expected


def test_a_squared_error_of_a_softmax_that_learns_is_left_in_peace():
    run = run_with("mean_squared_error", "softmax", output=(0, 1), target=(0, 1), loss=None)
    values = run.values.copy()
    values[:, run.index["target", "target"], STATISTIC_NAMES.index("mean")] = 1 / 16
    assert not found(replace(run, values=values))


def test_what_a_loss_below_zero_compares_with_is_no_target():
    losses = (np.linspace(1.0, 0.9, 30), np.linspace(1.0, -0.5, 30))
    runs = [run_with("mean_squared_error", "tanh", output=(-1, 1), target=(-3, 3), loss=loss) for loss in losses]
    assert [[variant for variant, _ in found(run)] for run in runs] == [["unreachable-targets"], []]


@pytest.mark.parametrize(
    ("share", "counted", "expected"),
    [
        (0.08, 0.007, [("weights-reversed", Severity.ERROR)]),
        (0.92, 0.993, [("weights-reversed", Severity.ERROR)]),
        (0.08, 0.0, [("weights-reversed", Severity.ERROR)]),
        (0.25, 0.05, [("weights-reversed", Severity.WARNING)]),
        (0.08, 0.5, []),
        (0.45, 0.05, []),
        (0.6, 0.01, [("weights-reversed", Severity.ERROR)]),
        (0.4, 0.99, [("weights-reversed", Severity.ERROR)]),
        (0.6, 0.1, []),
        (0.08, np.nan, []),
    ],
)
def test_weights_that_leave_a_class_out(share, counted, expected):
    run = run_with("binary_crossentropy", "sigmoid", output=(0, 1), target=(0, 1), units=1, logits=False, loss=None)
    values = run.values.copy()
    row = run.index["target", "target"]
    values[:, row, STATISTIC_NAMES.index("mean")] = share
    values[:, row, STATISTIC_NAMES.index("weighted_mean")] = 5 * counted
    weights = {"example_weight": np.full(len(run.steps), 5.0, np.float32)}
    run = replace(run, values=values, step_statistics={**run.step_statistics, **weights})
    assert found(run) == expected
    left = "rare one" if min(share, 1 - share) < 0.3 else "common one"
    assert all(left in finding.sentence for finding in diagnose(run, [RULE]).findings())


@pytest.mark.parametrize(
    ("smoothing", "loss", "expected"),
    [
        (1.0, 1.0, [("smoothed-away", Severity.ERROR)]),
        (0.9, 1.0, [("smoothed-away", Severity.ERROR)]),
        (0.1, 1.0, []),
        (None, 1.0, []),
    ],
)
@pytest.mark.parametrize("function", ["categorical_crossentropy", "binary_crossentropy"])
def test_labels_that_are_smoothed_away_are_all_alike(function, smoothing, loss, expected):
    activation = "softmax" if function.startswith("cat") else "sigmoid"
    run = run_with(function, activation, output=(0, 1), logits=False, loss=loss)
    (entry,) = run.settings["losses"]
    told = {"losses": [entry | ({} if smoothing is None else {"label_smoothing": smoothing})]}
    run = replace(run, model=run.model.with_settings(told))
    assert found(run) == expected
    remedies = [remedy for finding in diagnose(run, [RULE]).findings() for remedy in finding.remedies]
    assert ["label_smoothing=0.1" in remedy.code for remedy in remedies] == [True] * len(expected)


def test_two_classes_by_number_are_weighed_alike():
    run = run_with("sparse_categorical_crossentropy", "softmax", output=(0, 1), target=(0, 1), units=2, loss=None)
    row, values = run.index["target", "target"], run.values.copy()
    values[:, row, STATISTIC_NAMES.index("mean")] = 0.26
    values[:, row, STATISTIC_NAMES.index("weighted_mean")] = 0.0
    weights = {"example_weight": np.full(len(run.steps), 0.5, np.float32)}
    run = replace(run, values=values, step_statistics={**run.step_statistics, **weights})
    assert found(run) == [("weights-reversed", Severity.ERROR)]


@pytest.mark.parametrize(
    ("target", "loss", "expected"),
    [((-1.0, 1.0), 97.0, ["percentages-of-zero"]), ((5.0, 9.0), 97.0, []), ((-1.0, 1.0), 9.0, [])],
)
def test_errors_in_per_cent_of_targets_near_zero_have_no_bound(target, loss, expected):
    run = run_with("mean_absolute_percentage_error", target=target, loss=loss)
    assert [variant for variant, _ in found(run)] == expected


@pytest.mark.parametrize(("late", "severity"), [(60.0, Severity.WARNING), (2000.0, Severity.ERROR)])
def test_per_cent_worse_than_answering_0_to_all_are_an_error_though_they_fall(late, severity):
    run = run_with(
        "mean_absolute_percentage_error", target=(-1.0, 1.0), loss=[*np.geomspace(1e5, late, 10), *[late] * 20]
    )
    assert found(run) == [("percentages-of-zero", severity)]


@pytest.mark.parametrize(("greatest", "title"), [(2.0, "numbers of the classes"), (9.0, "linear")])
def test_a_softmax_that_is_asked_for_numbers_of_its_classes_wants_a_loss_for_them(greatest, title):
    run = run_with("mse", "softmax", output=(0, 1), target=(0.0, greatest), units=3)
    (finding,) = diagnose(run, [RULE]).findings()
    assert finding.variant == "unreachable-targets"
    assert title in finding.remedies[0].title


def of_two_values(run, share=0.5):
    """The same run with targets that take their two ends only."""
    put = {f"quantile_{round(q * 100):02d}": "min" if q < share else "max" for q in QUANTILES}
    values, row = run.values.copy(), run.index["target", "target"]
    for statistic, end in put.items():
        values[:, row, STATISTIC_NAMES.index(statistic)] = values[:, row, STATISTIC_NAMES.index(end)]
    return replace(run, values=values)


@pytest.mark.parametrize(
    ("greatest", "units", "code"), [(3, 1, "Dense(4"), (255, 1, "y_train > 0"), (3, 16, "y_train > 0")]
)
def test_numbers_of_classes_ask_for_as_many_units(greatest, units, code):
    run = run_with("binary_crossentropy", "sigmoid", output=(0, 1), target=(0, greatest), units=units, logits=False)
    (finding,) = diagnose(of_two_values(run), [RULE]).findings()
    assert code in finding.remedies[0].code


@pytest.mark.parametrize(
    ("activation", "output", "target", "code"),
    [
        ("sigmoid", (0, 1), (-3.7, 4.4), "y_train - low) / (high - low"),
        ("sigmoid", (0, 1), (0, 255), "y_train - low) / (high - low"),
        ("linear", (-1, 4), (0.7, 8.9), 'loss = "mean_squared_error"'),
        ("linear", (-1, 4), (0, 1), "from_logits=True"),
    ],
)
def test_amounts_are_not_cut_to_labels(activation, output, target, code):
    run = run_with("binary_crossentropy", activation, output=output, target=target, logits=False)
    (finding,) = diagnose(run, [RULE]).findings()
    assert code in finding.remedies[0].code
    compile(finding.remedies[0].code, "remedy", "exec")


def test_a_single_unit_takes_the_loss_of_two_classes():
    run = run_with("categorical_crossentropy", "sigmoid", output=(0, 1), units=1, logits=False)
    (finding,) = diagnose(run, [RULE]).findings()
    assert finding.remedies[0].code.splitlines()[1] == "loss = keras.losses.BinaryCrossentropy()"


def test_the_layer_that_makes_the_logits_is_the_one_to_change():
    run = run_with("sparse_categorical_crossentropy", "softmax", output=(0, 1), logits=False)
    cards = list(run.model.layers)
    cards[-1] = replace(cards[-1], kind="Softmax")
    (finding,) = diagnose(replace(run, model=replace(run.model, layers=tuple(cards))), [RULE]).findings()
    assert finding.remedies[0].title == "Make the output hidden_2 linear"
    assert finding.remedies[0].code == 'keras.layers.Dense(16, name="hidden_2")'


def test_categories_need_more_than_one_unit():
    one, three = (run_with("categorical_crossentropy", "sigmoid", output=(0.1, 0.9), units=n) for n in (1, 3))
    (finding,) = diagnose(one, [RULE]).findings()
    assert finding.variant == "single-category"
    assert not list(diagnose(three, [RULE]).findings())


@pytest.mark.parametrize(("broken", "expected"), [(True, [("logits-as-probabilities", Severity.ERROR)]), (False, [])])
def test_relu_where_probabilities_are_asked_for_counts_where_all_breaks_down_at_once(broken, expected):
    run = run_with("categorical_crossentropy", "relu", output=(0, 0.9), logits=False)
    row = run.index["activation_gradient", "output"]
    run.values[:, row, STATISTIC_NAMES.index("nan_count")] = 9.0 * broken
    assert found(run) == expected


@pytest.mark.parametrize(
    ("mean", "activation", "expected"),
    [(0.3, "softmax", [("several-labels", Severity.ERROR)]), (1 / 16, "softmax", []), (0.3, "sigmoid", [])],
)
def test_a_softmax_cannot_stand_for_several_labels(mean, activation, expected):
    run = run_with("binary_crossentropy", activation, output=(0, 1), logits=False)
    run.values[:, run.index["target", "target"], STATISTIC_NAMES.index("mean")] = mean
    assert found(run) == expected


@pytest.mark.parametrize(
    ("delta", "optimizer", "loss", "variants"),
    [(0.02, "SGD", 1.0, ["early-bend"]), (0.5, "SGD", 1.0, []), (0.02, "Adam", 1.0, []), (0.02, "SGD", 0.05, [])],
)
def test_a_huber_loss_that_bends_far_below_the_targets_deviation_has_next_to_no_gradient(
    delta, optimizer, loss, variants
):
    put = {("target", "target", f"quantile_{round(q * 100):02d}"): 4 * q - 2 for q in QUANTILES}
    settings = {"losses": [{"name": "huber", "delta": delta, "output": "output"}], "optimizer": {"name": optimizer}}
    falls = 0.02 * np.geomspace(1.0, loss, 30)
    mine = list(diagnose(toy_run(put=put, loss=falls, settings=settings), [RULE]).findings())
    assert [finding.variant for finding in mine] == variants
    assert all("Huber(delta=1.5)" in finding.remedies[0].code for finding in mine)
