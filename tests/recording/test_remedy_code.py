"""The code that remedies print for the layers of a recorded model runs in Keras."""

from __future__ import annotations

import numpy as np
import pytest

from gradscope.diagnosis import remedies
from gradscope.diagnosis.evidence import Evidence
from gradscope.recording.frameworks import keras

layers = keras.layers


class Block(layers.Layer):
    """A layer of the user's own, which hands out no parts."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(4, name="inner")

    def call(self, x):
        return self.inner(x)


def within_layers():
    x = inputs = keras.Input((6, 4))
    encoder = keras.Sequential([keras.Input((6, 4)), layers.Dense(4, "relu", name="dense")], name="encoder")
    x = Block(name="block")(encoder(x))
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = layers.GroupQueryAttention(3, 4, 2, name="groups")(x, x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(4, "tanh", name="each"), name="steps")(x)
    x = layers.SeparableConv1D(4, 2, name="apart")(x)
    x = layers.DepthwiseConv1D(2, activation=lambda z: z * 2, name="deep")(x)
    x = layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", name="einsum")(layers.ReLU(name="relu")(x))
    return keras.Model(inputs, layers.Dense(1, name="out")(layers.GlobalAveragePooling1D()(x)))


@pytest.fixture
def recorded(record):
    model = within_layers()
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6, 4)).astype(np.float32), rng.normal(size=(32, 1)).astype(np.float32)
    return model, record(model, x, y)


def by_name(run):
    return {layer.name: layer for layer in Evidence(run)["layers"]}


def built(code):
    """What the lines of a remedy's code build, those that build anything."""
    names = {"keras": keras, "activation": abs}  # a lambda has no name to call it by
    return [eval(line, names) for line in code.splitlines() if not line.startswith("#")]


def test_every_layer_can_be_frozen_where_it_is(recorded):
    model, run = recorded
    for layer in by_name(run).values():
        if layer.name != "block/inner":
            exec(remedies.freeze([layer]).code, {"model": model})
    trained = {variable.path.split("/")[0] for variable in model.trainable_variables}
    assert trained == {"block"}
    assert remedies.freeze([by_name(run)["block/inner"]]).code.startswith("# inner within model.get_layer")


def test_the_code_builds_the_layers_that_the_user_wrote(recorded):
    found = by_name(recorded[1])
    kinds = {}
    for name, layer in found.items():
        for proposed in (remedies.initialise, remedies.normalise_layers, remedies.replace_activation):
            code = proposed([layer]).code
            kinds[name] = [type(one).__name__ for one in built(code)] or kinds.get(name)
            assert "# deep" not in code
    assert kinds["encoder/dense"][0] == "Dense"
    assert kinds["attention/query"] == kinds["attention/attention_output"] == ["MultiHeadAttention"]
    assert kinds["groups/query"] == kinds["groups/attention_output"] == ["GroupedQueryAttention"]
    assert kinds["both/forward_lstm"] == ["Bidirectional"]
    assert kinds["steps/each"] == ["TimeDistributed"]
    assert kinds["relu"] == ["Activation"]


def test_the_parts_of_a_layer_are_named_once(recorded):
    found = by_name(recorded[1])
    parts = [layer for name, layer in found.items() if name.startswith(("attention/", "groups/", "both/"))]
    attention, groups, both = remedies.initialise(parts).code.splitlines()
    assert attention.startswith("keras.layers.MultiHeadAttention(num_heads=2, key_dim=3, ")
    assert attention.endswith('kernel_initializer="glorot_uniform", name="attention")')
    assert groups.startswith("keras.layers.GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2, ")
    assert groups.endswith('kernel_initializer="glorot_uniform", name="groups")')
    inner = 'keras.layers.LSTM(3, return_sequences=True, kernel_initializer="glorot_uniform")'
    assert both == f'keras.layers.Bidirectional({inner}, name="both")'


def test_initialisers_are_known_by_the_names_of_their_kinds(recorded):
    run = recorded[1]
    drawn = {card.name: card.initializer for card in run.model.variables}
    assert drawn["apart/depthwise_kernel"] == drawn["apart/pointwise_kernel"] == "GlorotUniform"
    assert drawn["deep/kernel"] == "GlorotUniform"
    recurrent = drawn["both/forward_lstm/recurrent_kernel"]
    assert recurrent.removesuffix("Initializer") == "Orthogonal"  # Keras 3.3 calls it OrthogonalInitializer


def test_what_holds_layers_is_written_down_once(record):
    written = []

    class Sub(keras.Sequential):
        def get_config(self):
            written.append("model")
            return super().get_config()

    class Rows(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.rows = [layers.Dense(3, name=f"row_{place}") for place in range(6)]

        def get_config(self):
            written.append("layer")
            return super().get_config()

        def call(self, x):
            for row in self.rows:
                x = row(x)
            return x

    inner = Sub([keras.Input((3,)), *(layers.Dense(3, name=f"d{place}") for place in range(6))], name="inner")
    model = keras.Sequential([keras.Input((3,)), inner, Rows(name="rows"), layers.Dense(1)])
    model.compile("sgd", "mse")
    cards = {card.name: card for card in record(model, np.ones((16, 3)), np.ones((16, 1))).model.layers}
    assert written.count("model") <= 1
    assert written.count("layer") <= 2  # as a layer and as a parent
    (parent,) = cards["inner/d5"].parents
    assert (parent.name, parent.kind, parent.is_model, parent.arguments) == ("inner", "Sub", True, {})
    assert cards["rows/row_5"].parents[0].kind == "Rows"


def of_activations():
    made = (
        layers.ReLU(max_value=6.0, name="capped"),
        layers.ReLU(negative_slope=0.1, name="sloped"),
        layers.PReLU(shared_axes=[1], name="learnt"),
        layers.Softmax(axis=1, name="shares"),
        layers.Activation("tanh", name="tanh"),
        layers.Activation("linear", name="linear"),
        layers.Activation(lambda x: x * 2, name="own"),
        layers.TimeDistributed(layers.ReLU(max_value=6.0, name="inner"), name="steps"),
    )
    return keras.Sequential([keras.Input((6, 4)), layers.Dense(4, name="dense"), *made])


def test_an_activation_layer_becomes_another_one_or_is_left_out(record):
    model = of_activations()
    model.compile("sgd", "mse")
    found = by_name(record(model, np.ones((16, 6, 4)), np.ones((16, 6, 4))))
    for name in ("capped", "sloped", "learnt", "shares", "tanh", "linear", "own"):
        ill = found[name]
        for activation in ("leaky_relu", "selu"):
            (other,) = built(remedies.replace_activation([ill], activation).code)
            assert (type(other).__name__, other.activation.__name__, other.name) == ("Activation", activation, name)
        assert remedies.output_activation(ill, None).code == f"# leave out {name}"
        (other,) = built(remedies.output_activation(ill, "sigmoid").code)
        assert other.activation.__name__ == "sigmoid"
        built(remedies.normalise_layers([ill]).code)
        assert not built(remedies.initialise([ill]).code)  # what feeds it has the weights
    assert built(remedies.normalise_layers([found["linear"]]).code)[-1].activation.__name__ == "linear"
    assert "# own (Activation)" in remedies.normalise_layers([found["own"]]).code
    (steps,) = built(remedies.replace_activation([found["steps/inner"]]).code)
    assert type(steps.layer).__name__ == "Activation"
    assert remedies.output_activation(found["steps/inner"], None).code == "# leave out steps"
    assert remedies.output_activation(found["dense"], None).code == 'keras.layers.Dense(4, name="dense")'
