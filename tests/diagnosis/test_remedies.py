from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis import remedies
from gradscope.diagnosis.causes import causes_of
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.layer_code import layer_code
from gradscope.diagnosis.remedies.depth import plain_depth
from gradscope.diagnosis.rules.dead_units import DeadUnits
from gradscope.diagnosis.rules.disconnected_variable import DisconnectedVariable
from gradscope.diagnosis.rules.unchanged_weights import UnchangedWeights
from gradscope.diagnosis.rules.update_ratio_out_of_range import UpdateRatioOutOfRange
from gradscope.diagnosis.verdict import Finding, Severity
from gradscope.model_card import ActivationCard, LayerCard, ModelCard
from gradscope.vocabulary import STATISTIC_NAMES


def layer(function="relu", **changes):
    first = Evidence(toy_run(activation=function))["layers"][0]
    return replace(first, card=replace(first.card, **changes))


@pytest.mark.parametrize(
    ("activation", "shape", "initialiser"),
    [
        ("relu", "rectifier", "he_normal"),
        ("elu", "half_saturating", "he_normal"),
        ("selu", "half_saturating", "lecun_normal"),
        ("tanh", "bounded", "glorot_uniform"),
        ("sigmoid", "bounded", "glorot_uniform"),
        ("linear", "linear", "glorot_uniform"),
    ],
)
def test_the_initialiser_suits_the_activation(activation, shape, initialiser):
    code = remedies.initialise([layer(activation=ActivationCard(activation, shape))]).code
    assert f'kernel_initializer="{initialiser}"' in code
    assert ("Constant(0.1)" in code) == (shape == "rectifier")


def test_an_activation_that_is_a_layer_has_no_weights_to_initialise():
    tanh = replace(layer("tanh", kind="Activation", arguments={"activation": "tanh"}, fan_in=None), learns=False)
    initialise = remedies.initialise([tanh])
    assert initialise.title == "Initialise what feeds hidden_1 with Glorot uniform"
    assert initialise.code == '# the layer in front of hidden_1: kernel_initializer="glorot_uniform"'
    assert remedies.normalise([tanh], toy_run()).code == (
        'keras.layers.BatchNormalization(momentum=0.9)\nkeras.layers.Activation(activation="tanh", name="hidden_1")'
    )


def test_the_code_keeps_the_layers_own_arguments():
    convolution = layer(
        kind="Conv2D",
        name="encoder/conv",
        arguments={"filters": 8, "kernel_size": [3, 3], "padding": "same", "kernel_regularizer": {"class_name": "L2"}},
    )
    convolution = replace(convolution, name="encoder/conv")
    assert layer_code(convolution, {"kernel_initializer": '"he_normal"'}) == (
        'keras.layers.Conv2D(8, kernel_size=(3, 3), activation="relu", padding="same", '
        'kernel_initializer="he_normal", name="conv")'
    )


def test_without_a_card_the_code_is_a_comment():
    bare = Evidence(toy_run(card=False))["layers"][0]
    assert remedies.initialise([bare]).code.startswith("# hidden_1: kernel_initializer=")


def test_names_with_quotes_stay_valid_code():
    odd = replace(layer(), name='a"b\\c', card=LayerCard('a"b\\c', "Dense", arguments={"units": 2}))
    compile(layer_code(odd, {}), "remedy", "exec")


@pytest.mark.parametrize(
    ("rate", "ratio", "title", "code"),
    [
        (0.01, 1.0, "Lower the learning rate from 0.01 to about 1e-05", "optimizer.learning_rate = 1e-05"),
        (0.001, 3e-7, "Raise the learning rate from 0.001 to about 0.1", "optimizer.learning_rate = 0.1"),
        (float("nan"), 0.5, "Lower the learning rate by a factor of 500", ""),
    ],
)
def test_the_learning_rate_follows_from_the_ratio(rate, ratio, title, code):
    remedy = remedies.set_learning_rate(rate, ratio)
    assert (remedy.title, remedy.code) == (title, code)


