"""gradscope.probe: gains and singular values against numpy, and a model that is left as it was."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gradscope
from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.lanczos import golub_kahan_lanczos

layers = keras.layers


def dense_net(*sizes, activation="tanh", initializer="glorot_uniform", out=None):
    stack = [
        layers.Dense(size, activation=activation, kernel_initializer=initializer, name=f"hidden_{number}")
        for number, size in enumerate(sizes[1:], start=1)
    ]
    return keras.Sequential([keras.Input((sizes[0],)), *stack, *([out] if out else [])])


def standard():
    """U(-1/√n, 1/√n), of variance 1/(3 n)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(6, 30)).astype(np.float32)


def test_singular_values_are_those_of_numpys_svd(batch):
    net = dense_net(30, 20, 12)
    found = gradscope.probe(net, batch, examples=6)
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in net.layers)
    a1 = np.tanh(batch @ w1 + b1)
    a2 = np.tanh(a1 @ w2 + b2)
    first = [np.diag(1 - a**2) @ w1.T for a in a1]
    second = [np.diag(1 - a**2) @ w2.T for a in a2]
    whole = [two @ one for one, two in zip(first, second, strict=True)]
    for row, jacobians in (*zip(found.layers, (first, second), strict=True), (found, whole)):
        seen = row.network if row is found else row.jacobian
        values = np.array([np.linalg.svd(jacobian, compute_uv=False) for jacobian in jacobians])
        assert seen.exact
        assert seen.mean == pytest.approx(values.mean(), rel=1e-4)
        assert seen.rms == pytest.approx(np.sqrt((values**2).mean()), rel=1e-4)
        assert seen.largest == pytest.approx(values.max(), rel=1e-4)
        assert seen.smallest == pytest.approx(values.min(), rel=1e-2)
        assert seen.condition_number == pytest.approx((values[:, 0] / values[:, -1]).max(), rel=1e-2)
        assert seen.mean_error == pytest.approx(values.mean(axis=1).std(ddof=1) / np.sqrt(6), rel=1e-3)


def test_gains_are_ratios_of_what_flows(batch):
    net = dense_net(30, 20, 12)
    y = np.random.default_rng(1).normal(size=(6, 12)).astype(np.float32)
    found = gradscope.probe(net, batch, y, loss="mse")
    hidden = net.layers[0](batch)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        output = net.layers[1](hidden)
        tape.watch(output)
        loss = tf.reduce_mean((output - y) ** 2)
    at_output, at_hidden = (g.numpy() for g in tape.gradient(loss, [output, hidden]))
    rms = [np.sqrt(np.mean(np.square(array))) for array in (hidden, output)]
    assert found.frame.loc["hidden_2", "forward_gain"] == pytest.approx(rms[1] / rms[0], rel=1e-4)
    expected = np.linalg.norm(at_hidden) / np.linalg.norm(at_output)
    assert found.frame.loc["hidden_2", "backward_gain"] == pytest.approx(expected, rel=1e-4)
    assert found.outlook.gradient_ratio == pytest.approx(expected, rel=1e-4)
    assert found.outlook.depth == 1
    slope = 1 - np.square(output)
    gain = 20 * np.var(net.layers[1].get_weights()[0]) * np.mean(slope**2)
    row = found.frame.loc["hidden_2"]
    assert row["effective_gain"] == pytest.approx(gain, rel=1e-4)
    assert row["distance_from_one"] == pytest.approx(abs(gain - 1), rel=1e-4)


def test_an_estimate_agrees_with_the_exact_values_within_its_error(batch):
    x = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    net = dense_net(300, 200, initializer="he_normal")
    exact, estimated = (
        gradscope.probe(net, x, examples=2, exact_entries=entries).layers[0].jacobian for entries in (10**6, 0)
    )
    assert (exact.exact, estimated.exact) == (True, False)
    assert abs(estimated.mean - exact.mean) < 4 * estimated.mean_error < 0.1 * exact.mean
    assert estimated.rms == pytest.approx(exact.rms, rel=0.05)
    assert abs(estimated.largest - exact.largest) <= estimated.largest_error + 1e-4
    assert estimated.smallest >= exact.smallest
    assert estimated.condition_number <= exact.condition_number


