"""What the Recorder measures is what the step computed: held against a plain GradientTape on the same batch."""

from __future__ import annotations

import numpy as np
import pytest

from gradscope.recording.frameworks import keras, tf

layers = keras.layers


def dense_model(activation="tanh", optimizer=None, loss="mse"):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation=activation, name="hidden"), layers.Dense(1, name="out")]
    )
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss)
    return model


def value(run, kind, name, statistic, sample=0):
    return float(run.series(kind, name, statistic)[sample])


def norm(tensor):
    return float(np.linalg.norm(np.asarray(tensor, np.float64)))


def test_gradients_weights_and_activation_gradients_are_those_of_the_step(regression, record):
    x, y = regression
    model = dense_model()
    with tf.GradientTape() as tape:
        hidden = model.get_layer("hidden")(x[:16])
        tape.watch(hidden)
        out = model.get_layer("out")(hidden)
        loss = tf.reduce_mean((out - y[:16]) ** 2)
    kernels = [model.get_layer(name).kernel for name in ("hidden", "out")]
    expected = tape.gradient(loss, [*kernels, hidden, out])
    weights = [norm(kernel.numpy()) for kernel in kernels]

    run = record(model, x, y)

    assert run.steps.tolist() == [0, 1, 2, 3]
    assert value(run, "gradient", "hidden/kernel", "norm") == pytest.approx(norm(expected[0]), rel=1e-5)
    assert value(run, "gradient", "out/kernel", "norm") == pytest.approx(norm(expected[1]), rel=1e-5)
    assert value(run, "activation_gradient", "hidden", "norm") == pytest.approx(norm(expected[2]), rel=1e-5)
    assert value(run, "activation_gradient", "out", "norm") == pytest.approx(norm(expected[3]), rel=1e-5)
    assert value(run, "weight", "hidden/kernel", "norm") == pytest.approx(weights[0], rel=1e-6)
    assert value(run, "activation", "hidden", "norm") == pytest.approx(norm(hidden), rel=1e-5)
    assert value(run, "input", "input", "rms") == pytest.approx(np.sqrt(np.mean(x[:16] ** 2)), rel=1e-5)
    assert float(run.step_statistics["loss"][0]) == pytest.approx(float(loss), rel=1e-5)
    assert run.step_statistics["learning_rate"].tolist() == pytest.approx([0.1] * 4)
    assert run.step_statistics["example_count"].tolist() == [16] * 4


def test_updates_are_measured_and_related_to_the_weights(regression, record):
    model = dense_model(optimizer=keras.optimizers.Adam(0.01))
    before = norm(model.get_layer("hidden").kernel.numpy())
    run = record(model, *regression)
    # Adam's first step changes each weight by the learning rate.
    size = np.sqrt(5 * 8) * 0.01
    assert value(run, "update", "hidden/kernel", "norm") == pytest.approx(size, rel=1e-3)
    assert value(run, "update", "hidden/kernel", "update_to_weight_ratio") == pytest.approx(size / before, rel=1e-3)


@pytest.mark.parametrize("clip", [{"clipvalue": 0.01}, {"clipnorm": 0.01}, {"global_clipnorm": 0.01}])
def test_gradients_are_recorded_before_and_after_clipping(clip, regression, record):
    run = record(dense_model(optimizer=keras.optimizers.SGD(0.1, **clip)), *regression)
    keras.utils.set_random_seed(7)
    unclipped = record(dense_model(), *regression, log_dir=f"{run.path}-unclipped")
    assert value(run, "gradient", "hidden/kernel", "norm") == pytest.approx(
        value(unclipped, "gradient", "hidden/kernel", "norm"), rel=1e-5
    )
    if "clipvalue" in clip:
        assert value(run, "clipped_gradient", "hidden/kernel", "max") <= 0.01
    else:
        assert value(run, "clipped_gradient", "hidden/kernel", "norm") <= 0.0100001
    assert run.step_statistics["clipped_fraction"][0] > 0.5
    assert "clipped_fraction" not in unclipped.step_statistics
    assert not unclipped.names("clipped_gradient")


