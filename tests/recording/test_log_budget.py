from __future__ import annotations

import numpy as np
import pytest

import gradscope
from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras
from gradscope.recording.log_budget import LogBudget
from gradscope.recording.schedule import Schedule


class Writer:
    """Counts what a log would take in which a sample takes ``packed`` bytes, and its histograms ``histograms``."""

    def __init__(self, packed, histograms, *, behind=0):
        self.packed, self.histograms, self.behind = packed, histograms, behind
        self.bytes = self.histogram_bytes = 0
        self.waiting = []

    def write(self, budget, keeps):
        self.waiting.append(keeps)
        while len(self.waiting) > self.behind:
            size = self.histograms * self.waiting.pop(0)
            self.histogram_bytes += size
            self.bytes += self.packed + size
            budget.wrote(self.bytes, histogram_bytes=self.histogram_bytes)


def sampled(writer, steps, max_bytes=100e6, **options):
    """The steps sampled, and those with histograms, where recording takes no time."""
    schedule, all_steps, with_histograms = Schedule(budget=LogBudget(max_bytes), **options), [], []
    for step in range(steps):
        schedule.clock.step_begins(float(step))
        if schedule.samples(step):
            schedule.sampled(step)
            keeps = schedule.keeps_histograms(step)
            writer.write(schedule.budget, keeps)
            all_steps.append(step)
            with_histograms += [step] * keeps
    return all_steps, with_histograms


@pytest.mark.parametrize("behind", [0, 16])
@pytest.mark.parametrize("packed", [1_000, 30_000, 300_000, 1_500_000])
def test_100_000_steps_stay_below_100_megabytes_whatever_a_sample_takes(packed, behind):
    writer = Writer(packed, 12 * packed, behind=behind)
    steps, with_histograms = sampled(writer, 100_000)
    assert writer.bytes <= 100e6 + 16 * packed * (behind > 0)
    assert {0, 1, 2, 4, 8} <= set(steps)
    assert steps[-1] > 50_000
    assert with_histograms[0] == 0


def test_a_log_that_is_small_anyway_is_left_alone():
    assert sampled(Writer(5_000, 56_000), 20_000) == sampled(Writer(5_000, 56_000), 20_000, None)


def test_samples_of_a_large_model_come_at_a_geometric_spacing():
    steps, _ = sampled(Writer(300_000, 3_000_000), 100_000)
    late = np.array([step for step in steps if step > 5_000])
    wanted = 300_000 * np.log(100_002) / 45e6
    assert np.median(np.diff(late) / late[1:]) == pytest.approx(wanted, rel=0.1)


def test_beyond_100_000_steps_the_log_grows_with_the_logarithm_of_their_number():
    writer = Writer(2_000_000, 2_000_000)
    sampled(writer, 1_000_000)
    assert 95e6 < writer.bytes < 120e6


def test_the_last_step_is_sampled_on_what_is_kept_for_later():
    budget = LogBudget(1e6)
    schedule = Schedule(budget=budget, _last=2**9)
    for count in range(1, 13):
        budget.plan_sample()
        budget.wrote(30_000 * count, histogram_bytes=0)
    assert not schedule.samples(999)
    assert schedule.samples(999, ends=1_000)
    budget.plan_sample()
    budget.wrote(13 * 30_000 + 50_000, histogram_bytes=0)
    assert not schedule.samples(999, ends=1_000)  # even that is spent


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), "100 MB", True])
def test_a_useless_limit_is_refused_with_what_is_allowed(limit, tmp_path):
    with pytest.raises(RecordingError, match=r"max_log_bytes=.*a number of bytes > 0, or None"):
        gradscope.Recorder(tmp_path, max_log_bytes=limit)


def fit(log_dir, **options):
    random = np.random.default_rng(0)
    x = random.normal(size=(4_000, 4)).astype("f4")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    recorder = gradscope.Recorder(log_dir, summary=False, **options)
    model.fit(x, x[:, :1], batch_size=8, epochs=1, verbose=0, callbacks=[recorder])
    return sum(file.stat().st_size for file in log_dir.glob("*.gradscope")), gradscope.read_run(log_dir)


def test_a_run_keeps_to_its_budget_and_one_without_takes_more(tmp_path):
    options = {"overhead": 1.0}
    free, whole = fit(tmp_path / "free", max_log_bytes=None, **options)
    bound, run = fit(tmp_path / "bound", max_log_bytes=free / 3, **options)
    assert bound < free / 3
    assert 10 < len(run.steps) < len(whole.steps)
    assert run.steps[-1] == 499
    assert run.trouble == ()


def test_a_fixed_interval_is_kept_and_said_once_to_be_too_dense(tmp_path):
    _, run = fit(tmp_path, every=5, max_log_bytes=30e3)
    assert len(run.steps) == 100
    assert len(run.trouble) == 1
    assert "max_log_bytes=30000: a larger every=" in run.trouble[0]
