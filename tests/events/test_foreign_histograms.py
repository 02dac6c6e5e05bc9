"""Histograms out of other tools' logs: where the entries go, and which steps are kept."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gradscope.events import foreign_histograms
from gradscope.events.log_buckets import log_buckets
from gradscope.events.reader import read_run
from gradscope.histograms import ZERO_BUCKET, LogHistogram

SPEC = importlib.util.spec_from_file_location("foreign_writers", Path(__file__).with_name("foreign_writers.py"))
writers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writers)

STYLES = [writers.histogram_v1, writers.histogram_v2]


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("style", STYLES)
def test_every_entry_is_counted_near_its_value(tmp_path, random, style):
    array = random.normal(0.5, 1, 5000)
    array[:500] = 0
    writers.write(tmp_path, {3: [style("grads/a/kernel", array)], 7: [style("grads/a/kernel", 2 * array)]})
    run = read_run(tmp_path)
    histogram = run.histogram("gradient", "a/kernel", 6)
    assert histogram.counts.sum() == 5000
    assert run.histogram("gradient", "a/kernel", 2) is None
    assert run.histograms.steps.tolist() == [3, 7]
    found = histogram.quantiles([0.05, 0.3, 0.7, 0.95])
    true = np.quantile(array, [0.05, 0.3, 0.7, 0.95])
    # A quarter octave, and what the other tool's bucket adds.
    slack = 0.25 * np.abs(true) + (0.1 * np.abs(true) if style is writers.histogram_v1 else np.ptp(array) / 30)
    assert (np.abs(found - true) <= slack).all()


def test_zeros_are_exact_where_the_tool_tells_them(tmp_path):
    writers.write(tmp_path, {0: [writers.histogram_v1("activations/a", [0.0, 0.0, 1.0])]})
    assert read_run(tmp_path).histogram("activation", "a", 0).zero_count == 2


def test_a_tensor_of_equal_entries_is_one_bucket(tmp_path):
    writers.write(tmp_path, {0: [writers.histogram_v2("weights/a", np.full(9, -3.0))]})
    ((left, right, count),) = read_run(tmp_path).histogram("weight", "a", 0).ascending()
    assert left <= -3.0 <= right
    assert count == 9


@pytest.mark.parametrize("style", STYLES)
def test_thousands_of_records_keep_a_bounded_number(tmp_path, monkeypatch, style):
    monkeypatch.setattr(foreign_histograms, "_MOST", 60)
    log = {step: [style("grads/a/kernel", [step + 1.0]), style("weights/a/kernel", [1.0])] for step in range(3000)}
    writers.write(tmp_path, log)
    run = read_run(tmp_path)
    steps = run.histograms.steps
    assert len(steps) == 30
    assert (steps[0], steps[-1]) == (0, 2999)
    for step in steps.tolist():
        ((left, right, count),) = run.histogram("gradient", "a/kernel", step).ascending()
        assert left <= step + 1.0 <= right
        assert count == 1


def test_what_a_restart_wrote_again_counts(tmp_path):
    writers.write(tmp_path, {step: [writers.histogram_v2("weights/a", [1.0])] for step in range(9)}, name="tfevents.1")
    writers.write(
        tmp_path,
        {step: [writers.histogram_v2("weights/a", [64.0])] for step in range(5, 9)},
        name="tfevents.2",
        wall_time=1.8e9,
    )
    run = read_run(tmp_path)
    assert [run.histogram("weight", "a", step).ascending()[0, 0] for step in (4, 5, 8)] == [1.0, 64.0, 64.0]


def test_scalars_alone_have_no_histograms(tmp_path):
    writers.write(tmp_path, {0: [writers.scalar_v2("grad_2.0_norm/fc.weight", 1.0)]})
    assert len(read_run(tmp_path).histograms.steps) == 0


def test_rows_that_are_no_buckets_are_left_out():
    rows = np.array([[np.nan, 1, 5], [0.0, 1.0, -2], [2.0, 1.0, 3], [0.0, 0.0, 4], [1.0, 2.0, 10.0]])
    counts = log_buckets(rows)
    assert counts.sum() == 14
    assert counts[ZERO_BUCKET] == 4
    assert LogHistogram(counts).ascending()[-1, 1] == 2.0


@pytest.mark.parametrize(
    ("rows", "total"), [([[-1e308, 1e308, 5.0]], 5), ([[1e300, 1e301, 4.0]], 4), ([[0.0, 1.0, 1e19]], 2**53)]
)
def test_damaged_rows_beyond_float32_and_whole_numbers_are_bounded(rows, total):
    assert log_buckets(np.array(rows)).sum() == total
