"""The histograms for TensorBoard's own tabs, held against the arrays they come from."""

from __future__ import annotations

import numpy as np
import pytest
from tensorboard.plugins.distribution.compressor import compress_histogram

from gradscope.events.linear_buckets import linear_buckets
from gradscope.histograms import LogHistogram


def buckets_of(array, count):
    array = np.asarray(array, np.float32)
    return linear_buckets(LogHistogram(count(array)), float(array.min()), float(array.max()))


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {
        "normal": random.normal(0, 1, 20_000),
        "shifted": random.normal(5, 0.1, 20_000),
        "tiny": random.normal(0, 1e-30, 20_000),
        "huge": random.normal(0, 1e30, 20_000),
        "heavy tails": random.standard_t(2, 20_000),
        "rectified": np.maximum(random.normal(0, 1, 20_000), 0),
        "mostly zero": np.where(random.random(20_000) < 0.95, 0, random.normal(0, 1e-3, 20_000)),
        "two humps": np.concatenate([random.normal(-3, 0.1, 10_000), random.normal(2, 0.1, 10_000)]),
        "saturated": np.where(random.random(20_000) < 0.5, -1.0, 1.0),
        "one outlier": np.append(random.normal(0, 1e-3, 20_000), 1.0),
    }


def test_rows_are_few_ascending_touching_and_keep_every_entry(arrays, count):
    for name, array in arrays.items():
        rows = buckets_of(array, count)
        assert 1 <= len(rows) <= 40, name
        assert (rows[:, 0] < rows[:, 1]).all(), name
        assert (rows[1:, 0] == rows[:-1, 1]).all(), name
        assert rows[:, 2].sum() == len(array), name


def test_the_outer_edges_are_the_extremes(arrays, count):
    for name, array in arrays.items():
        rows = buckets_of(array, count)
        scale = float(np.abs(array).max())
        assert rows[0, 0] == pytest.approx(array.min(), abs=2e-6 * scale), name
        assert rows[-1, 1] == pytest.approx(array.max(), abs=2e-6 * scale), name


def test_the_distributions_tab_shows_the_true_percentiles(arrays, count):
    for name in ("normal", "tiny", "huge", "rectified", "heavy tails", "mostly zero"):
        array = arrays[name]
        shown = [value for _, value in compress_histogram(buckets_of(array, count))]
        true = np.percentile(array, [0, 6.68, 15.87, 30.85, 50, 69.15, 84.13, 93.32, 100])
        spread = true[7] - true[1] if name != "mostly zero" else true[8] - true[0]
        np.testing.assert_allclose(shown[1:-1], true[1:-1], atol=0.06 * spread, err_msg=name)


def test_a_tensor_far_from_zero_is_resolved_to_a_quarter_octave(arrays, count):
    shown = [value for _, value in compress_histogram(buckets_of(arrays["shifted"], count))]
    true = np.percentile(arrays["shifted"], [0, 6.68, 15.87, 30.85, 50, 69.15, 84.13, 93.32, 100])
    np.testing.assert_allclose(shown, true, rtol=0.125)


def test_the_histograms_tab_shows_the_true_shape(arrays, count):
    array = arrays["normal"]
    rows = buckets_of(array, count)
    bins = np.linspace(rows[0, 0], rows[-1, 1], 31)
    below = np.interp(bins, np.append(rows[:1, 0], rows[:, 1]), np.append(0, np.cumsum(rows[:, 2])))
    true, _ = np.histogram(array, bins)
    assert np.abs(np.diff(below) - true).max() < 0.15 * true.max()


def test_zeros_are_a_narrow_row_of_their_own(arrays, count):
    array = arrays["mostly zero"]
    rows = buckets_of(array, count)
    (at_zero,) = np.flatnonzero((rows[:, 0] < 0) & (rows[:, 1] > 0))
    assert rows[at_zero, 2] >= np.count_nonzero(array == 0)
    assert rows[at_zero, 1] - rows[at_zero, 0] < 1e-5 * np.abs(array).max()


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e-38])
def test_equal_entries_are_a_single_spike(value, count):
    expected = float(np.float32(value))
    assert buckets_of(np.full(100, value), count).tolist() == [[expected, expected, 100.0]]


def test_unknown_extremes_leave_the_edges_of_the_log_buckets(count):
    rows = linear_buckets(LogHistogram(count([1.1, 2.2])), np.nan, np.nan)
    assert (rows[0, 0], rows[-1, 1]) == (1.0, 2.5)


def test_no_finite_entry_gives_no_row(count):
    assert linear_buckets(LogHistogram(count([np.nan, np.inf])), np.nan, np.nan).shape == (0, 3)