@pytest.mark.parametrize("norm", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_senseless_norm_clips_at_one(norm):
    assert "global_clipnorm = 1.0" in remedies.clip_gradients(norm).code


def test_changing_the_activation_takes_the_old_one_away():
    code = remedies.replace_activation([layer("sigmoid")], "relu").code
    assert 'activation="relu"' in code
    assert "sigmoid" not in code


def with_input(run, *, rms=1.0, zero_fraction=0.0, batch=None):
    """The same run with statistics of its input and, where given, examples in a batch."""
    values, row = run.values.copy(), run.index["input", "input"]
    values[:, row, STATISTIC_NAMES.index("rms")] = rms
    values[:, row, STATISTIC_NAMES.index("zero_fraction")] = zero_fraction
    steps = dict(run.step_statistics)
    if batch is not None:
        steps["example_count"] = np.full(len(run.steps), batch)
    return replace(run, values=values, step_statistics=steps)


@pytest.mark.parametrize(
    ("rms", "zero_fraction", "off"),
    [(1.0, 0.0, False), (120.0, 0.0, True), (0.003, 0.0, True), (0.03, 0.999, False), (np.nan, np.nan, None)],
)
def test_the_scale_of_an_input_counts_without_its_zeros(rms, zero_fraction, off):
    run = with_input(toy_run(), rms=rms, zero_fraction=zero_fraction)
    assert remedies.input_is_off(run) is off
    assert bool(remedies.scale_input_if_off(run)) == (off is not False)


def test_numbers_of_words_have_no_scale():
    card = LayerCard("words", "Embedding", depth=0, inbound=("input",))
    run = with_input(replace(toy_run(), model=ModelCard((card,))), rms=5000.0)
    assert remedies.input_is_off(run) is False
    assert not remedies.scale_input_if_off(run)


def test_remedies_fit_the_run():
    def proposed(run):
        (finding,) = diagnose(run, [DeadUnits()]).findings()
        return {remedy.topic for remedy in finding.remedies}, " ".join(remedy.title for remedy in finding.remedies)

    from_start = toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): 0.8}, loss=1.0)
    assert "input-scale" in proposed(with_input(from_start, rms=np.nan))[0]
    assert "input-scale" not in proposed(with_input(from_start))[0]
    died = [0.0] * 10 + [0.8] * 20
    later = toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): died}, loss=1.0)
    assert "Normalise the batches" in proposed(with_input(later, batch=32))[1]
    assert "example by example" in proposed(with_input(later, batch=1))[1]


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "SGD"])
def test_optimizers_come_with_ready_code(name):
    code = remedies.use_optimizer(name, 0.01).code
    assert f"keras.optimizers.{name}(learning_rate=0.01" in code
    compile(code, "remedy", "exec")


def test_clipping_is_loosened_above_the_usual_norm():
    assert "global_clipnorm = 15" in remedies.loosen_clipping(5.0).code
    assert "away" in remedies.loosen_clipping(float("nan")).title


def test_a_learning_rate_is_raised_a_hundredfold_at_most():
    assert remedies.raise_learning_rate(1e-6, 1e5, "r").code == "optimizer.learning_rate = 0.0001"


def test_selu_brings_its_initialiser():
    code = remedies.replace_activation([layer("relu")], "selu").code
    assert 'activation="selu"' in code
    assert 'kernel_initializer="lecun_normal"' in code


def stack(names, **changes):
    return [replace(layer(**changes), name=name) for name in names]


def test_the_code_of_many_layers_is_that_of_three():
    code = remedies.initialise(stack("abcdefg")).code.splitlines()
    assert [line.partition("name=")[2] for line in code[:3]] == ['"a")', '"b")', '"c")']
    assert code[3:] == ["# … and 4 more in the same way"]
    assert len(remedies.initialise(stack("abcd")).code.splitlines()) == 4


def test_the_three_are_of_each_kind():
    mixed = [*stack("abcd"), *stack("e", kind="Conv2D"), *stack("fg")]
    code = remedies.normalise_batches(mixed).code
    assert [f'name="{name}"' in code for name in "abcdefg"] == [True, True, False, False, True, False, False]
    assert code.count("BatchNormalization") == 3


def test_layers_of_one_name_in_different_places_all_count_in_order():
    (plain,) = stack(["mid"])
    named = [replace(plain, name=name) for name in ("encoder/dense", "mid", "decoder/dense")]
    code = remedies.initialise(named).code.splitlines()
    assert [line.partition("name=")[2] for line in code] == ['"dense")', '"mid")', '"dense")']
    assert remedies.initialise([*named, *stack("abc")]).code.splitlines()[-1] == "# … and 3 more in the same way"


def test_the_parts_of_a_layer_stand_where_the_first_of_them_does():
    def part(name):
        return replace(layer(name=name, kind="LSTM", fan_in=None), name=name)

    parts = [part("both/forward_lstm"), *stack("a"), part("both/backward_lstm"), part("other/forward_lstm")]
    code = remedies.initialise(parts).code.splitlines()
    assert [line.rpartition("name=")[2] for line in code] == ['"both")', '"a")', '"other")']


def test_normalisations_are_not_initialised():
    norm = stack(["bn"], kind="BatchNormalization")
    assert '"bn"' not in remedies.initialise([*stack("a"), *norm]).code
    assert '"bn"' not in remedies.normalise_batches([*stack("a"), *norm]).code
    assert remedies.keep_signal(norm, toy_run()) == ()


