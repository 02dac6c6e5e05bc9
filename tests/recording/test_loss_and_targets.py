"""The loss over an interval, what the loss compares with, and which loss it is."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest

import gradscope
from gradscope.diagnosis.evidence import Evidence
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.interval_loss import IntervalLoss
from gradscope.recording.losses import describe_losses

layers = keras.layers


class Losses(keras.callbacks.Callback):
    """Keras' running mean of the loss after every step, and from it the loss of the step."""

    def __init__(self):
        super().__init__()
        self.of_steps = []

    def on_epoch_begin(self, epoch, logs=None):
        self.total = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.of_steps.append(logs["loss"] * (batch + 1) - self.total)
        self.total = logs["loss"] * (batch + 1)


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}], ids=str)
def test_the_interval_loss_is_the_mean_over_all_steps_since_the_last_sample(options, regression, tmp_path):
    x, y = regression
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", **options)
    seen = Losses()
    recorder = gradscope.Recorder(tmp_path, every=3, summary=False)
    callbacks = [seen, recorder]
    # Validation sets Keras' running mean back in the middle of an interval.
    model.fit(x, y, batch_size=16, epochs=3, validation_data=(x, y), callbacks=callbacks, verbose=0, shuffle=False)
    run = gradscope.read_run(tmp_path)
    assert run.steps.tolist() == [0, 3, 6, 9]
    expected = [np.mean(seen.of_steps[start:end]) for start, end in ((0, 1), (1, 4), (4, 7), (7, 10))]
    np.testing.assert_allclose(run.step_statistics["interval_loss"], expected, rtol=1e-4)


def test_a_running_mean_set_back_within_an_epoch_starts_the_interval_anew():
    def model(total, count):
        tracker = SimpleNamespace(total=tf.constant(float(total)), count=tf.constant(float(count)))
        return SimpleNamespace(_loss_tracker=tracker)

    meter = IntervalLoss()
    meter.epoch_begins()
    assert meter.read(model(30, 10)) == 3
    assert meter.read(model(6, 3)) == 2
    meter.epoch_ends(model(16, 5))
    meter.epoch_ends(model(1e6, 1))  # what a validation left there
    meter.epoch_begins()
    assert meter.read(model(2, 2)) == 3


