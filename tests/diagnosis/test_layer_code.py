from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.layer_code import layer_code
from gradscope.model_card import ActivationCard, LayerCard, ModelCard, ParentCard


def layer(name, kind="Dense", *parents, function="relu", **arguments):
    first = Evidence(toy_run())["layers"][0]
    card = replace(first.card, name=name, kind=kind, parents=parents, arguments=arguments)
    return replace(first, name=name, card=replace(card, activation=ActivationCard(function, "rectifier")))


MODEL, BLOCK = ParentCard("encoder", "Functional", is_model=True), ParentCard("encoder/block", "Block", is_model=False)
ATTENTION = ParentCard("attention", "MultiHeadAttention", False, {"num_heads": 2, "key_dim": 8})


@pytest.mark.parametrize(
    ("ill", "code"),
    [
        (layer("encoder/dense"), 'model.get_layer("encoder").get_layer("dense").trainable = False'),
        (layer("encoder/dense", "Dense", MODEL), 'model.get_layer("encoder").get_layer("dense").trainable = False'),
        (
            layer("encoder/block/dense", "Dense", MODEL, BLOCK),
            '# dense within model.get_layer("encoder").get_layer("block"): trainable = False',
        ),
        (layer("attention/query", "EinsumDense", ATTENTION), 'model.get_layer("attention").trainable = False'),
        (layer("attention/query", "EinsumDense"), 'model.get_layer("attention").trainable = False'),
        (layer("both/backward_lstm", "LSTM"), 'model.get_layer("both").trainable = False'),
    ],
)
def test_layers_are_reached_where_they_are(ill, code):
    assert remedies.freeze([ill]).code == code
    assert remedies.load_or_train([ill]).code.splitlines()[1] == code.replace("False", "True")
    assert remedies.unfreeze_head([ill.card]).code.splitlines()[0] == code.replace("False", "True")


@pytest.mark.parametrize(
    ("ill", "code"),
    [
        (
            layer("attention/query", "EinsumDense", ATTENTION, equation="abc,cde->abde"),
            'keras.layers.MultiHeadAttention(num_heads=2, key_dim=8, kernel_initializer="he_normal", name="attention")',
        ),
        (
            layer("attention/query", "EinsumDense", equation="abc,cde->abde"),
            '# attention (MultiHeadAttention): kernel_initializer="he_normal"',
        ),
        (
            layer("both/backward_gru", "GRU", units=8, go_backwards=True, function="linear"),
            'keras.layers.Bidirectional(keras.layers.GRU(8, kernel_initializer="he_normal"), name="both")',
        ),
        (layer("hash", "Hash", bits=3), '# hash (Hash): kernel_initializer="he_normal"'),
    ],
)
def test_the_code_is_that_of_the_layer_that_was_written(ill, code):
    assert layer_code(ill, {"kernel_initializer": '"he_normal"'}) == code


def test_attention_is_normalised_as_a_whole():
    parts = [layer(f"attention/{name}", "EinsumDense", ATTENTION) for name in ("query", "key")]
    assert remedies.normalise(parts, toy_run()).code == (
        'keras.layers.MultiHeadAttention(num_heads=2, key_dim=8, name="attention")\nkeras.layers.LayerNormalization()'
    )


@pytest.mark.parametrize(
    ("function", "code"),
    [("relu", '"relu"'), ("LeakyReLU", "keras.layers.LeakyReLU()"), ("my_own", "my_own"), ("lambda", "activation")],
)
def test_activations_of_all_makes_stay_valid_code(function, code):
    normalised = remedies.normalise_batches([layer("d", function=function, units=2)]).code
    assert normalised.splitlines()[-1] == f"keras.layers.Activation({code})"
    own = layer_code(layer("d", function=function, units=2), {})
    assert own == f'keras.layers.Dense(2, {f"activation={code}, " if function != "lambda" else ""}name="d")'


def test_an_activation_layer_is_replaced_by_another():
    code = remedies.replace_activation([layer("r", "ReLU", function="ReLU")]).code
    assert code == 'keras.layers.Activation(activation="leaky_relu", name="r")'
    assert layer_code(layer("r", "ReLU", function="ReLU"), {}) == 'keras.layers.ReLU(name="r")'


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("SeparableConv2D", ["depthwise_initializer", "pointwise_initializer"]),
        ("DepthwiseConv2D", ["depthwise_initializer"]),
        ("Conv2D", ["kernel_initializer"]),
    ],
)
def test_initialisers_go_by_the_names_that_the_kind_knows(kind, arguments):
    code = remedies.initialise([layer("c", kind, kernel_size=(3, 3))]).code
    assert [f"{name}_initializer" in code for name in ("depthwise", "pointwise", "kernel")] == [
        f"{name}_initializer" in arguments for name in ("depthwise", "pointwise", "kernel")
    ]


def test_an_einsum_has_no_use_bias():
    arguments = {"equation": "ab,bc->ac", "bias_axes": "c"}
    code = remedies.normalise_batches([layer("e", "EinsumDense", **arguments, output_shape=[None, 3])]).code
    assert code.startswith('keras.layers.EinsumDense(equation="ab,bc->ac", output_shape=(None, 3), name="e")\n')
    assert layer_code(layer("e", "EinsumDense", **arguments), {}) == "# e (EinsumDense)"


def test_a_card_keeps_what_its_layer_is_part_of():
    card = ModelCard((LayerCard("encoder/attention/query", "EinsumDense", parents=(MODEL, ATTENTION)),))
    assert ModelCard.from_json(card.to_json()) == card
