"""The stock tabs stay few: thousands of tags freeze TensorBoard."""

from __future__ import annotations

import numpy as np

from gradscope.events.sample import Sample
from gradscope.events.stock import stock_values
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES


def tags_of(layers):
    tensors = []
    for number in range(layers):
        layer = f"dense_{number}"
        tensors += [TensorKey(kind, layer, layer) for kind in ("activation", "activation_gradient")]
        tensors += [
            TensorKey(kind, f"{layer}/{role}", layer)
            for role in ("bias", "kernel")
            for kind in ("weight", "gradient", "update")
        ]
    values = np.ones((len(tensors), len(STATISTIC_NAMES)), np.float32)
    kernels = [key.name.endswith("kernel") for key in tensors]
    values[kernels, STATISTIC_NAMES.index("count")] = 16.0
    histograms = np.zeros((len(tensors), 2048), np.int64)
    histograms[:, 500] = 1
    steps = {"loss": 1.0, "learning_rate": 1.0, "global_gradient_norm": 1.0}
    return {value.tag for value in stock_values(Sample(0, 1.0, tuple(tensors), values, steps, histograms))}


def test_fifty_layers_add_fewer_than_250_tags():
    tags = tags_of(50)
    assert len(tags) < 250
    assert "gradients/dense_49/kernel" in tags
    assert "weights/dense_49/bias" not in tags


def test_a_small_model_shows_its_biases_too():
    assert {"gradients/dense_0/bias", "weights/dense_0/kernel", "activations/dense_0"} <= tags_of(3)
