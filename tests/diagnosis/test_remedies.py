from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis import remedies
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.layer_code import layer_code
from gradscope.diagnosis.rules.dead_units import DeadUnits
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
    assert remedies.input_is_off(with_input(replace(toy_run(), model=ModelCard((card,))), rms=5000.0)) is None


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
