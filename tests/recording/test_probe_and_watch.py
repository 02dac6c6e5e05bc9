"""A fixed probe batch beside the training batch; findings while training goes on; training that ends by itself."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras, tf

layers = keras.layers


def model(optimizer="sgd", **options):
    net = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="tanh", name="hidden"),
            layers.Dropout(0.5),
            layers.Dense(1, name="out"),
        ]
    )
    net.compile(optimizer, "mse", **options)
    return net


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}, {"run_eagerly": True}], ids=str)
def test_the_probe_is_seen_after_each_sampled_step_in_inference_mode(options, regression, tmp_path):
    x, y = regression
    net = model(keras.optimizers.SGD(0.0), **options)
    run_of = gradscope.Recorder(tmp_path, every=1, probe=(x[:30], y[:30]), summary=False)
    net.fit(x, y, batch_size=16, verbose=0, callbacks=[run_of])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    hidden = net.get_layer("hidden")(x[:30]).numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((net(x[:30], training=False) - y[:30]) ** 2)
    gradient = tape.gradient(loss, net.get_layer("hidden").kernel.value).numpy()
    # The learning rate is 0, so that the probe gives the same at each step; the training batch, with dropout, does not.
    for kind, name, expected in (("probe_activation", "hidden", hidden), ("probe_gradient", "hidden/kernel", gradient)):
        series = run.series(kind, name, "norm")
        assert series.tolist() == pytest.approx([np.linalg.norm(expected)] * 4, rel=1e-4)
    assert len(set(run.series("activation", "hidden", "norm").tolist())) == 4
    assert run.names("probe_activation_gradient") == ("out", "hidden")


def test_a_probe_of_inputs_alone_has_no_gradients(regression, tmp_path):
    x, y = regression
    recorder = gradscope.Recorder(tmp_path, every=1, probe=x[:10], summary=False)
    model().fit(x, y, batch_size=32, verbose=0, callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert run.names("probe_activation") == ("hidden", "out")
    assert run.names("probe_gradient") == ()


def test_a_probe_that_fails_is_reported_once_and_the_rest_recorded(regression, tmp_path):
    x, y = regression
    recorder = gradscope.Recorder(tmp_path, every=1, probe=np.zeros((4, 3), np.float32), summary=False)
    model().fit(x, y, batch_size=16, verbose=0, callbacks=[recorder])
    run = gradscope.read_run(tmp_path)
    assert len(run.steps) == 4
    assert len(run.trouble) == 1
    assert "the probe is not recorded" in run.trouble[0]


def test_training_with_a_probe_is_as_without(regression, tmp_path, exact_graphs):
    weights = []
    for probe in (None, regression):
        keras.utils.set_random_seed(3)
        net = model("adam")
        recorder = gradscope.Recorder(tmp_path / str(probe is None), every=1, probe=probe, summary=False)
        net.fit(*regression, batch_size=16, verbose=0, callbacks=[recorder])
        weights.append(net.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def poisoned(regression, bad_batch):
    x, y = (array.copy() for array in regression)
    x[16 * bad_batch, 0] = np.inf
    return x, y


def test_training_ends_when_a_rule_says_so(regression, tmp_path, capsys):
    recorder = gradscope.Recorder(tmp_path, every=1, stop_on={"nonfinite"}, summary=False)
    net = model()
    history = net.fit(
        *poisoned(regression, 1), batch_size=16, epochs=500, shuffle=False, verbose=0, callbacks=[recorder]
    )
    assert len(history.history["loss"]) < 100
    assert "not finite" in recorder.stop_reason
    assert "gradscope: training ends" in capsys.readouterr().out


def test_healthy_training_goes_to_its_end(regression, tmp_path):
    recorder = gradscope.Recorder(tmp_path, every=1, live=True, stop_on=["nonfinite-values"], summary=False)
    history = model().fit(*regression, batch_size=16, epochs=5, verbose=0, callbacks=[recorder])
    assert len(history.history["loss"]) == 5
    assert recorder.stop_reason is None


def test_a_finding_is_said_once_while_training_goes_on(regression, tmp_path, capsys):
    recorder = gradscope.Recorder(tmp_path, every=1, live=True, summary=False)
    model().fit(*poisoned(regression, 2), batch_size=16, epochs=10, shuffle=False, verbose=0, callbacks=[recorder])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gradscope: step ")]
    assert len(said) == len(set(said)) >= 1
    assert "error" in said[0]
    assert "NaN" in said[0] or "finite" in said[0]


def test_an_unknown_rule_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(RecordingError, match=r"stop_on='nonfinit'.*nonfinite-values"):
        gradscope.Recorder(tmp_path, stop_on={"nonfinit"})


def test_a_probe_that_is_no_batch_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"give \(x, y\)"):
        gradscope.Recorder(tmp_path, probe=(1, 2, 3))
