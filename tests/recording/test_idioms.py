"""Ways to write a training program that tutorials teach: each trains as without a recorder, and is recorded."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers


def noisy(z):
    return keras.ops.relu(z) + 0.1 * keras.random.normal(keras.ops.shape(z))


class Noisy(layers.Layer):
    """An activation with a generator of its own."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, z):
        return tf.nn.relu(z) + 0.1 * keras.random.normal(keras.ops.shape(z), seed=self.seed_generator)


class Block(layers.Layer):
    """Makes its parts when it is built; one of them is its activation."""

    def build(self, shape):
        self.dense = layers.Dense(6, name="dense")
        self.activation = layers.ReLU(name="relu")
        super().build(shape)

    def call(self, x):
        return self.activation(self.dense(x))


class Generous(keras.optimizers.SGD):
    """Takes an argument of its own."""

    def apply(self, grads, trainable_variables=None, *, factor=1.0):
        super().apply([factor * gradient for gradient in grads], trainable_variables)


class Net(keras.Model):
    """A step of one's own; how it applies the gradients is what the tests are about."""

    def __init__(self, apply):
        super().__init__()
        self.hidden, self.out = layers.Dense(6, "relu", name="hidden"), layers.Dense(1, name="out")
        self(tf.zeros((1, 5)))
        self._apply = apply

    def call(self, x):
        return self.out(self.hidden(x))

    def one_step(self, x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        self._apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

    def train_step(self, data):
        return self.one_step(*data)


class Decorated(Net):
    """Its step is compiled by itself."""

    @tf.function
    def train_step(self, data):
        return self.one_step(*data)


class RaggedNet(keras.Model):
    """Sequences of different lengths all the way up to their means."""

    def __init__(self):
        super().__init__()
        self.widen, self.rectify, self.mean = Widened(name="widen"), Rectified(name="rectify"), Mean(name="mean")
        self.out = layers.Dense(1, name="out")

    def call(self, x):
        return self.out(self.mean(self.rectify(self.widen(x))))


class Widened(layers.Layer):
    def build(self, _):
        self.kernel = self.add_weight(shape=(3, 4), name="kernel")

    def call(self, x):
        return x.with_flat_values(tf.matmul(x.flat_values, self.kernel))


class Rectified(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.activation = lambda z: z.with_flat_values(tf.nn.relu(z.flat_values))

    def call(self, x):
        return self.activation(x)


class Mean(layers.Layer):
    def call(self, x):
        return tf.reduce_mean(x, axis=1)


def weights(model):
    return [np.array(weight) for weight in model.get_weights()]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("activation", [lambda: noisy, Noisy])
def test_an_activation_that_draws_random_numbers_draws_none_for_us(activation, regression, record, exact_graphs):
    trained = []
    for fit in (record, lambda model, x, y: model.fit(x, y, verbose=0, batch_size=16, shuffle=False)):
        keras.backend.clear_session()  # Keras 3.3 keeps what it draws random numbers with
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [keras.Input((5,)), layers.Dense(8, activation()), layers.Dropout(0.5), layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        fit(model, *regression)
        trained.append(weights(model))
    assert same(*trained)


def test_layers_that_are_made_when_they_are_built_are_recorded_from_the_second_sample_on(regression, record):
    model = keras.Sequential([Block(name="block"), layers.Dense(1, name="out")])
    model.compile("sgd", "mse")
    run = record(model, *regression)
    assert run.trouble == ()
    assert {"block/dense", "block/relu", "out"} <= set(run.names("activation"))
    assert np.isfinite(run.series("activation", "block/relu", "rms")).tolist() == [False, True, True, True]
    assert {layer.name for layer in run.model.layers} == {"block/dense", "block/relu", "out"}
    assert np.isfinite(run.series("update", "block/dense/kernel", "norm")).all()


def listed(optimizers):
    def add(model):
        model.optimizers = optimizers

    return add


@pytest.mark.parametrize("keep", [listed, lambda _: lambda model: None], ids=["in a list", "in a closure"])
def test_optimizers_that_nobody_hands_over_are_heard(keep, regression, record):
    first, second = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)

    def apply(gradients, variables):
        first.apply(gradients[:2], variables[:2])
        second.apply(gradients[2:], variables[2:])

    model = Net(apply)
    first.build(model.trainable_variables[:2])
    second.build(model.trainable_variables[2:])
    keep([first, second])(model)
    before = vars(keras.optimizers.Optimizer).copy()
    model.compile()
    run = record(model, *regression)
    assert vars(keras.optimizers.Optimizer).copy() == before
    assert run.trouble == ()
    assert set(run.names("update")) == {"hidden/kernel", "hidden/bias", "out/kernel", "out/bias"}
    assert [optimizer["name"] for optimizer in run.settings["optimizers"]] == ["Adam", "SGD"]


def test_a_trial_step_of_another_optimizer_is_not_taken_for_the_step(regression, tmp_path):
    x, y = map(tf.constant, regression)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(1, name="out")])
    optimizer = keras.optimizers.SGD(0.5)

    def step(x, y):
        before = model.get_weights()
        for trainer in (keras.optimizers.SGD(0.01), optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x) - y) ** 2)
            gradients = tape.gradient(loss, model.trainable_variables)
            if trainer is optimizer:
                model.set_weights(before)
            trainer.apply(gradients, model.trainable_variables)
        return loss, gradients[0]

    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    with recorder:
        loss, gradient = recorder.wrap(step, model=model, optimizer=optimizer)(x, y)
    run = gradscope.read_run(tmp_path)
    assert run.step_statistics["loss"] == pytest.approx([float(loss)])
    norms = [run.series(kind, "out/kernel", "norm")[0] for kind in ("gradient", "update")]
    assert norms == pytest.approx([np.linalg.norm(gradient), 0.5 * np.linalg.norm(gradient)], rel=1e-4)