@pytest.mark.parametrize(
    ("activation", "saturated"),
    [
        ("sigmoid", lambda z, _a: np.abs(z) > 4.357),
        ("tanh", lambda z, _a: np.abs(z) > 2.1785),
        ("relu", lambda z, _a: z <= 0),
    ],
)
def test_saturation_is_that_of_the_actual_activation(activation, saturated, regression, record):
    x, y = regression
    model = dense_model(activation)
    kernel, bias = model.get_layer("hidden").get_weights()
    model.get_layer("hidden").set_weights([8 * kernel, bias])
    z = x[:16] @ (8 * kernel)
    run = record(model, x, y)
    assert value(run, "activation", "hidden", "saturation_fraction") == pytest.approx(
        saturated(z, None).mean(), abs=0.01
    )
    assert value(run, "preactivation", "hidden", "rms") == pytest.approx(np.sqrt(np.mean(z**2)), rel=1e-4)
    assert np.isnan(value(run, "activation", "out", "saturation_fraction"))
    assert "out" not in run.names("preactivation")


def test_dead_units_are_found_over_a_window_of_steps(regression, record):
    model = dense_model("relu")
    kernel, bias = model.get_layer("hidden").get_weights()
    bias[:3] = -1e3
    model.get_layer("hidden").set_weights([kernel, bias])
    run = record(model, *regression, epochs=3)
    shares = run.series("activation", "hidden", "dead_unit_fraction")
    assert np.isnan(shares[:7]).all()  # 16 examples a step, and the window wants 128
    assert shares[7:].tolist() == [0.375] * 5


def test_a_softmax_output_has_its_gradient_where_the_loss_reads_it(record):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 5)).astype(np.float32), rng.integers(0, 3, 64)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, "sigmoid"), layers.Dense(3, "softmax", name="out")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    probabilities = model(x[:16]).numpy()
    run = record(model, x, y)
    expected = (probabilities - np.eye(3)[y[:16]]) / 16
    assert value(run, "preactivation_gradient", "out", "norm") == pytest.approx(norm(expected), rel=1e-4)
    assert "out" not in run.names("activation_gradient")
    assert "dense" not in run.names("preactivation_gradient")  # its activation's gradient is there
    assert "dense" in run.names("activation_gradient")


def test_loss_scaling_is_undone_and_recorded(regression, record):
    plain = dense_model()
    weights = plain.get_weights()
    reference = record(plain, *regression)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        # Small enough a scale that nothing overflows in float16.
        model = dense_model(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), 256.0))
        model.set_weights(weights)
        run = record(model, *regression, log_dir=f"{reference.path}-mixed")
    finally:
        keras.config.set_dtype_policy("float32")
    assert run.settings["dtype_policy"] == "mixed_float16"
    assert run.step_statistics["loss_scale"][0] == 256
    for name in ("hidden/kernel", "out/kernel"):
        expected = value(reference, "gradient", name, "norm")
        assert value(run, "gradient", name, "norm") == pytest.approx(expected, rel=0.01)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # Keras says so too
def test_frozen_and_disconnected_variables_are_named(regression, record):
    x, y = regression
    inputs = keras.Input((5,))
    hidden = layers.Dense(8, activation="relu", name="frozen", trainable=False)(inputs)
    unused = layers.Dense(2, name="unused")(hidden)
    outputs = layers.Dense(1, name="out")(hidden)
    model = keras.Model(inputs, [outputs, unused])
    model.compile("sgd", loss=["mse", None])
    run = record(model, x, y)
    assert run.model.variable("frozen/kernel").trainable is False
    assert "frozen/kernel" in run.names("weight")
    assert "frozen/kernel" not in run.names("gradient")
    assert run.model.variable("unused/kernel").connected is False
    assert run.model.variable("out/kernel").connected is True
    assert [layer.name for layer in run.model.layers if layer.is_output] == ["unused", "out"]


