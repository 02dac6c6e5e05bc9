"""Accumulated gradients, bfloat16, and data that comes from a PyDataset."""

from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.recording.frameworks import keras, tf

layers = keras.layers


def dense_model(optimizer="sgd"):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, "tanh", name="hidden"), layers.Dense(1, name="out", dtype="float32")]
    )
    model.compile(optimizer, "mse")
    return model


def test_a_step_that_only_adds_up_gradients_has_no_update(regression, record, exact_graphs):
    def accumulating():
        keras.utils.set_random_seed(7)
        return dense_model(keras.optimizers.SGD(0.1, gradient_accumulation_steps=2, clipnorm=0.05))

    model = accumulating()
    run = record(model, *regression)
    assert run.trouble == ()
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert np.isfinite(run.series("gradient", "hidden/kernel", "norm")).all()
    norms = run.series("update", "hidden/kernel", "norm")
    # Keras 3.3 clips each batch's gradient and then averages, so that less is left; later it clips the average.
    slack = 0.1 if keras.__version__.startswith("3.3.") else 1e-4
    np.testing.assert_allclose(norms, [np.nan, 0.005, np.nan, 0.005], rtol=slack)
    clipped = run.series("clipped_gradient", "hidden/kernel", "norm")
    np.testing.assert_allclose(clipped, [np.nan, 0.05, np.nan, 0.05], rtol=1e-4)
    assert np.isnan(run.step_statistics["expected_loss_change"]).tolist() == [True, False, True, False]
    plain = accumulating()
    plain.fit(*regression, batch_size=16, shuffle=False, verbose=0)
    for recorded, wanted in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(recorded, wanted)


def test_bfloat16_is_recorded_as_float32_is_but_for_its_digits(regression, record, tmp_path):
    reference = dense_model()
    weights = reference.get_weights()
    wanted = record(reference, *regression)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = dense_model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(weights)
    run = record(model, *regression, log_dir=tmp_path / "bfloat16")
    assert run.trouble == ()
    assert set(run.tensors) == set(wanted.tensors)
    for kind, name in (("gradient", "hidden/kernel"), ("activation", "hidden"), ("activation_gradient", "hidden")):
        expected = float(wanted.series(kind, name, "rms")[0])
        assert float(run.series(kind, name, "rms")[0]) == pytest.approx(expected, rel=0.02)
    assert "loss_scale" not in run.step_statistics
    assert np.isnan(run.series("gradient", "hidden/kernel", "underflow_fraction")).all()


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, **options):
        super().__init__(**options)
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 16

    def __getitem__(self, index):
        part = slice(16 * index, 16 * index + 16)
        return self.x[part], self.y[part]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_py_dataset_is_recorded_as_the_arrays_it_gives(workers, regression, record, tmp_path):
    from_arrays = record(dense_model(), *regression)
    keras.utils.set_random_seed(7)
    recorder = gradscope.Recorder(tmp_path / "dataset", every=1, summary=False)
    batches = Batches(*regression, workers=workers, max_queue_size=4)
    dense_model().fit(batches, shuffle=False, verbose=0, callbacks=[recorder])
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    assert run.steps.tolist() == [0, 1, 2, 3]
    for name in ("loss", "global_gradient_norm", "example_count"):
        np.testing.assert_allclose(run.step_statistics[name], from_arrays.step_statistics[name], rtol=1e-4)


def test_a_schedule_that_cannot_write_itself_down_is_named(regression, tmp_path):
    class Noam(keras.optimizers.schedules.LearningRateSchedule):  # as in the tutorial on transformers
        def __call__(self, step):
            return 1e-3 / (tf.cast(step, tf.float32) + 1.0)

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(regression[1].shape[-1])])
    model.compile(keras.optimizers.Adam(Noam(), beta_2=0.98), "mse")
    model.fit(*regression, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=1, summary=False)])
    run = gradscope.read_run(tmp_path)
    assert run.trouble == ()
    assert (run.settings["optimizer"]["learning_rate"], run.settings["optimizer"]["beta_2"]) == ("Noam", 0.98)
    assert run.step_statistics["learning_rate"][1] == pytest.approx(5e-4)
