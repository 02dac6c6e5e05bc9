"""The optimizer's variables are made before the first sampled step, and only where that step would make the same."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers, optimizers = keras.layers, keras.optimizers

KERAS_OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01, amsgrad=True),
    "ftrl": optimizers.Ftrl,
    "lion": optimizers.Lion,
    "adafactor": optimizers.Adafactor,
    "averaged, accumulating": lambda: optimizers.SGD(
        0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=2, gradient_accumulation_steps=2
    ),
    "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
}


class Counting(layers.Layer):
    """Counts how often it is traced."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x


class HalfStep(keras.Model):
    """A train_step of one's own that trains the last layer only."""

    def train_step(self, data):
        x, y = data
        variables = self.layers[-1].trainable_variables
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


class BiasesOnly(optimizers.Adam):
    """An optimizer of one's own that leaves kernels as they are."""

    def apply(self, grads, trainable_variables=None):
        pairs = [(g, v) for g, v in zip(grads, trainable_variables, strict=True) if v.path.endswith("bias")]
        super().apply(*zip(*pairs, strict=True))


class Late(keras.Model):
    """Says that it is built, and has a layer that is not."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(4, "relu"), layers.Dense(1)
        self.first.build((None, 5))
        self.built = True

    def call(self, x):
        return self.second(self.first(x))


class FreezesFirst(keras.callbacks.Callback):
    """Freezes a layer when the first batch begins."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.model.layers[0].trainable = False


def dense(kind=keras.Model):
    inputs = keras.Input((5,))
    hidden = layers.Dense(4, "relu", name="hidden")(inputs)
    frozen = layers.Dense(4, "tanh", name="frozen", trainable=False)(hidden)
    return kind(inputs, layers.Dense(1, name="out")(frozen))


def train(x, y, build, optimizer, callbacks):
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    model = build()
    model.compile(optimizer(), "mse")
    model.fit(x, y, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def same_training(regression, log_dir, build, optimizer, others=()):
    """Train plainly and recorded; hold that both end alike, the optimizer's variables included."""
    plain = train(*regression, build, optimizer, list(others))
    recorder = gradscope.Recorder(log_dir, every=1, summary=False)
    recorded = train(*regression, build, optimizer, [recorder, *others])
    for mine, own in ((recorded.variables, plain.variables), (recorded.optimizer.variables, plain.optimizer.variables)):
        assert [v.path for v in mine] == [v.path for v in own]
        assert all(np.array_equal(a, b) for a, b in zip(mine, own, strict=True))
    return gradscope.read_run(log_dir)


@pytest.mark.parametrize("name", KERAS_OPTIMIZERS)
def test_an_optimizer_of_keras_ends_as_without(name, regression, tmp_path, exact_graphs):
    run = same_training(regression, tmp_path, dense, KERAS_OPTIMIZERS[name])
    assert run.trouble == ()
    assert run.steps.tolist() == [0, 1, 2, 3]


def test_the_first_sampled_step_is_traced_once(regression, tmp_path):
    counting = Counting()
    model = keras.Sequential([keras.Input((5,)), counting, layers.Dense(1)])
    model.compile("adam", "mse")
    counting.calls = 0
    model.fit(*regression, batch_size=64, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    assert counting.calls == 1


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((lambda: dense(HalfStep), optimizers.Adam, ()), id="own train_step"),
        pytest.param((dense, BiasesOnly, ()), id="own optimizer"),
        pytest.param((Late, optimizers.Adam, ()), id="built in its first step"),
        pytest.param((dense, optimizers.Adam, (FreezesFirst(),)), id="frozen by a later callback"),
    ],
)
def test_where_the_step_picks_its_variables_they_are_left_to_it(case, regression, tmp_path, exact_graphs):
    assert same_training(regression, tmp_path, *case).trouble == ()


def test_a_checkpoint_waiting_for_the_optimizer_is_restored_as_without(regression, tmp_path, exact_graphs):
    trained = train(*regression, dense, optimizers.Adam, [])
    path = tf.train.Checkpoint(model=trained, optimizer=trained.optimizer).save(tmp_path / "checkpoint")

    class Restores(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            tf.train.Checkpoint(model=self.model, optimizer=self.model.optimizer).restore(path)

    same_training(regression, tmp_path / "run", dense, optimizers.Adam, (Restores(),))


def test_a_second_fit_and_a_model_compiled_anew_go_on(regression, tmp_path):
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    model = train(*regression, dense, optimizers.Adam, [recorder])
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[recorder])
    model.get_layer("frozen").trainable = True
    model.compile("rmsprop", "mse")
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert run.steps.tolist() == list(range(12))
    assert np.isfinite(run.series("update", "frozen/kernel", "norm")[8:]).all()


def test_an_optimizer_that_cannot_be_built_is_left_to_the_step(regression, tmp_path, monkeypatch, exact_graphs):
    add, added = optimizers.Adam.add_variable_from_reference, []

    def fail_at_the_second(self, *args, **kwargs):
        added.append(args)
        if len(added) == 2:
            raise MemoryError("no room")
        return add(self, *args, **kwargs)

    plain = train(*regression, dense, optimizers.Adam, [])
    monkeypatch.setattr(optimizers.Adam, "add_variable_from_reference", fail_at_the_second)
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    recorded = train(*regression, dense, optimizers.Adam, [recorder])
    assert all(np.array_equal(a, b) for a, b in zip(recorded.get_weights(), plain.get_weights(), strict=True))
    run = gradscope.read_run(tmp_path)
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert [text.endswith("MemoryError: no room") for text in run.trouble] == [True]