def test_a_step_of_ones_own_that_keeps_no_mean_has_no_interval_loss(regression, tmp_path):
    class Own(keras.Sequential):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    model = Own([keras.Input((5,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(*regression, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert "interval_loss" not in run.step_statistics
    assert "loss" in run.step_statistics


def test_the_targets_of_each_output_are_recorded_as_they_are(record):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 5)).astype("f4")
    classes, values = rng.integers(0, 3, 32), 1e3 * rng.normal(size=(32, 2)).astype("f4")
    inputs = keras.Input((5,))
    model = keras.Model(
        inputs, [layers.Dense(3, "softmax", name="kind")(inputs), layers.Dense(2, name="place")(inputs)]
    )
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
    run = record(model, x, [classes, values])
    assert run.trouble == ()
    assert run.names("target") == ("target", "target_1")
    for name, given in (("target", classes), ("target_1", values)):
        wanted = given[:16].astype("f8")
        assert float(run.series("target", name, "mean")[0]) == pytest.approx(wanted.mean(), rel=1e-5)
        assert float(run.series("target", name, "max")[0]) == wanted.max()
        spread = np.sqrt(np.mean(np.var(wanted.reshape(16, -1), axis=0)))
        assert float(run.series("target", name, "example_std")[0]) == pytest.approx(spread, rel=1e-5)
    assert [loss["output"] for loss in run.settings["losses"]] == ["kind", "place"]


def compiled(loss, outputs=1, *, named=False):
    inputs = keras.Input((2,))
    heads = {name: layers.Dense(1, name=name)(inputs) for name in ("a", "b")[:outputs]}
    model = keras.Model(inputs, heads if named else list(heads.values()))
    model.compile("sgd", loss)
    return model


class Mine(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(y_true - y_pred, axis=-1)


@pytest.mark.parametrize(
    ("loss", "name", "from_logits"),
    [
        ("mse", "mean_squared_error", None),
        ("categorical_crossentropy", "categorical_crossentropy", False),
        ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", False),
        (keras.losses.BinaryCrossentropy(from_logits=True, name="mine"), "binary_crossentropy", True),
        (keras.losses.binary_crossentropy, "binary_crossentropy", False),
        (functools.partial(keras.losses.binary_crossentropy, from_logits=True), "binary_crossentropy", True),
        (lambda y, p: tf.reduce_mean(y - p), "lambda", None),
        (Mine(), "mine", None),
    ],
    ids=["alias", "string", "class name", "object", "function", "partial", "lambda", "own class"],
)
def test_a_loss_is_told_however_it_was_given(loss, name, from_logits):
    [told] = describe_losses(compiled(loss), {0: "a"})
    assert told == {"name": name, "from_logits": from_logits, "output": "a", "weight": 1.0}


@pytest.mark.parametrize(
    ("loss", "reduction"), [(keras.losses.MeanSquaredError(reduction="sum"), "sum"), ("mse", None)]
)
def test_a_loss_that_sums_over_the_examples_is_told(loss, reduction):
    [told] = describe_losses(compiled(loss), {0: "a"})
    assert (told["name"], told.get("reduction")) == ("mean_squared_error", reduction)


@pytest.mark.parametrize(("loss", "delta"), [(keras.losses.Huber(delta=0.02), 0.02), ("huber", None)])
def test_where_a_huber_loss_bends_is_told(loss, delta):
    [told] = describe_losses(compiled(loss), {0: "a"})
    assert (told["name"], told.get("delta")) == ("huber", delta)


@pytest.mark.parametrize(
    ("loss", "smoothing"),
    [
        (keras.losses.BinaryCrossentropy(label_smoothing=0.9), 0.9),
        (keras.losses.CategoricalCrossentropy(label_smoothing=1), 1.0),
        (functools.partial(keras.losses.binary_crossentropy, label_smoothing=0.2), 0.2),
        (keras.losses.BinaryCrossentropy(), None),
        ("categorical_crossentropy", None),
    ],
    ids=["binary", "categorical", "partial", "none", "string"],
)
def test_how_far_labels_are_smoothed_is_told(loss, smoothing):
    [told] = describe_losses(compiled(loss), {0: "a"})
    assert told.get("label_smoothing") == smoothing


@pytest.mark.parametrize(
    ("loss", "named", "outputs"),
    [
        (["mse", "mae"], False, {0: "a", 1: "b"}),
        ({"a": "mse", "b": "mae"}, False, {0: "a", 1: "b"}),
        ({"b": "mae", "a": "mse"}, True, {"a": "a", "b": "b"}),
    ],
    ids=["list", "dict for a list", "dict"],
)
def test_several_losses_are_told_with_their_outputs(loss, named, outputs):
    told = describe_losses(compiled(loss, 2, named=named), outputs)
    assert {(entry["name"], entry["output"]) for entry in told} == {
        ("mean_squared_error", "a"),
        ("mean_absolute_error", "b"),
    }


@pytest.mark.parametrize("form", ["outputs by key", "targets by key", "targets in a list"])
def test_each_loss_is_told_the_target_that_it_compares_with(form, record):
    inputs = keras.Input((2,))
    price, kind = layers.Dense(1, name="price")(inputs), layers.Dense(1, "sigmoid", name="kind")(inputs)
    outputs = {"price": price, "kind": kind} if form == "outputs by key" else [price, kind]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"kind": "binary_crossentropy", "price": "mse"})
    far, share = np.full((16, 1), 7.0, "f4"), np.ones((16, 1), "f4")
    targets = [far, share] if form == "targets in a list" else {"price": far, "kind": share}
    terms = Evidence(record(model, np.ones((16, 2), "f4"), targets))["loss_terms"]
    assert {(term.output.name, term.name, term.targets.greatest) for term in terms} == {
        ("price", "mean_squared_error", 7.0),
        ("kind", "binary_crossentropy", 1.0),
    }


@pytest.mark.parametrize(
    ("weights", "told"), [(None, [1.0, 1.0]), ([0.5, 2], [0.5, 2.0]), ({"a": 0.5, "b": 2.0}, [None, None])]
)
def test_the_weights_of_several_losses_are_told(weights, told):
    model = compiled(["mse", "mae"], 2)
    model.compile("sgd", ["mse", "mae"], loss_weights=weights)
    assert [entry["weight"] for entry in describe_losses(model, {0: "a", 1: "b"})] == told


@pytest.mark.parametrize(
    ("regularizer", "sample_weight", "told"),
    [(None, None, []), ("l2", None, ["penalties"]), (None, np.ones(16), ["example weights"])],
)
def test_what_else_the_loss_is_made_of_is_told(record, regularizer, sample_weight, told):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_regularizer=regularizer)])
    model.compile("sgd", "mse")
    run = record(model, np.ones((16, 2), "f4"), np.ones((16, 1), "f4"), sample_weight=sample_weight)
    assert run.settings["loss_additions"] == told