@pytest.mark.parametrize(("hidden", "topics"), [
    (2, ["initial-weights", "normalisation"]),
    (6, ["initial-weights", "normalisation", "skip-connections"]),
    (12, ["skip-connections", "initial-weights", "normalisation"]),
])  # fmt: skip
def test_skip_connections_are_for_deep_networks(hidden, topics):
    run = toy_run(hidden=hidden)
    assert [remedy.topic for remedy in remedies.keep_signal(Evidence(run)["layers"], run)] == topics


def test_skip_connections_shorten_the_way():
    def dense(name, *inbound):
        return LayerCard(name, "Dense", depth=int(name[1:]), fan_in=4, inbound=inbound)

    plain = [dense("d0", "input"), *(dense(f"d{i}", f"d{i - 1}") for i in range(1, 8))]
    around = [*plain[:-1], dense("d7", "d6", "d0")]
    unknown = [*plain[:-1], replace(plain[-1], inbound=None)]
    nothing = [replace(card, inbound=None) for card in plain]
    depths = [
        plain_depth(replace(toy_run(), model=ModelCard(tuple(cards)))) for cards in (plain, around, unknown, nothing)
    ]
    assert depths == [8, 2, 1, 8]
    assert plain_depth(toy_run(hidden=3, card=False)) == 4


@pytest.mark.parametrize(("drawn", "titles"), [("HeNormal", 1), ("GlorotUniform", 2)])
def test_who_begins_as_proposed_is_not_told_to(drawn, titles):
    run = toy_run()
    cards = tuple(replace(card, initializer=drawn) if card.role == "kernel" else card for card in run.model.variables)
    run = replace(run, model=replace(run.model, variables=cards))
    found = remedies.keep_signal(Evidence(run)["layers"][:1], run)
    assert len(found) == titles
    assert any(remedy.topic == "initial-weights" for remedy in found) == (drawn != "HeNormal")


def begun(run, initializer, role="kernel"):
    """The same run with another initialiser of the first layer's weights."""
    cards = tuple(
        replace(card, initializer=initializer, role=role)
        if card.layer == "hidden_1" and card.role == "kernel"
        else card
        for card in run.model.variables
    )
    return replace(run, model=replace(run.model, variables=cards))


@pytest.mark.parametrize(
    ("function", "drawn", "proposed"),
    [
        ("relu", "HeUniform", False),
        ("relu", "LecunNormal", True),
        ("selu", "LecunUniform", False),
        ("tanh", "GlorotNormal", False),
        ("tanh", "Orthogonal", False),
        ("sigmoid", "GlorotNormal", False),
        ("sigmoid", "Orthogonal", True),
        ("linear", "LecunNormal", False),
        ("linear", "VarianceScaling", True),
        ("tanh", "RandomNormal", True),
        ("tanh", None, True),
    ],
)
def test_an_initialiser_of_the_same_variance_is_as_good(function, drawn, proposed):
    shape = {"selu": "half_saturating", "linear": "linear", "relu": "rectifier"}.get(function, "bounded")
    ill = layer(activation=ActivationCard(function, shape))
    assert bool(remedies.initialise_others([ill], begun(toy_run(), drawn))) == proposed


def test_an_embedding_drawn_as_keras_draws_it_is_left_alone():
    run = begun(toy_run(), "RandomUniform", role="embeddings")
    words = layer("linear", kind="Embedding", activation=None)
    assert not remedies.initialise_others([words], run)
    assert remedies.initialise_others([words], begun(toy_run(), "Zeros", role="embeddings"))


def test_what_stands_behind_a_layer_begins_as_that_one_does():
    run = begun(toy_run(activation="tanh"), "GlorotUniform")
    tanh = layer("tanh", name="act", kind="Activation", fan_in=None, inbound=("hidden_1",))
    behind = replace(tanh, name="act", learns=False)
    assert not remedies.initialise_others([behind], run)
    assert remedies.initialise_others([behind], begun(run, "Ones"))
    norm = replace(behind, card=replace(tanh.card, kind="BatchNormalization"))
    assert not remedies.initialise_others([norm], begun(run, "Ones"))


