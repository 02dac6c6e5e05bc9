from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.layer_code import layer_code
from gradscope.model_card import ActivationCard, LayerCard


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
    assert "global_clipnorm=1.0" in remedies.clip_gradients(norm).code


def test_changing_the_activation_takes_the_old_one_away():
    code = remedies.replace_activation([layer("sigmoid")], "relu").code
    assert 'activation="relu"' in code
    assert "sigmoid" not in code
