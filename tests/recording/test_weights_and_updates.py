"""What is known of weights and updates beyond their statistics: alike units, expected change, underflow."""

from __future__ import annotations

import numpy as np
import pytest

from gradscope.recording.frameworks import keras, tf
from gradscope.recording.kernels import unit_columns
from gradscope.recording.statistics import dot, underflow_fraction, unit_std

layers = keras.layers


def spread(columns):
    return float(np.sqrt(np.mean(np.var(np.asarray(columns, np.float64), axis=1))))


def test_unit_std_is_that_of_the_kernel_and_zero_where_units_are_alike(regression, record):
    alike = keras.initializers.Constant(0.3)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, "tanh", name="hidden"),
            layers.Dense(4, name="alike", kernel_initializer=alike),
            layers.Dense(1, name="out"),
        ]
    )
    model.compile("sgd", "mse")
    kernel = model.get_layer("hidden").kernel.numpy()
    run = record(model, *regression)
    assert float(run.series("weight", "hidden/kernel", "unit_std")[0]) == pytest.approx(spread(kernel), rel=1e-5)
    assert float(run.series("weight", "alike/kernel", "unit_std")[0]) < 1e-6
    assert np.isnan(run.series("weight", "out/kernel", "unit_std")).all()  # one unit
    assert np.isnan(run.series("weight", "hidden/bias", "unit_std")).all()


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.Dense(6), (None, 5), (1,)),
        (layers.Conv2D(6, 3), (None, 8, 8, 4), (3,)),
        (layers.Conv2DTranspose(6, 3), (None, 8, 8, 4), (2,)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 8, 8, 4), (2, 3)),
    ],
    ids=["dense", "convolution", "transposed", "depthwise"],
)
def test_units_are_where_each_kind_of_layer_has_them(layer, shape, axes):
    layer.build(shape)
    values = layer.kernel.numpy()
    per_unit = np.moveaxis(values, axes, range(-len(axes), 0)).reshape(-1, np.prod([values.shape[a] for a in axes]))
    seen = unit_columns(type(layer).__name__, layer.kernel.name, tf.constant(values))
    assert seen.shape == per_unit.shape
    assert float(unit_std(seen)) == pytest.approx(spread(per_unit), rel=1e-5)


def test_a_large_kernel_gives_a_sample_and_an_embedding_nothing():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 700, 300)).astype("f4")
    seen = unit_columns("", "kernel", tf.constant(kernel))
    assert seen.shape[0] <= 256
    assert 32 < seen.shape[1] <= 64
    assert float(unit_std(seen)) == pytest.approx(1.0, rel=0.05)
    assert unit_columns("Embedding", "embeddings", tf.zeros([9, 4])) is None


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_unit_std_neither_vanishes_nor_overflows(scale):
    columns = np.random.default_rng(0).normal(size=(7, 5)).astype("f4") * np.float32(scale)
    assert float(unit_std(tf.constant(columns))) == pytest.approx(spread(columns), rel=1e-5)


def test_the_expected_change_is_the_product_of_gradient_and_update(regression, record):
    x, y = regression
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    rate = 1e-3
    model.compile(keras.optimizers.SGD(rate), "mse")
    run = record(model, x, y, batch_size=64, epochs=2)
    norms = run.step_statistics["global_gradient_norm"]
    changes = run.step_statistics["expected_loss_change"]
    np.testing.assert_allclose(changes, -rate * norms**2, rtol=1e-4)
    # The same batch again: to first order the loss has changed by as much.
    losses = run.step_statistics["loss"]
    assert losses[1] - losses[0] == pytest.approx(changes[0], rel=0.05)


def test_a_sparse_gradient_has_the_product_of_the_dense_one():
    rng = np.random.default_rng(0)
    values, indices = rng.normal(size=(5, 3)).astype("f4"), np.array([4, 0, 4, 2, 4])
    update = rng.normal(size=(6, 3)).astype("f4")
    sparse = tf.IndexedSlices(tf.constant(values), tf.constant(indices), tf.constant([6, 3]))
    dense = np.zeros((6, 3))
    np.add.at(dense, indices, values)
    assert float(dot(sparse, tf.constant(update))) == pytest.approx((dense * update).sum(), rel=1e-5)


def test_what_underflows_is_counted_among_what_is_not_zero():
    assert float(underflow_fraction(tf.constant([0.0, 2.0**-15, -(2.0**-20), 2.0**-14, 1.0, np.nan]))) == 0.5
    assert np.isnan(float(underflow_fraction(tf.zeros([4]))))


def mixed_run(record, scale, folder):
    """A network whose gradients are about 1e-6, in float16."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [keras.Input((20,)), layers.Dense(16, "tanh", name="hidden"), layers.Dense(1, dtype="float32", name="out")]
        )
        optimizer = keras.optimizers.SGD(0.1)
        if scale is not None:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        model.compile(optimizer, lambda y, p: 1e-6 * tf.reduce_mean(tf.square(y - p)), auto_scale_loss=False)
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 20)).astype("f4"), rng.normal(size=(64, 1)).astype("f4")
    return record(model, x, y, log_dir=folder)


def test_gradients_that_float16_cannot_hold_are_seen(record, tmp_path):
    unscaled = mixed_run(record, None, tmp_path / "unscaled")
    scaled = mixed_run(record, 2.0**15, tmp_path / "scaled")
    assert unscaled.trouble == scaled.trouble == ()
    assert (unscaled.series("gradient", "hidden/kernel", "underflow_fraction") > 0.9).all()
    assert (scaled.series("gradient", "hidden/kernel", "underflow_fraction") < 0.1).all()
    # The last layer computes in float32.
    assert np.isnan(unscaled.series("gradient", "out/kernel", "underflow_fraction")).all()