@pytest.mark.parametrize(
    ("optimizer", "code"),
    [
        ("Adam", "keras.optimizers.Adam(learning_rate=1e-3)"),
        ("SGD", "keras.optimizers.SGD(learning_rate=1e-2)"),
        ("MyOwn", "optimizer.learning_rate = 1e-3"),
    ],
)
@pytest.mark.parametrize("rule", [UnchangedWeights(), UpdateRatioOutOfRange()])
def test_a_rate_of_zero_is_set_not_multiplied(rule, optimizer, code):
    names = ("hidden_1", "hidden_2", "output")
    still = {("update", f"{name}/kernel", "zero_fraction"): 1.0 for name in names}
    still |= {("update", f"{name}/kernel", "rms"): 0.0 for name in names}
    run = toy_run({("update", f"{name}/kernel"): 0.0 for name in names}, put=still, loss=1.0)
    zero = {**run.step_statistics, "learning_rate": np.zeros(len(run.steps))}
    settings = {**run.settings, "optimizer": {"name": optimizer, "learning_rate": 0.0}}
    run = replace(run, step_statistics=zero, model=run.model.with_settings(settings))
    (cause,) = diagnose(run, [rule]).causes
    (remedy,) = cause.remedies
    assert remedy.title == "Set a learning rate above 0"
    assert code in remedy.code


@pytest.mark.parametrize(
    "remedy",
    [
        remedies.decay_later(0.1),
        remedies.decay_learning_rate(0.1),
        remedies.warm_up(0.1),
        remedies.warm_up_sooner(100),
    ],
)
def test_a_schedule_stands_alone(remedy):
    assert "ReduceLROnPlateau" in remedy.reason


def test_the_warm_up_rises_to_the_lowered_rate():
    ill = toy_run({("update", "hidden_1/kernel"): 500}, loss=1.0)
    (finding,) = diagnose(ill, [UpdateRatioOutOfRange()]).findings()
    lower, warm_up = finding.remedies[:2]
    assert f"warmup_target={lower.code.rpartition(' ')[2]}," in warm_up.code


@pytest.mark.parametrize("kind", ["Rescaling", "Normalization"])
def test_what_is_scaled_in_the_model_needs_no_scaling(kind):
    card = LayerCard("scale", kind, depth=0, inbound=("input",))
    assert remedies.input_is_off(with_input(replace(toy_run(), model=ModelCard((card,))), rms=140.0)) is False


def test_all_that_drops_is_named():
    cards = [
        LayerCard("drop_1", "Dropout", arguments={"rate": 0.9}),
        LayerCard("encoder/drop_2", "SpatialDropout1D", arguments={"rate": 0.9}),
        LayerCard("lstm", "LSTM", arguments={"dropout": 0.9}),
    ]
    remedy = remedies.weaken_dropout(cards)
    assert remedy.title == "Drop less at drop_1, encoder/drop_2 and lstm"
    assert remedy.code.splitlines()[:2] == [
        'keras.layers.Dropout(0.3, name="drop_1")',
        'keras.layers.SpatialDropout1D(0.3, name="drop_2")',
    ]
    assert remedy.code.splitlines()[2].startswith("# lstm (LSTM): dropout=0.3")


def test_an_output_that_has_a_loss_is_not_given_one():
    dead = {("gradient", f"output/{role}"): 0.0 for role in ("kernel", "bias")}
    run = toy_run(dead | {("activation_gradient", "output"): 0.0}, loss=1.0)
    losses = [{"name": "mean_squared_error", "output": "output"}]

    def topics(run):
        (finding,) = diagnose(run, [DisconnectedVariable()]).findings()
        return [remedy.topic for remedy in finding.remedies]

    assert topics(run) == ["loss-of-output", "freeze"]
    assert topics(replace(run, model=run.model.with_settings({"losses": losses}))) == ["connection", "freeze"]


def test_queries_and_keys_that_stand_still_ask_for_a_look_at_the_mask():
    still = {("update", "hidden_1/kernel", "zero_fraction"): 1.0}
    run = toy_run(put=still, loss=1.0)

    def titles(name, kind):
        cards = tuple(replace(card, layer=name) if card.layer == "hidden_1" else card for card in run.model.variables)
        layers = (*run.model.layers, LayerCard(name, kind))
        changed = replace(run, model=replace(run.model, variables=cards, layers=layers))
        (finding,) = diagnose(changed, [UnchangedWeights()]).findings()
        return [remedy.title for remedy in finding.remedies]

    assert titles("attention/query", "EinsumDense") == ["Look at what the mask lets the attention see"]
    assert "Raise the learning rate" in titles("own/query", "Dense")[0]


def test_what_follows_from_another_fault_is_not_to_be_connected_or_frozen():
    def finding(rule, **changes):
        return Finding(rule, rule, rule, Severity.ERROR, ("a",), 0, 9, (), **changes)

    cut = finding("disconnected-variable", remedies=(remedies.pass_gradient(layer()), remedies.freeze([layer()])))
    root = finding("dead-units", remedies=(remedies.train_mode(),), explains=frozenset({"disconnected-variable"}))
    assert [remedy.topic for remedy in causes_of([root, cut])[0].remedies] == ["training-mode"]
    assert [remedy.topic for remedy in causes_of([cut])[0].remedies] == ["connection", "freeze"]