def test_an_optimizer_whose_apply_takes_more_gets_it(regression, record):
    optimizer = Generous(0.1)
    model = Net(lambda gradients, variables: optimizer.apply(gradients, variables, factor=2.0))
    optimizer.build(model.trainable_variables)
    model.compile(optimizer)
    run = record(model, *regression)
    assert run.trouble == ()
    ratio = run.series("update", "out/kernel", "norm") / run.series("gradient", "out/kernel", "norm")
    assert ratio == pytest.approx(0.2, rel=1e-4)


def test_gradients_that_are_applied_in_a_branch_are_said_to_be_missing(regression, record):
    optimizer = keras.optimizers.SGD(0.1)

    def apply(gradients, variables):
        tf.cond(gradients[0][0, 0] > 0, lambda: optimizer.apply(gradients, variables), lambda: None)

    model = Net(apply)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer)
    run = record(model, *regression)
    assert len(run.trouble) == 1
    assert "gradients and updates are not recorded: the optimizer applies them in a loop or branch" in run.trouble[0]


def test_a_train_step_that_is_a_function_of_its_own_is_recorded(regression, record, tmp_path, exact_graphs):
    trained = []
    for kind in (Net, Decorated):
        keras.utils.set_random_seed(3)
        optimizer = keras.optimizers.SGD(0.1)
        model = kind(lambda *pairs, optimizer=optimizer: optimizer.apply(*pairs))
        optimizer.build(model.trainable_variables)
        model.compile(optimizer)
        run = record(model, *regression, log_dir=tmp_path / kind.__name__)
        assert run.trouble == ()
        assert {"hidden", "out"} == set(run.names("activation"))
        assert "out/kernel" in run.names("gradient")
        trained.append(weights(model))
    assert same(*trained)


def test_a_step_that_is_wrapped_inside_a_compiled_loop_trains_as_before(regression, tmp_path):
    x, y = regression
    optimizer = keras.optimizers.SGD(0.1)
    model = Net(lambda grads, variables: optimizer.apply_gradients(zip(grads, variables, strict=True)))
    optimizer.build(model.trainable_variables)
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    step = recorder.wrap(model.one_step, model=model, optimizer=optimizer)

    @tf.function
    def epoch(batches):
        for batch in batches:
            step(*batch)

    epoch(tf.data.Dataset.from_tensor_slices((x, y)).batch(16))
    assert int(optimizer.iterations.numpy()) == 4
    assert recorder._session.trouble.texts == [
        "nothing is recorded: wrap the function that Python calls, not what a tf.function runs"
    ]


def test_gradients_of_single_examples_are_none_of_the_step(regression, tmp_path):
    x, y = map(tf.constant, regression)
    optimizer = keras.optimizers.SGD(0.1)
    model = Net(lambda grads, variables: optimizer.apply_gradients(zip(grads, variables, strict=True)))
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            losses = tf.reduce_mean((model(x) - y) ** 2, axis=1)
        jacobians = tape.jacobian(losses, model.trainable_variables)
        optimizer.apply([tf.reduce_mean(part, axis=0) for part in jacobians], model.trainable_variables)
        return tf.reduce_mean(losses)

    with gradscope.Recorder(tmp_path, every=1, summary=False) as recorder:
        losses = [recorder.wrap(step, model=model, optimizer=optimizer)(x, y).numpy() for _ in range(2)]
    run = gradscope.read_run(tmp_path)
    assert run.step_statistics["loss"] == pytest.approx(losses)


