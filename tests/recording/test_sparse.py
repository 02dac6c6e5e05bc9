"""Sparse gradients: the statistics of the dense tensor, without that tensor."""

from __future__ import annotations

import numpy as np
import pytest

from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.run import TensorKey


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("slices", "rows"), [(7, 50), (60, 9), (0, 9)], ids=["few", "more slices than rows", "no slices at all"]
)
def test_a_sparse_tensor_has_the_statistics_of_the_dense_one(slices, rows, xla):
    rng = np.random.default_rng(slices)
    values, indices = rng.normal(size=(slices, 3)).astype("f4"), rng.integers(0, rows, slices)
    if slices:
        values[0, 0] = np.nan
    dense = np.zeros((rows, 3), "f4")
    np.add.at(dense, indices, values)
    collector = Collector()

    @tf.function(jit_compile=xla)
    def measure(values, indices):
        collector.begin()
        sparse = tf.IndexedSlices(values, indices, tf.constant([rows, 3]))
        collector.tensor(TensorKey("gradient", "sparse", ""), sparse)
        collector.tensor(TensorKey("gradient", "dense", ""), tf.constant(dense))
        collector.flush()

    measure(tf.constant(values), tf.constant(indices))
    [measured] = collector.read_replicas()
    np.testing.assert_allclose(measured.moments[0], measured.moments[1], rtol=1e-5, atol=1e-6)
    assert measured.histograms[0].sum() == measured.histograms[1].sum()
    np.testing.assert_allclose(np.cumsum(measured.histograms[0]), np.cumsum(measured.histograms[1]), atol=1)


def test_no_tensor_of_the_vocabularys_size_is_made():
    collector = Collector()

    @tf.function
    def measure(values, indices, shape):
        collector.begin()
        collector.tensor(TensorKey("gradient", "words", ""), tf.IndexedSlices(values, indices, shape))
        collector.flush()

    # Dense, this would be 32 TB.
    measure(tf.ones([4, 8]), tf.constant([5, 10**9, 5, 7]), tf.constant([10**12, 8], tf.int64))
    [measured] = collector.read_replicas()
    count, _, _, _, norm, *_ = measured.moments[0]
    assert count == pytest.approx(8e12, rel=1e-6)
    assert norm == pytest.approx(np.sqrt(8 * (2**2 + 1 + 1)), rel=1e-6)
