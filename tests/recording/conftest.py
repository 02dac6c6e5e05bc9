"""Small models and data for the tests that train."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import gradscope


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(7)
    yield
    keras.backend.clear_session()


@pytest.fixture
def exact_graphs():
    """TensorFlow without its graph optimizer, which fuses kernels and so changes the last bits."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture
def regression():
    """x of shape (64, 5) and y of shape (64, 1)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5)).astype(np.float32)
    return x, (x @ rng.normal(size=(5, 1))).astype(np.float32)


@pytest.fixture
def record(tmp_path):
    """Fit a compiled model under a Recorder at every step; returns the run."""

    def fit(model, x, y, *, every=1, log_dir=None, **options):
        recorder = gradscope.Recorder(log_dir or tmp_path / "run", every=every, summary=False)
        model.fit(x, y, callbacks=[recorder], **{"verbose": 0, "batch_size": 16, "shuffle": False, **options})
        return gradscope.read_run(recorder.log_dir)

    return fit