def test_a_convolution_and_its_estimate_agree_with_the_matrix():
    net = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="elu", name="conv")])
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(image := tf.constant(x[:1]))
        out = net(image)
    matrix = tape.jacobian(out, image).numpy().reshape(6 * 6 * 4, 8 * 8 * 3)
    values = np.linalg.svd(matrix, compute_uv=False)
    exact, estimated = (
        gradscope.probe(net, x, examples=1, exact_entries=entries).layers[0].jacobian for entries in (10**6, 0)
    )
    assert exact.mean == pytest.approx(values.mean(), rel=1e-4)
    assert exact.largest == pytest.approx(values[0], rel=1e-4)
    assert estimated.largest == pytest.approx(values[0], rel=0.01)
    assert estimated.mean == pytest.approx(values.mean(), rel=0.15)


def test_lanczos_is_exact_once_it_has_as_many_steps_as_there_are_values():
    rng = np.random.default_rng(3)
    matrices = rng.normal(size=(5, 40, 12))
    start = rng.normal(size=(5, 12))
    found = golub_kahan_lanczos(
        lambda v: np.einsum("mkn,mn->mk", matrices, v), lambda u: np.einsum("mkn,mk->mn", matrices, u), start, 12
    )
    values = np.linalg.svd(matrices, compute_uv=False)
    np.testing.assert_allclose(found.largest, values[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.smallest, values[:, -1], rtol=1e-9)
    # The quadrature is ‖A v‖² for the square, whatever the number of steps.
    unit = start / np.linalg.norm(start, axis=1, keepdims=True)
    np.testing.assert_allclose(found.mean_square, np.linalg.norm(np.einsum("mkn,mn->mk", matrices, unit), axis=1) ** 2)


def test_lanczos_ends_well_on_a_matrix_of_low_rank():
    matrix = np.outer(np.arange(1.0, 9.0), np.ones(8))
    start = np.random.default_rng(0).normal(size=(1, 8))
    found = golub_kahan_lanczos(lambda v: v @ matrix.T, lambda u: u @ matrix, start, 6)
    assert found.largest[0] == pytest.approx(np.linalg.norm(matrix), rel=1e-9)
    assert found.smallest[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("initializer", "effective", "rule"), [(standard, 0.490, 1 / 3), (lambda: "glorot_uniform", 0.849, 1.0)]
)
def test_four_layers_of_1000_tanh_have_glorots_mean_singular_values(initializer, effective, rule):
    net = dense_net(1000, 1000, 1000, 1000, 1000, initializer=initializer())
    x = np.random.default_rng(0).normal(size=(32, 1000), scale=0.1).astype(np.float32)
    found = gradscope.probe(net, x, examples=2)
    means = found.frame["mean_singular_value"]
    # 0.849 σ √n of a Gaussian-like matrix; the activation takes off what E[f'²] lacks of 1.
    assert means.tolist() == pytest.approx([effective] * 4, rel=0.04)
    assert (found.frame["mean_singular_value_error"] < 0.02 * means).all()
    assert found.frame["effective_gain"].tolist() == pytest.approx([rule] * 4, rel=0.04)


def test_the_sentence_says_what_will_become_of_the_gradient():
    x = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)
    sizes = [64] * 17
    small, right = (gradscope.probe(dense_net(*sizes, initializer=i), x) for i in (standard(), "glorot_uniform"))
    large = gradscope.probe(dense_net(*sizes, initializer=keras.initializers.RandomNormal(stddev=1)), x)
    assert small.sentence.startswith("will vanish: 0.5")
    assert "per layer over 15 layers ≈" in small.sentence
    assert small.outlook.per_layer == pytest.approx(small.outlook.gradient_ratio ** (1 / 15))
    assert right.outlook.word == "will arrive"
    assert large.outlook.word in ("will explode", "may explode", "will vanish"), "tanh units of such weights saturate"
    deep_linear = gradscope.probe(dense_net(*sizes, activation=None, initializer=keras.initializers.RandomNormal()), x)
    assert deep_linear.outlook.word == "will vanish"
    strong = dense_net(*sizes, activation=None, initializer=keras.initializers.RandomNormal(stddev=0.5))
    assert gradscope.probe(strong, x).outlook.word == "will explode"


