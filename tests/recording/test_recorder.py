"""The Recorder in fit(): it changes nothing, leaves no trace, follows the steps and never ends a run."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest

import gradscope
from gradscope.diagnosis.rules import all_rules
from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras, tf

layers = keras.layers


def mlp():
    hidden = layers.Dense(8, activation="relu", name="hidden")
    return keras.Sequential([keras.Input((5,)), hidden, layers.Dense(1, name="out")])


def convnet():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Reshape((5, 1)),
            layers.Conv1D(4, 3, activation="elu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        ]
    )


def recurrent():
    return keras.Sequential([keras.Input((5,)), layers.Reshape((5, 1)), layers.LSTM(4), layers.Dense(1)])


def attention():
    inputs = keras.Input((5,))
    x = layers.Dense(8)(layers.Reshape((5, 1))(inputs))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(8)
        self.second = layers.Dense(1)

    def call(self, x):
        return self.second(tf.nn.softplus(self.first(x)))


MODELS = [mlp, convnet, recurrent, attention, Subclassed]


def trained_weights(build, data, callbacks, **compile_options):
    keras.utils.set_random_seed(3)
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", **compile_options)
    model.fit(*data, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    return model.get_weights()


@pytest.mark.parametrize("build", MODELS)
def test_training_is_bit_identical_with_every_step_sampled(build, regression, tmp_path, exact_graphs):
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    recorded = trained_weights(build, regression, [recorder])
    plain = trained_weights(build, regression, [])
    run = gradscope.read_run(tmp_path)
    assert run.steps.tolist() == list(range(8))
    assert run.trouble == ()
    assert all(np.array_equal(a, b) for a, b in zip(recorded, plain, strict=True))


@pytest.mark.parametrize(
    "options", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}], ids=lambda o: next(iter(o))
)
def test_other_ways_to_run_the_step(options, regression, tmp_path):
    recorder = gradscope.Recorder(tmp_path / "other", every=1, summary=False)
    trained_weights(mlp, regression, [recorder], **options)
    trained_weights(mlp, regression, [gradscope.Recorder(tmp_path / "graph", every=1, summary=False)])
    other, graph = gradscope.read_run(tmp_path / "other"), gradscope.read_run(tmp_path / "graph")
    span = options.get("steps_per_execution", 1)
    assert other.steps.tolist() == list(range(span - 1, 8, span))
    assert other.trouble == ()
    rows = [graph.index[key.kind, key.name] for key in other.tensors]
    steps = np.searchsorted(graph.steps, other.steps)
    np.testing.assert_allclose(other.values[..., :6], graph.values[steps][:, rows][..., :6], rtol=2e-3, atol=1e-6)


def test_another_optimizer_is_watched_like_a_beginning(regression, tmp_path):
    recorder = gradscope.Recorder(tmp_path, summary=False)
    model = mlp()
    for optimizer, epochs in (("adam", 10), ("sgd", 2)):
        model.compile(optimizer, "mse")
        model.fit(*regression, batch_size=16, epochs=epochs, verbose=0, callbacks=[recorder])
    assert {40, 41, 42, 44} <= set(gradscope.read_run(tmp_path).steps.tolist())


def test_objects_are_untouched_between_sampled_steps(regression, tmp_path):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(attributes(self.model))
            keras.models.clone_model(self.model)
            pickle.loads(pickle.dumps(self.model.optimizer))
            self.model.save(tmp_path / "model.keras")

    model = mlp()
    model.compile("sgd", "mse")
    before = attributes(model)
    model.fit(
        *regression, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False), Look()], epochs=2
    )
    assert all(names == before for names in seen)
    assert keras.models.load_model(tmp_path / "model.keras").count_params() == model.count_params()


def attributes(model):
    tapped = {"call", "activation", "apply", "train_step", "compute_loss"}
    objects = [model, *model.layers, model.optimizer]
    return [{name: vars(o)[name] for name in tapped & set(vars(o))} for o in objects]


def test_unsampled_steps_run_the_models_own_function(regression, tmp_path):
    own = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            own.append(self.model.train_function)

    model = mlp()
    model.compile("sgd", "mse")
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[gradscope.Recorder(tmp_path, summary=False), Look()])
    assert len(set(own)) == 1


def test_a_sampled_step_is_traced_once(regression, tmp_path):
    traces = []

    class Counted(keras.layers.Layer):
        def call(self, x):
            traces.append(x)
            return x

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1), Counted()])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    traces.clear()
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    assert gradscope.read_run(tmp_path).steps.tolist() == [0, 1, 2, 3]
    assert len(traces) == 1


def test_steps_go_on_over_several_fits_and_partial_batches(regression, tmp_path):
    x, y = regression
    model = mlp()
    model.compile("sgd", "mse")
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    for _ in range(2):
        model.fit(x[:40], y[:40], batch_size=16, verbose=0, validation_data=(x, y), callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert run.steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert run.step_statistics["example_count"].tolist() == [16, 16, 8, 16, 16, 8]


def test_the_end_of_fit_is_sampled(regression, tmp_path):
    model = mlp()
    model.compile("sgd", "mse")
    recorder = gradscope.Recorder(tmp_path, overhead=1e-9, summary=False)
    recorder._session.schedule.clock.recording_seconds = 1e6  # nothing more may be spent
    model.fit(*regression, batch_size=16, epochs=5, verbose=0, callbacks=[recorder])
    assert gradscope.read_run(tmp_path).steps.tolist() == [0, 1, 2, 4, 8, 16, 19]


def test_a_model_that_is_compiled_anew_is_recorded_anew(regression, tmp_path):
    model = mlp()
    model.compile("sgd", "mse")
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[recorder])
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert run.steps.tolist() == list(range(8))
    gradients = run.series("gradient", f"{model.layers[0].name}/kernel", "count")
    assert np.isnan(gradients).tolist() == [False] * 4 + [True] * 4


def test_the_users_own_error_reaches_them_and_leaves_no_taps(regression, tmp_path):
    class Failing(layers.Layer):
        def call(self, x):
            tf.debugging.assert_less(tf.reduce_max(x), 1e9, message="too large for me")
            return x

    x, y = regression
    model = keras.Sequential([keras.Input((5,)), Failing(), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = attributes(model)
    x = x.copy()
    x[0] = 1e10
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large for me"):
        model.fit(x, y, batch_size=64, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    assert attributes(model) == before


def test_an_unwritable_dir_costs_one_warning_and_nothing_else(regression, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    model = mlp()
    model.compile("sgd", "mse")
    with caplog.at_level(logging.WARNING, logger="gradscope"):
        history = model.fit(
            *regression, batch_size=16, epochs=2, verbose=0, callbacks=[gradscope.Recorder(blocked / "run", every=1)]
        )
    assert len(history.history["loss"]) == 2
    assert len([record for record in caplog.records if record.name == "gradscope"]) == 1
    assert "recording stops, training goes on" in caplog.text


def test_a_layer_that_cannot_be_tapped_is_named_and_the_rest_recorded(regression, tmp_path, caplog, monkeypatch):
    from gradscope.recording import collector

    def refuse(values):
        if values.shape[-1] == 8:
            raise ValueError("no spread for eight")
        return tf.constant(0.0)

    monkeypatch.setattr(collector, "example_std", refuse)
    model = mlp()
    model.compile("sgd", "mse")
    model.fit(*regression, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    run = gradscope.read_run(tmp_path)
    assert model.layers[0].name in run.trouble[0]
    assert "no spread for eight" in run.trouble[0]
    assert f"{model.layers[0].name}/kernel" in run.names("gradient")


def test_the_verdict_is_said_and_written_when_training_ends(regression, tmp_path, capsys):
    model = mlp()
    model.compile("sgd", "mse")
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1)])
    said = capsys.readouterr().out
    assert gradscope.diagnose(gradscope.read_run(tmp_path)).sentence in said
    assert f"gradscope check {tmp_path}" in said


@pytest.mark.parametrize(("text", "said"), [("", "No error or warning"), ("rules = 1", "judged by the default limits")])
def test_the_verdict_follows_the_settings_and_a_mistake_in_them_ends_nothing(
    regression, tmp_path, monkeypatch, text, said
):
    monkeypatch.chdir(tmp_path)
    off = "".join(f"[rules.{rule.name}]\nseverity = 'note'\n" for rule in all_rules())
    (tmp_path / "gradscope.toml").write_text(text or off)
    model = mlp()
    model.compile(keras.optimizers.SGD(1e30), "mse")
    model.fit(*regression, batch_size=16, verbose=0, callbacks=[gradscope.Recorder(tmp_path / "run", every=1)])
    (file,) = (tmp_path / "run").iterdir()
    assert said in file.read_bytes().decode("utf-8", "replace")
    assert not gradscope.read_run(tmp_path / "run").trouble


@pytest.mark.parametrize("log_dir", [None, 3, b"x"])
def test_a_log_dir_that_is_no_path_is_refused(log_dir):
    with pytest.raises(RecordingError, match="give a path"):
        gradscope.Recorder(log_dir)
