"""What became trainable, or was frozen, since the step was compiled: the compiled step goes on as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradscope
from gradscope.diagnosis.verdict import Severity
from gradscope.recording.frameworks import keras, tf

layers = keras.layers
BASE = ("base/kernel", "base/bias")


def model_with_base(*, trainable, behind=(), kind=keras.Sequential):
    model = kind([keras.Input((5,)), layers.Dense(6, "tanh", name="base"), *behind, layers.Dense(1, name="head")])
    model.layers[0].trainable = trainable
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def fit(model, data, callbacks=()):
    model.fit(*data, batch_size=16, epochs=5, shuffle=False, verbose=0, callbacks=list(callbacks))


def weights_after(prepare, change, data, callbacks=()):
    """The weights of a model that is trained, changed without compile(), and trained again, under the callbacks."""
    keras.utils.set_random_seed(7)
    model = prepare()
    fit(model, data)
    change(model)
    fit(model, data, callbacks)
    return model.get_weights()


def assert_same_with_and_without(recorder, prepare, change, data):
    wanted = weights_after(prepare, change, data)
    for recorded, plain in zip(weights_after(prepare, change, data, [recorder]), wanted, strict=True):
        np.testing.assert_array_equal(recorded, plain)


def thaw(model):
    for layer in model.layers:
        layer.trainable = True


def freeze_base(model):
    model.get_layer("base").trainable = False


def with_frozen_norm(kind=keras.Sequential):
    model = model_with_base(
        trainable=False, behind=[layers.BatchNormalization(name="norm", trainable=False)], kind=kind
    )
    model.get_layer("norm").gamma.assign(np.full(6, 2.0))
    return model


class OwnStep(keras.Sequential):
    """Hands the optimizer TensorFlow's variables, as a tape gives them."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = [variable.value for variable in self.trainable_variables]
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def stopped(caplog):
    """Why the recording stopped, as it was said."""
    (text,) = [record.getMessage() for record in caplog.records if record.name == "gradscope"]
    assert "recording stops, training goes on" in text
    return text


@pytest.fixture
def recorder(tmp_path):
    return gradscope.Recorder(tmp_path / "run", every=1, summary=False)


def test_a_base_that_was_thawed_without_compile_stays_as_it_was_and_is_named(recorder, regression, exact_graphs):
    assert_same_with_and_without(recorder, lambda: model_with_base(trainable=False), thaw, regression)
    run = gradscope.read_run(recorder.log_dir)
    assert run.steps.tolist() == list(range(20, 40))
    assert set(run.names("gradient")) == {"head/kernel", "head/bias"}
    assert all(name in run.trouble[0] for name in BASE)
    assert [text for text in run.trouble if "became trainable" in text and "compile() again" in text] == [*run.trouble]
    assert run.settings["trainable_since_compile"] == sorted(BASE)
    (finding,) = [f for f in gradscope.diagnose(run).findings() if f.rule == "omitted-variable"]
    assert (finding.severity, finding.layers, finding.remedies[0].topic) == (Severity.ERROR, ("base",), "variables")


@pytest.mark.parametrize("kind", [keras.Sequential, OwnStep])
def test_a_thawed_batch_normalisation_goes_on_by_its_moving_statistics(kind, recorder, regression, exact_graphs):
    assert_same_with_and_without(recorder, lambda: with_frozen_norm(kind), thaw, regression)
    run = gradscope.read_run(recorder.log_dir)
    assert run.settings["trainable_since_compile"] == sorted([*BASE, "norm/gamma", "norm/beta"])
    assert np.ptp(run.series("weight", "norm/moving_mean", "rms")) == 0


def test_an_optimizer_that_was_built_for_more_is_recorded_in_a_later_fit(recorder, regression, exact_graphs):
    adam = keras.optimizers.Adam(0.01)

    def prepare():
        nonlocal adam
        adam = keras.optimizers.Adam(0.01)
        model = model_with_base(trainable=True)
        model.compile(adam, "mse")
        fit(model, regression)
        freeze_base(model)
        model.compile(adam, "mse")
        return model

    assert_same_with_and_without(recorder, prepare, lambda _: None, regression)
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    assert set(run.names("gradient")) == {"head/kernel", "head/bias"}


@pytest.mark.parametrize("kind", [keras.Sequential, OwnStep])
def test_a_base_that_was_frozen_without_compile_goes_on_training_and_is_not_recorded(
    kind, recorder, regression, exact_graphs, caplog
):
    assert_same_with_and_without(recorder, lambda: model_with_base(trainable=True, kind=kind), freeze_base, regression)
    assert all(name in stopped(caplog) for name in BASE)
    assert "call compile() again" in stopped(caplog)
    assert not Path(recorder.log_dir).exists()


@pytest.mark.parametrize("kind", [keras.Sequential, OwnStep])
@pytest.mark.parametrize("change", [lambda _: None, lambda model: model.compile("sgd", "mse")], ids=["as", "anew"])
def test_a_second_fit_of_the_same_variables_is_recorded_like_a_first(change, kind, recorder, regression, exact_graphs):
    assert_same_with_and_without(recorder, lambda: model_with_base(trainable=False, kind=kind), change, regression)
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    assert len(run.steps) == 20
    assert "trainable_since_compile" not in run.settings
    assert set(run.names("gradient")) == {"head/kernel", "head/bias"}


def test_a_variable_without_a_gradient_did_not_become_trainable(recorder, regression, exact_graphs):
    class Idle(layers.Layer):
        def build(self, _):
            self.idle = self.add_weight(shape=(3,), name="idle")

        def call(self, x):
            return x

    def prepare():
        return model_with_base(trainable=True, behind=[Idle(name="idle")])

    with pytest.warns(UserWarning, match="Gradients do not exist"):
        assert_same_with_and_without(recorder, prepare, lambda _: None, regression)
    run = gradscope.read_run(recorder.log_dir)
    assert not any("became trainable" in text for text in run.trouble)
    assert "trainable_since_compile" not in run.settings


def test_what_was_thawed_and_compiled_again_is_trained_and_recorded(recorder, regression):
    def anew(model):
        thaw(model)
        model.compile("sgd", "mse")

    weights_after(lambda: model_with_base(trainable=False), anew, regression, [recorder])
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    assert set(run.names("gradient")) == {*BASE, "head/kernel", "head/bias"}