@pytest.mark.parametrize(
    ("layers_behind", "word"), [(1, "will arrive"), (5, "may vanish"), (11, "will vanish")], ids=str
)
def test_the_sentence_draws_its_lines_where_the_rule_does(layers_behind, word):
    x = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    third = keras.initializers.Identity(gain=1 / 3)
    net = dense_net(*[8] * (layers_behind + 2), activation=None, initializer=third)
    found = gradscope.probe(net, x, examples=0)
    assert found.outlook.gradient_ratio == pytest.approx(3.0**-layers_behind, rel=1e-4)
    assert found.outlook.word == word
    fired = bool([finding for finding in found.diagnosis.findings() if finding.rule == "vanishing-gradient"])
    assert fired == (word == "will vanish"), "without y there is no loss that could stand still"


class Noisy(layers.Layer):
    """Draws random numbers in inference mode too, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(3)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + keras.random.normal(tf.shape(x), seed=self.seed)


def test_the_model_is_left_as_it_was(batch):
    net = keras.Sequential(
        [
            keras.Input((30,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            Noisy(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    everything = [*net.variables, *net.metrics_variables, *net.optimizer.variables]
    before = [variable.numpy() for variable in everything]
    attributes = [set(vars(layer)) for layer in net.layers]
    random = tf.random.get_global_generator().state.numpy().tolist()
    found = gradscope.probe(net, batch, np.array([0, 1] * 3))
    assert len(found.frame) == 4
    assert all(np.array_equal(v.numpy(), old) for v, old in zip(everything, before, strict=True))
    assert [set(vars(layer)) for layer in net.layers] == attributes
    assert tf.random.get_global_generator().state.numpy().tolist() == random


def test_a_softmax_with_its_loss_is_taken_at_its_argument(batch):
    net = dense_net(30, 20, out=layers.Dense(3, activation="softmax", name="out"))
    net.compile("sgd", "sparse_categorical_crossentropy")
    y = np.array([0, 1, 2] * 2)
    found = gradscope.probe(net, batch, y)
    kernel = net.layers[-1].get_weights()[0]
    at_z = (net(batch).numpy() - np.eye(3)[y]) / 6
    expected = np.linalg.norm(at_z @ kernel.T) / np.linalg.norm(at_z)
    assert found.frame.loc["out", "backward_gain"] == pytest.approx(expected, rel=1e-3)
    assert np.isnan(found.frame.loc["out", "effective_gain"])
    assert found.network.smallest == 0.0, "probabilities add up to 1, so one direction is lost"
    assert found.network.condition_number == np.inf


def test_a_skip_connection_does_not_count_for_the_layer_beside_it():
    x = inputs = keras.Input((16,))
    for number in range(3):
        block = layers.Dense(
            16, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3), name=f"dense_{number}"
        )
        x = layers.Add(name=f"add_{number}")([x, block(x)])
    net = keras.Model(inputs, x)
    found = gradscope.probe(net, np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32))
    assert found.frame.loc["dense_1", "backward_gain"] < 0.01
    assert found.frame.loc["add_1", "backward_gain"] == pytest.approx(np.sqrt(2), rel=1e-3)
    assert found.frame.loc["add_1", "mean_singular_value"] == pytest.approx(np.sqrt(2), rel=1e-3)
    assert found.outlook.word != "will vanish"


def test_words_attention_and_shared_layers():
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(11, 8, name="words")(tokens)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    shared = layers.Dense(8, activation="relu", name="shared")
    x = layers.LSTM(6, name="lstm")(shared(shared(x)))
    net = keras.Model(tokens, layers.Dense(1, name="out")(x))
    found = gradscope.probe(net, np.random.default_rng(0).integers(0, 11, (4, 5)), examples=2)
    frame = found.frame
    assert {"words", "shared", "shared@2", "lstm", "out"} <= set(frame.index)
    assert np.isnan(frame.loc["words", ["forward_gain", "backward_gain", "mean_singular_value"]].astype(float)).all()
    known = frame.loc[["shared", "shared@2", "lstm", "out"], ["backward_gain", "mean_singular_value"]]
    assert np.isfinite(known.astype(float)).all().all()
    assert np.isnan(found.network.mean), "there is no derivative by a word's number"
    assert found.trouble == ()


def test_what_cannot_be_differentiated_is_said_and_the_rest_measured(batch):
    class Fixed(layers.Layer):
        def call(self, x):
            return tf.ensure_shape(x, (6, 8)) * 2.0

    net = keras.Sequential([keras.Input((30,), batch_size=6), layers.Dense(8, name="first"), Fixed(name="fixed")])
    found = gradscope.probe(net, batch, examples=2)
    assert any("the Jacobian of layer fixed is not known" in text for text in found.trouble)
    assert np.isnan(found.frame.loc["fixed", "mean_singular_value"])
    assert found.frame.loc["fixed", "forward_gain"] == pytest.approx(2.0)
    assert np.isfinite(found.frame.loc["first", "mean_singular_value"])


def test_without_jacobians(batch):
    found = gradscope.probe(dense_net(30, 20), batch, examples=0)
    assert np.isnan(found.frame["mean_singular_value"]).all()
    assert np.isfinite(found.frame["forward_gain"]).all()


def test_what_was_measured_is_a_run_that_can_be_checked(batch, tmp_path):
    net = dense_net(30, *[30] * 9, initializer=keras.initializers.RandomNormal(stddev=1e-3))
    found = gradscope.probe(net, batch, log_dir=tmp_path / "probe", examples=1)
    run = gradscope.read_run(tmp_path / "probe")
    assert run.steps.tolist() == [0]
    assert run.names("activation")[0] == "hidden_1"
    assert len(run.names("weight")) == 18
    again = gradscope.diagnose(run)
    assert again.sentence == found.diagnosis.sentence
    assert "initial weights too small" in [finding.title for finding in again.findings()]
    written = next((tmp_path / "probe").iterdir()).read_bytes()
    assert f"**{found.sentence}.**".encode() in written


def test_it_shows_itself_as_a_table_and_in_a_notebook(batch):
    found = gradscope.probe(dense_net(30, 20, 12), batch, examples=1)
    text, page, markdown = str(found), found._repr_html_(), found.to_markdown()
    assert text.splitlines()[0] == f"{found.sentence}."
    for shown in (text, page, markdown):
        assert "hidden_2" in shown
        assert "input → output" in shown
    assert max(map(len, found.to_text(width=80, color=False).splitlines())) <= 80
    assert "\x1b[" not in text
    assert "\x1b[" in found.to_text(color=True)


WRONG = {
    "no model": (lambda net, x: gradscope.probe("net", x), "give a Keras model"),
    "a negative number of examples": (lambda net, x: gradscope.probe(net, x, examples=-1), "examples=-1"),
    "a loss without y": (lambda net, x: gradscope.probe(net, x, loss="mse"), "loss was given without y"),
    "y without a loss": (lambda net, x: gradscope.probe(net, x, x), "not compiled"),
    "an empty batch": (lambda net, x: gradscope.probe(net, x[:0]), "x is no batch"),
    "no array": (lambda net, x: gradscope.probe(net, object()), "x is no batch"),
    "a single number": (lambda net, x: gradscope.probe(net, 1.0), "x is no batch"),
}


@pytest.mark.parametrize(("call", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_refused_in_one_line(call, says, batch):
    with pytest.raises(RecordingError, match=says) as caught:
        call(dense_net(30, 4), batch)
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_that_is_not_built_is_built(batch):
    net = keras.Sequential([layers.Dense(4, name="only")])
    assert gradscope.probe(net, batch).frame.index.tolist() == ["only"]


def test_the_public_name_imports_tensorflow_only_when_it_is_used():
    code = (
        "import gradscope, sys; assert 'tensorflow' not in sys.modules; gradscope.probe; print('keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("sizes", [(40, 300), (600, 600)], ids=["wider", "beyond exact"])
def test_softsign_of_which_tensorflow_has_no_second_derivative_has_singular_values_as_well(sizes):
    net = dense_net(*sizes, activation="softsign", initializer=keras.initializers.RandomNormal(stddev=0.05, seed=1))
    x = np.random.default_rng(0).normal(size=(1, sizes[0])).astype(np.float32)
    found = gradscope.probe(net, x, examples=1).frame.iloc[0]
    kernel = net.layers[0].kernel.numpy().astype(np.float64)
    jacobian = kernel / np.square(1 + np.abs(x @ kernel))
    expected = np.linalg.svd(jacobian, compute_uv=False)
    assert found["mean_singular_value"] == pytest.approx(expected.mean(), rel=1e-4)
    assert found["max_singular_value"] == pytest.approx(expected[0], rel=1e-4)
    assert found["exact"]