def test_a_sparse_input_is_no_trouble(regression, record):
    x, y = regression
    inputs = keras.Input((5,), sparse=True)
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(np.maximum(x, 0)), y)).batch(16)
    run = record(model, data, None, batch_size=None)
    assert run.trouble == ()
    assert len(run.steps) == 4


@pytest.mark.parametrize("compiled", [True, False], ids=["function", "eager"])
def test_ragged_tensors_are_left_out_and_that_is_said(compiled, tmp_path, exact_graphs):
    results = []
    for folder in ("recorded", "plain"):
        keras.utils.set_random_seed(3)
        random = np.random.default_rng(0)
        model, optimizer = RaggedNet(), keras.optimizers.SGD(0.1)

        def step(x, y, model=model, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x) - y) ** 2)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            return loss

        step = tf.function(step, reduce_retracing=True) if compiled else step
        with gradscope.Recorder(tmp_path / folder, every=1, summary=False) as recorder:
            run_step = recorder.wrap(step, model=model, optimizer=optimizer) if folder == "recorded" else step
            for _ in range(3):
                lengths = random.integers(1, 5, 8)
                values = random.normal(size=(lengths.sum(), 3)).astype(np.float32)
                targets = tf.constant(random.normal(size=(8, 1)), tf.float32)
                run_step(tf.RaggedTensor.from_row_lengths(values, lengths), targets)
        results.append(weights(model))
    assert same(*results)
    run = gradscope.read_run(tmp_path / "recorded")
    assert run.trouble == tuple(
        f"layer {name} is not recorded: its output is a ragged tensor" for name in ("widen", "rectify")
    )
    assert run.step_statistics["example_count"].tolist() == [8, 8, 8]
    assert run.names("activation") == ("mean", "out")
    assert set(run.names("update")) == {"widen/kernel", "out/kernel", "out/bias"}
    assert run.names("target") == ("target",)


class Branching(layers.Layer):
    """A block whose call is a graph of its own, with a branch and a loop in it that autograph makes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inside = layers.Dense(5, "tanh", name="inside")

    @tf.function
    def call(self, x):
        if tf.reduce_sum(x) > 0:
            x = 1.5 * x
        for _ in tf.range(2):
            x = 0.5 * x
        return self.inside(x)


class Whole(layers.Layer):
    """A layer of one's own that does all by itself, in such a graph."""

    def __init__(self, **options):
        super().__init__(**options)
        self.activation = keras.activations.get("relu")

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    @tf.function
    def call(self, x):
        return self.activation(tf.matmul(x, self.kernel))


class InGraphs(keras.Model):
    def __init__(self):
        super().__init__()
        self.block, self.whole, self.out = Branching(name="block"), Whole(name="whole"), layers.Dense(1, name="out")
        self(tf.zeros((1, 5)))

    @tf.function(reduce_retracing=True)
    def call(self, x, *, training=False):
        x = self.whole(self.block(x))
        return self.out(x) if training else self.out(x) * 0.0


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
def test_parts_of_a_call_that_is_a_function_of_its_own_are_recorded(eager, regression, record, exact_graphs):
    trained = []
    for fit in (record, lambda model, x, y: model.fit(x, y, verbose=0, batch_size=16, shuffle=False)):
        keras.utils.set_random_seed(3)
        model = InGraphs()
        model.compile("adam", "mse", run_eagerly=eager)
        called = model.call
        run = fit(model, *regression)
        assert model.call is called
        trained.append(weights(model))
        if fit is record:
            assert run.trouble == ()
            assert set(run.names("activation")) == {"block/inside", "whole", "out"}
            assert {"block/inside", "whole"} == set(run.names("preactivation"))
            assert set(run.names("activation_gradient")) == {"block/inside", "whole", "out"}
    assert same(*trained)


def test_a_call_that_xla_compiles_stays_so(regression, record):
    class Compiled(Net):
        @tf.function(jit_compile=True)
        def call(self, x):
            return super().call(x)

    optimizer = keras.optimizers.SGD(0.1)
    model = Compiled(lambda grads, variables: optimizer.apply_gradients(zip(grads, variables, strict=True)))
    optimizer.build(model.trainable_variables)
    model.compile(optimizer)
    run = record(model, *regression)
    assert len(run.steps) == 4
    assert "out/kernel" in run.names("update")
