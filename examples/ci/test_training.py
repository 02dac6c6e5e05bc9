"""A pytest test that a small training is healthy; run with ``pytest examples/ci/test_training.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradscope
from gradscope.testing import assert_healthy

keras = pytest.importorskip("keras")


def test_the_network_learns(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inputs = np.random.default_rng(0).normal(size=(512, 8)).astype(np.float32)
    targets = inputs @ np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(inputs, targets, epochs=5, verbose=0, callbacks=[gradscope.Recorder(tmp_path, every=10)])
    assert_healthy(tmp_path)