@pytest.mark.parametrize("in_loop", [False, True], ids=["fit", "loop"])
def test_what_examples_count_for_is_known_and_with_it_a_constant_answer(record, tmp_path, in_loop):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 2)).astype("f4"), (np.arange(64) % 8 == 0).astype("f4")
    weights = np.where(y == 1, 7.0, 0.5).astype("f4")
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    if in_loop:
        recorder = gradscope.Recorder(tmp_path / "run", every=1, summary=False)
        loss = keras.losses.BinaryCrossentropy()

        def step(x, y, weights):
            with tf.GradientTape() as tape:
                value = loss(y[:, None], model(x), sample_weight=weights)
            model.optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
            return value

        wrapped = recorder.wrap(step, model=model, optimizer=model.optimizer)
        for _ in range(4):
            wrapped(*map(tf.constant, (x, y, weights)))
        recorder.close()
        run = gradscope.read_run(recorder.log_dir)
    else:
        run = record(model, x, y, sample_weight=weights, batch_size=64)
    assert run.step_statistics["example_weight"][0] == pytest.approx(weights.mean())
    assert run.series("target", "target", "weighted_mean")[0] == pytest.approx((weights * y).mean())
    share = (weights * y).sum() / weights.sum()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    answer = Evidence(run)["constant_answer"]
    assert (answer.loss, answer.exceeded) == (pytest.approx(weights.mean() * entropy, rel=1e-5), False)


def test_weights_of_one_of_several_losses_are_not_taken_for_all(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, [layers.Dense(3, name=name)(inputs) for name in ("a", "b")])
    recorder = gradscope.Recorder(tmp_path / "run", every=1, summary=False)
    loss, optimizer = keras.losses.SparseCategoricalCrossentropy(from_logits=True), keras.optimizers.SGD()

    def step(x, y, weights):
        with tf.GradientTape() as tape:
            one, other = model(x)
            value = loss(y, one, sample_weight=weights) + loss(y, other)
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    wrapped = recorder.wrap(step, model=model, optimizer=optimizer)
    for _ in range(4):
        wrapped(tf.ones((8, 2)), tf.zeros(8, tf.int32), tf.fill([8], 50.0))
    recorder.close()
    run = gradscope.read_run(recorder.log_dir)
    assert len(run.settings["losses"]) == 2
    assert "example weights" in run.settings["loss_additions"]
    assert "example_weight" not in run.step_statistics
    assert np.isnan(Evidence(run)["constant_answer"].loss)


