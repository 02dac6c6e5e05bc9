"""Which losses a training step of one's own computes, of what, and against what."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
STEPS = 12


def classifier(*, activation=None, outputs=1):
    x = keras.Input((5,))
    hidden = layers.Dense(8, "relu", name="hidden")(x)
    heads = [layers.Dense(3, activation, name=f"head_{i}")(hidden) for i in range(outputs)]
    return keras.Model(x, heads[0] if outputs == 1 else heads)


def train(model, loss_of, tmp_path, *, compiled=True, sparse=True):
    """``loss_of(model, x, y)`` is the loss of a step; returns the run and the loss at each step."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, 16, 5)).astype("float32")
    labels = rng.integers(0, 3, size=(STEPS, 16))
    y = labels if sparse else np.eye(3, dtype="float32")[labels]
    optimizer = keras.optimizers.SGD(0.05)

    def step(x, second):
        with tf.GradientTape() as tape:
            loss = loss_of(model, x, second)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        run_step = recorder.wrap(tf.function(step) if compiled else step, model=model, optimizer=optimizer)
        losses = [float(run_step(tf.constant(a), tf.constant(b))) for a, b in zip(x, y, strict=True)]
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    np.testing.assert_allclose(run.step_statistics["loss"], losses, rtol=1e-5)
    return run


def losses_of(run):
    return [(loss["name"], loss["from_logits"], loss["output"]) for loss in run.settings["losses"]]


class Own(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.square(tf.one_hot(tf.cast(y_true, tf.int32), 3) - y_pred), axis=-1)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), ("sparse_categorical_crossentropy", True)),
        (Own(), ("own", None)),
    ],
    ids=["keras", "own"],
)
def test_a_keras_loss_is_heard_with_what_it_compares(loss, expected, compiled, tmp_path):
    before = keras.losses.Loss.__call__
    run = train(classifier(), lambda model, x, y: loss(y, model(x)), tmp_path, compiled=compiled)
    assert losses_of(run) == [(*expected, "head_0")]
    assert run.settings["target_shapes"] == {"target": [16]}
    assert run.series("target", "target", "max").max() == 2
    assert keras.losses.Loss.__call__ is before


def logits_by_tf(model, x, y):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x)))


def by_keras_function(model, x, y):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(x)))


def squares(model, x, y):
    return tf.reduce_mean((y - model(x)) ** 2)


def squares_by_keras(model, x, y):
    return tf.reduce_mean(keras.losses.mean_squared_error(y, model(x)))


def distances(model, x, y):
    return tf.reduce_mean(tf.abs(model(x) - y))


@pytest.mark.parametrize(
    ("loss", "activation", "sparse", "expected"),
    [
        (logits_by_tf, None, True, ("sparse_categorical_crossentropy", True)),
        (by_keras_function, "softmax", True, ("sparse_categorical_crossentropy", False)),
        (squares, None, False, ("mean_squared_error", None)),
        (squares_by_keras, None, False, ("mean_squared_error", None)),
        (distances, None, False, ("mean_absolute_error", None)),
    ],
)
def test_other_losses_are_read_off_the_graph(loss, activation, sparse, expected, tmp_path):
    run = train(classifier(activation=activation), loss, tmp_path, sparse=sparse)
    assert losses_of(run) == [(*expected, "head_0")]
    assert run.settings["target_shapes"] == {"target": [16] if sparse else [16, 3]}
    np.testing.assert_allclose(run.step_statistics["called_loss"], run.step_statistics["loss"], rtol=1e-5)


def test_a_loss_that_is_added_up_is_judged_by_its_own_measure(tmp_path):
    each = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    run = train(classifier(), lambda model, x, y: tf.reduce_sum(each(y, model(x))), tmp_path)
    np.testing.assert_allclose(run.step_statistics["loss"] / run.step_statistics["called_loss"], 16, rtol=1e-5)


def test_targets_that_are_broadcast_are_recorded_in_the_shape_they_are_compared_in(tmp_path):
    def by_hand(model, x, y):
        return tf.reduce_mean(tf.square(tf.cast(y, tf.float32) - model(x)))

    def by_keras(model, x, y):
        return tf.reduce_mean(keras.losses.mean_squared_error(y, model(x)))

    def as_one(model, x, y):
        return tf.reduce_mean(tf.square(tf.cast(y, tf.float32) - model(x)[:, 0]))

    x = keras.Input((5,))
    for loss, shape in ((by_hand, [16]), (by_keras, [16, 1]), (as_one, [16])):
        model = keras.Model(x, layers.Dense(1, name="head")(x))
        run = train(model, loss, tmp_path / loss.__name__)
        assert run.settings["target_shapes"] == {"target": shape}
        sentences = [finding.sentence for finding in gradscope.diagnose(run).findings()]
        assert any("every answer is compared with every target" in one for one in sentences) == (loss is by_hand)


def test_two_outputs_have_two_losses_with_a_target_each(tmp_path):
    entropy, squared = keras.losses.SparseCategoricalCrossentropy(from_logits=True), keras.losses.MeanSquaredError()

    def loss(model, x, y):
        first, second = model(x)
        return entropy(y, first) + squared(tf.one_hot(y, 3), second)

    run = train(classifier(outputs=2), loss, tmp_path)
    assert [name for name, *_ in losses_of(run)] == ["sparse_categorical_crossentropy", "mean_squared_error"]
    assert run.settings["target_shapes"] == {"target": [16], "target_1": [16, 3]}


def test_what_judges_no_output_as_it_is_names_no_loss(tmp_path):
    entropy = keras.losses.SparseCategoricalCrossentropy()
    run = train(classifier(), lambda model, x, y: entropy(y, tf.nn.softmax(model(x))), tmp_path)
    assert run.settings["losses"] == []


def test_an_output_that_is_judged_twice_names_no_loss(tmp_path):
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(model, x, y):
        logits = model(x)
        return entropy(y, logits) + entropy(tf.zeros_like(y), logits)

    assert train(classifier(), loss, tmp_path).settings["losses"] == []


def test_the_loss_is_known_of_a_step_that_returns_nothing(tmp_path):
    model, optimizer = classifier(), keras.optimizers.SGD(0.05)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = entropy(y, model(x))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    x, y = tf.ones([4, 5]), tf.constant([0, 1, 2, 0])
    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        recorded = recorder.wrap(step, model=model, optimizer=optimizer)
        expected = float(entropy(y, model(x)))
        recorded(x, y)
    assert gradscope.read_run(tmp_path).step_statistics["loss"][0] == pytest.approx(expected, rel=1e-5)


def squared(y_true, y_pred):
    return tf.reduce_mean(tf.square(tf.cast(y_true, tf.float32) - y_pred), axis=-1)


def logarithm(y_true, y_pred):
    return -tf.reduce_sum(tf.cast(y_true, tf.float32) * tf.math.log(y_pred), axis=-1)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(squared, "mean_squared_error"), (logarithm, "logarithm"), ("mae", "mean_absolute_error")],
)
def test_a_compiled_loss_of_ones_own_is_known_by_what_it_compares(function, expected, tmp_path):
    model = classifier(activation="softmax")
    model.compile("sgd", function)
    y = np.eye(3, dtype="float32")[np.arange(16) % 3]
    model.fit(np.ones((16, 5), "float32"), y, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1)])
    run = gradscope.read_run(tmp_path)
    assert [loss["name"] for loss in run.settings["losses"]] == [expected]
    assert ("called_loss" in run.step_statistics) == (function is squared)
    assert run.names("target") == ("target",)
    assert run.trouble == ()
