"""The in-graph statistics against numpy in float64, over any finite and non-finite float32 tensor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gradscope.histograms import BUCKETS, ZERO_BUCKET, LogHistogram, bucket_edges
from gradscope.recording.frameworks import tf
from gradscope.recording.large_tensors import SAMPLE_ENTRIES, measure_change, measure_large, measure_samples, sample
from gradscope.recording.statistics import (
    MOMENTS,
    dead_units,
    example_std,
    leading_unit,
    measure,
    saturated_fraction,
)

# TensorFlow's kernels flush subnormal numbers to zero, so none are drawn.
FLOATS = st.floats(width=32, allow_subnormal=False)
TENSORS = arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=20), elements=FLOATS)


def measured_large(flat):
    moments, sampled = measure_large(flat)
    return measure_samples(moments[None], sampled[None])


def measured(values):
    moments, histograms = measure(tf.reshape(tf.constant(values), [1, -1]))
    return dict(zip(MOMENTS, moments.numpy()[0].tolist(), strict=True)), histograms.numpy()[0]


@settings(max_examples=200, deadline=None)
@given(TENSORS)
def test_moments_agree_with_numpy_in_float64(values):
    got, _ = measured(values)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert got["count"] == values.size
    assert got["nan_count"] == np.isnan(values).sum()
    assert got["inf_count"] == np.isinf(values).sum()
    assert got["zero_fraction"] == pytest.approx((values == 0).mean(), rel=1e-6)
    if not len(finite):
        assert all(np.isnan(got[name]) for name in ("mean", "std", "rms", "norm", "abs_mean", "min", "max"))
        return
    largest = np.abs(finite).max()
    tiny = 1e-36  # what float32 and flushing to zero may lose of a product
    assert (got["min"], got["max"]) == (finite.min(), finite.max())
    assert got["mean"] == pytest.approx(finite.mean(), rel=1e-5, abs=1e-6 * largest + tiny)
    assert got["std"] == pytest.approx(finite.std(), rel=1e-4, abs=1e-6 * largest + tiny)
    assert got["abs_mean"] == pytest.approx(np.abs(finite).mean(), rel=1e-5, abs=tiny)
    assert got["rms"] == pytest.approx(
        np.sqrt(np.mean((finite / max(largest, tiny)) ** 2)) * largest, rel=1e-5, abs=tiny
    )
    norm = np.sqrt(np.sum((finite / max(largest, tiny)) ** 2)) * largest
    if norm < np.finfo(np.float32).max:
        assert got["norm"] == pytest.approx(norm, rel=1e-5, abs=tiny)


@settings(max_examples=200, deadline=None)
@given(TENSORS)
def test_histogram_counts_every_finite_entry_in_its_bucket(values):
    _, counts = measured(values)
    finite = values[np.isfinite(values)]
    counts[BUCKETS - 1] = 0
    assert counts.sum() == len(finite)
    assert counts[ZERO_BUCKET] == (finite == 0).sum()
    edges = bucket_edges()
    for value in np.unique(np.abs(finite[finite > 0])):
        bucket = np.searchsorted(edges, np.float64(value), side="right") - 1
        assert counts[bucket] >= 1


@settings(max_examples=200, deadline=None)
@given(TENSORS, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_lie_in_the_bucket_of_the_true_one(values, probabilities):
    _, counts = measured(values)
    counts[BUCKETS - 1] = 0
    finite = np.sort(values[np.isfinite(values)]).astype(np.float64)
    got = LogHistogram(counts).quantiles(probabilities)
    if not len(finite):
        assert np.isnan(got).all()
        return
    for probability, quantile in zip(probabilities, got, strict=True):
        rank = probability * (len(finite) - 1)
        low, high = finite[int(np.floor(rank))], finite[int(np.ceil(rank))]
        assert low - 0.25 * abs(low) - 1e-37 <= quantile <= high + 0.25 * abs(high) + 1e-37


def test_a_stack_is_measured_row_by_row():
    stack = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    together = measure(tf.constant(stack))[0].numpy()
    for row, values in zip(together, stack, strict=True):
        assert row.tolist() == pytest.approx(list(measured(values)[0].values()), rel=1e-6)


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_neither_overflow_nor_underflow(scale):
    values = np.full(10_000, scale, np.float32)
    got, _ = measured(values)
    assert got["rms"] == pytest.approx(scale, rel=1e-5)
    assert got["norm"] == pytest.approx(100 * scale, rel=1e-5)
    assert got["std"] == pytest.approx(0, abs=1e-6 * scale)


def test_counts_stay_exact_beyond_what_a_float32_sum_can_count():
    values = np.zeros(2**24 + 1024, np.float32)
    values[:10] = np.nan
    got, _ = measured(values)
    assert got["nan_count"] == 10
    assert got["zero_fraction"] == pytest.approx(1 - 10 / values.size, abs=1e-7)


def test_large_tensors_give_a_sample_to_the_histogram_only():
    values = np.random.default_rng(1).normal(size=10 * SAMPLE_ENTRIES).astype(np.float32)
    values[7] = 1e6
    moments, histograms = measured_large(tf.constant(values))
    counts = histograms.numpy()[0]
    assert moments.numpy()[0, MOMENTS.index("max")] == 1e6
    assert counts.sum() == SAMPLE_ENTRIES
    assert LogHistogram(counts).quantiles([0.25])[0] == pytest.approx(np.quantile(values, 0.25), rel=0.25)


@pytest.mark.parametrize("units", [3, 16, 64, 1000])
def test_a_sample_takes_no_unit_before_another(units):
    flat = np.tile(np.arange(1, units + 1, dtype=np.float32), 32 * 32 * 16)
    sampled = sample(tf.constant(flat)).numpy()
    assert sampled.mean() == pytest.approx((units + 1) / 2, rel=0.05)
    assert sampled.std() == pytest.approx(flat.std(), rel=0.05)
    shares = np.bincount(sampled.astype(int), minlength=units + 1)[1:] / SAMPLE_ENTRIES
    assert shares.max() < 1 / units + 5 * np.sqrt(1 / units / SAMPLE_ENTRIES)


def test_an_empty_tensor_has_a_count_and_nothing_else():
    got, counts = measured(np.zeros((0,), np.float32))
    assert got["count"] == 0
    assert np.isnan(got["mean"])
    assert counts.sum() == 0


def test_dead_units_are_those_silent_on_every_example():
    activation = np.zeros((4, 6, 3), np.float32)
    activation[2, 5, 1] = -1e-20
    silent, per_unit = dead_units(tf.constant(activation), axis=2)
    assert silent.numpy().tolist() == [1, 0, 1]
    assert per_unit.numpy() == 24


def test_example_std_is_across_examples_only():
    values = np.arange(12, dtype=np.float32).reshape(1, 12).repeat(4, axis=0)
    assert example_std(tf.constant(values)).numpy() == 0
    assert np.isnan(example_std(tf.constant(values[:1])).numpy())
    values = np.random.default_rng(0).normal(3, 2, size=(500, 12)).astype(np.float32)
    assert example_std(tf.constant(values)).numpy() == pytest.approx(np.sqrt(values.var(axis=0).mean()), rel=1e-4)
    wide = np.random.default_rng(0).normal(3, 2, size=(64, 5000)).astype(np.float32)
    assert example_std(tf.constant(wide)).numpy() == pytest.approx(2, rel=0.02)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-3, 3)))
def test_the_leading_unit_agrees_with_numpy(values):
    ratio, number = (value.numpy() for value in leading_unit(tf.constant(values)))
    spread = values.astype(np.float64).std(axis=0)
    varying = np.sort(spread[spread > 0])
    if len(varying) < 2:
        assert np.isnan(ratio)
    else:
        assert ratio == pytest.approx(varying[-1] / varying[(len(varying) - 1) // 2], rel=1e-4)
        assert spread[int(number)] == pytest.approx(varying[-1], rel=1e-4)


def test_of_columns_that_are_not_finite_none_leads():
    assert np.isnan(leading_unit(tf.constant([[1.0, 2.0], [np.inf, 5.0]]))[0])


def test_saturated_fraction():
    derivative, z = tf.constant([0.0, -0.2, 0.04, 1.0, 0.0]), tf.constant([1.0, 2.0, 3.0, 4.0, float("nan")])
    assert saturated_fraction(derivative, 0.05, z).numpy() == 0.5


@settings(max_examples=100, deadline=None)
@given(TENSORS)
def test_the_quick_way_and_the_careful_one_agree(values):
    flat = tf.reshape(tf.constant(values), [-1])
    quick, careful = (
        function(argument)[0].numpy()[0] for function, argument in ((measured_large, flat), (measure, flat[None]))
    )
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    np.testing.assert_allclose(quick, careful, rtol=1e-4, atol=1e-6 * largest + 1e-36)


def test_the_quick_way_does_not_lose_a_small_spread_around_a_large_mean():
    values = np.random.default_rng(0).normal(1000, 0.01, size=100_000).astype(np.float32)
    moments = dict(zip(MOMENTS, measured_large(tf.constant(values))[0].numpy()[0], strict=True))
    assert moments["std"] == pytest.approx(values.astype(np.float64).std(), rel=1e-3)


@pytest.mark.parametrize("size", [20_000, 65_536, 200_000])
@pytest.mark.parametrize("sick", [None, np.nan, np.inf, 1e30, 1e-25])
def test_a_change_is_measured_as_if_it_had_been_made(size, sick):
    rng = np.random.default_rng(0)
    after, before, gradient = rng.normal(size=(3, size)).astype(np.float32)
    if sick is not None:
        after[-3] = sick
    if sick == 1e-25:
        after, before = (after * np.float32(sick), before * np.float32(sick))
    moments, sampled, product = measure_change(*map(tf.constant, (after, before, gradient)))
    expected_moments, expected_sample = measure_large(tf.constant(after - before))
    np.testing.assert_allclose(
        moments.numpy(), expected_moments.numpy(), rtol=1e-4, atol=1e-5 * min(np.nan_to_num(sick or 1), 1)
    )
    np.testing.assert_array_equal(sampled.numpy(), expected_sample.numpy())
    with np.errstate(invalid="ignore"):
        wanted = np.sum((after - before).astype(np.float64) * gradient)
    assert product.numpy() == pytest.approx(wanted, rel=1e-4, nan_ok=True)