@pytest.mark.parametrize(("shape", "weights"), [((4, 1), (4,)), ((4, 3), (4,)), ((3,), ())], ids=str)
def test_each_step_of_a_sequence_may_have_a_weight_and_several_labels_of_one_example_share_theirs(
    shape, weights, record
):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, *shape[:-1], 2)).astype("f4"), rng.integers(0, 2, size=(16, *shape)).astype("f4")
    given = rng.uniform(size=(16, *weights)).astype("f4")
    model = keras.Sequential([keras.Input((*shape[:-1], 2)), layers.Dense(shape[-1], "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    run = record(model, x, y, sample_weight=given)
    assert run.trouble == ()
    assert run.step_statistics["example_weight"][0] == pytest.approx(given.mean(), rel=1e-5)
    mean = run.series("target", "target", "weighted_mean")[0]
    assert mean == pytest.approx((given * y[..., 0]).mean() if shape[-1] == 1 else np.nan, rel=1e-5, nan_ok=True)


class OwnLoss(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            answers = self(x, training=True)
            loss = tf.reduce_mean((answers - y) ** 2) + 5.0
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def test_a_step_that_never_asks_for_the_compiled_loss_has_another(record):
    inputs = keras.Input((2,))
    model = OwnLoss(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    run = record(model, np.ones((16, 2), "f4"), np.ones((16, 1), "f4"))
    assert [loss["weight"] for loss in run.settings["losses"]] == [None]
    assert run.settings["loss"] is None
    assert "loss" in run.step_statistics


class Adapter(layers.Layer):
    """A frozen layer that is used but not called, and a variable beside it."""

    def __init__(self, frozen, **options):
        super().__init__(**options)
        self.frozen = frozen
        frozen.trainable = False

    def build(self, shape):
        self.change = self.add_weight((shape[-1], self.frozen.units), "zeros", name="change")

    def call(self, x):
        return tf.matmul(x, self.frozen.kernel + self.change)


def test_a_layer_of_layers_with_variables_of_its_own_is_recorded(record):
    frozen = layers.Dense(3)
    frozen.build((None, 2))
    model = keras.Sequential([keras.Input((2,)), Adapter(frozen, name="adapter"), layers.Dense(1, name="end")])
    model.compile("sgd", "mse")
    run = record(model, np.ones((16, 2), "f4"), np.ones((16, 1), "f4"))
    assert run.trouble == ()
    assert {"adapter", "end"} <= set(run.names("activation")) & set(run.names("activation_gradient"))
    assert next(card for card in run.model.layers if card.name == "adapter").inbound == ("input",)


def test_what_only_changes_the_shape_hides_no_origin(record):
    grid = keras.Input((4, 3), name="grid")
    flat = keras.ops.reshape(keras.ops.transpose(grid, (0, 2, 1)), (-1, 12))
    hidden = layers.Dense(6, name="hidden")(flat)
    end = layers.Dense(1, name="end")(keras.ops.squeeze(keras.ops.expand_dims(hidden, 1), 1))
    model = keras.Model(grid, keras.ops.add(end, 0.0))
    model.compile("sgd", "mse")
    run = record(model, np.ones((16, 4, 3), "f4"), np.ones((16, 1), "f4"))
    assert {card.name: card.inbound for card in run.model.layers} == {"hidden": ("input",), "end": ("hidden",)}


def test_layers_name_the_input_that_they_take(record):
    one, other = keras.Input((2,)), keras.Input((3,))
    left, right = layers.Dense(2, name="left")(one), layers.Dense(2, name="right")(other)
    model = keras.Model([one, other], layers.Dense(1, name="end")(layers.Concatenate(name="both")([left, right])))
    model.compile("sgd", "mse")
    x = [np.ones((16, 2), "f4"), 1e4 * np.random.default_rng(0).normal(size=(16, 3)).astype("f4")]
    run = record(model, x, np.ones((16, 1), "f4"))
    told = {card.name: card.inbound for card in run.model.layers}
    assert told == {"left": ("input",), "right": ("input_1",), "both": ("left", "right"), "end": ("both",)}
    scales = {scale.name: [layer.name for layer in scale.takers] for scale in Evidence(run)["input_scale"]}
    assert scales == {"input": ["left"], "input_1": ["right"]}


def test_an_output_without_a_loss_and_a_loss_of_ones_own():
    assert [entry["output"] for entry in describe_losses(compiled([None, "mse"], 2), {0: "a", 1: "b"})] == ["b"]

    class Own(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, **options):
            return tf.reduce_mean(y_pred)

    own = Own()
    own.compile("sgd")
    assert describe_losses(own, {0: None}) == []
    assert describe_losses(layers.Dense(1), {}) == []


class Sparse(layers.Layer):
    def call(self, x):
        self.add_loss(0.5 * keras.ops.mean(keras.ops.abs(x)))
        return x


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=str)
def test_what_the_outputs_cost_is_known_beside_penalties_and_losses_of_layers(record, options):
    model = keras.Sequential([
        keras.Input((2,)),
        layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1"),
        Sparse(),
        layers.Dense(1),
    ])  # fmt: skip
    model.compile("sgd", "mse", **options)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 2)).astype("f4"), rng.normal(size=(16, 1)).astype("f4")
    expected = np.mean((model.predict(x, verbose=0) - y) ** 2)
    run = record(model, x, y)
    assert run.step_statistics["called_loss"][0] == pytest.approx(expected, rel=1e-4)
    assert run.step_statistics["loss"][0] > 1.01 * expected
    assert run.settings["loss_additions"] == ["penalties"]


def test_without_penalties_nothing_is_said_beside_the_loss(record):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert "called_loss" not in record(model, np.ones((16, 2), "f4"), np.ones((16, 1), "f4")).step_statistics


class OwnSum(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **_):
        return keras.ops.mean((y - y_pred) ** 2)  # what layers add is left out


def test_of_a_loss_put_together_by_the_user_nobody_knows_what_was_added(record):
    inputs = keras.Input((2,))
    model = OwnSum(inputs, layers.Dense(1, kernel_regularizer="l2")(inputs))
    model.compile("sgd", "mse")
    assert "called_loss" not in record(model, np.ones((16, 2), "f4"), np.ones((16, 1), "f4")).step_statistics