def test_the_model_card_knows_the_layers_in_forward_order(record):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    skip = x
    x = layers.Conv2D(4, 3, padding="same", name="conv_2")(x)
    x = layers.Add(name="add")([x, skip])
    x = layers.Flatten()(x)
    x = keras.Sequential([layers.Dense(6, "elu", name="inner"), layers.Dropout(0.5)], name="block")(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    run = record(model, rng.normal(size=(32, 8, 8, 3)), rng.normal(size=(32, 2)))
    cards = {layer.name: layer for layer in run.model.layers}
    assert list(cards) == ["conv", "norm", "conv_2", "add", "block/inner", "out", "block/dropout"]
    assert [cards[name].depth for name in cards] == [*range(6), None]
    assert (cards["conv"].fan_in, cards["conv"].fan_out) == (27, 36)
    assert cards["conv"].arguments == {
        "filters": 4,
        "kernel_size": (3, 3),
        "padding": "same",
        "activation": "relu",
    } or (cards["conv"].arguments["filters"] == 4 and cards["conv"].arguments["activation"] == "relu")
    assert cards["add"].inbound == ("conv_2", "norm")
    assert cards["block/inner"].inbound == ("add",)
    assert cards["out"].inbound == ("block/inner",)
    assert cards["conv"].inbound == ("input",)
    assert run.model.variable("norm/moving_mean").trainable is False
    assert cards["block/inner"].activation.shape == "half_saturating"


def test_a_shared_layer_is_recorded_at_each_call(regression, record):
    x, y = regression
    inputs = keras.Input((5,))
    shared = layers.Dense(5, activation="tanh", name="shared")
    model = keras.Model(inputs, layers.Dense(1, name="out")(shared(shared(inputs))))
    model.compile("sgd", "mse")
    run = record(model, x, y)
    assert run.names("activation") == ("shared", "shared@2", "out")
    assert run.names("activation_gradient") == ("out", "shared@2", "shared")
    assert run.names("preactivation") == ("shared", "shared@2")


def test_nonfinite_entries_are_counted_and_hide_nothing(regression, record):
    x, y = regression
    x = x.copy()
    x[0, 0] = np.nan
    run = record(dense_model(), x, y)
    assert value(run, "input", "input", "nan_count") == 1
    assert value(run, "input", "input", "rms") > 0
    assert value(run, "gradient", "out/kernel", "nan_count") == 8
    assert np.isnan(run.step_statistics["loss"][0])


@pytest.mark.parametrize("begins", [[keras.Input((5,))], []], ids=["functional", "built late"])
def test_an_input_of_whole_numbers_is_measured_and_known_to_be_taken(begins, regression, record):
    x, y = (255 * np.abs(regression[0])).astype(np.uint8), regression[1]
    model = keras.Sequential([*begins, layers.Dense(8, name="first"), layers.Dense(1)])
    model.compile("sgd", "mse")
    run = record(model, x, y)
    assert run.series("input", "input", "max")[0] == x[:16].max()
    assert run.model.layer("first").inbound == ("input",)


def test_the_column_of_an_input_that_varies_most_is_known(regression, record):
    x, y = regression
    wide = x * np.array([1, 1, 1, 500, 1], np.float32)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    run = record(model, wide, y)
    spread = wide[:16].std(axis=0)
    assert value(run, "input", "input", "leading_unit") == 3
    assert value(run, "input", "input", "leading_unit_ratio") == pytest.approx(spread[3] / np.median(spread), rel=1e-3)


def test_one_layer_in_half_precision_stands_for_the_policy(record):
    half = layers.Dense(4, "relu", dtype="mixed_float16", name="half")
    model = keras.Sequential([keras.Input((2,)), half, layers.Dense(1, dtype="float32")])
    model.compile("sgd", "mse")
    assert record(model, np.ones((8, 2)), np.ones((8, 1))).settings["dtype_policy"] == "mixed_float16"


def test_what_a_variable_is_held_to_stands_in_the_model_card(record):
    held = layers.Dense(2, kernel_constraint="max_norm", name="held")
    model = keras.Sequential([keras.Input((2,)), held, layers.Dense(1, name="free")])
    model.compile("sgd", "mse")
    cards = {card.name: card.constraint for card in record(model, np.ones((8, 2)), np.ones((8, 1))).model.variables}
    assert cards == {"held/kernel": "MaxNorm", "held/bias": None, "free/kernel": None, "free/bias": None}


def test_dropout_stands_in_the_model_card_with_its_rate(regression, record):
    x, y = regression
    stack = [layers.Dense(8, "relu"), layers.Dropout(0.9, name="drop"), layers.LSTM(2, dropout=0.7, name="lstm")]
    model = keras.Sequential([keras.Input((5,)), stack[0], stack[1], layers.Reshape((4, 2)), stack[2], layers.Dense(1)])
    model.compile("sgd", "mse")
    run = record(model, x, y)
    cards = {card.name: card for card in run.model.layers}
    assert (cards["drop"].kind, cards["drop"].arguments) == ("Dropout", {"rate": 0.9})
    assert cards["lstm"].arguments["dropout"] == 0.7
    assert "drop" not in run.names("activation")


class Bare(keras.Model):
    """Does all by itself, as one writes it without layers."""

    def build(self, shape):
        self.first = self.add_weight((shape[-1], 8), "zeros", name="first")
        self.second = self.add_weight((8, 1), "glorot_uniform", name="second")

    def call(self, x):
        return tf.tanh(x @ self.first) @ self.second


def test_the_variables_of_a_model_without_layers_count_as_layers(regression, record):
    model = Bare()
    model.compile("sgd", "mse")
    run = record(model, *regression)
    assert {key.layer for key in run.tensors if key.kind == "gradient"} == {"first", "second"}
