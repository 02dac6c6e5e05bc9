from __future__ import annotations

import pytest

from gradscope.errors import RecordingError
from gradscope.recording.schedule import Schedule


def sampled_steps(schedule, steps, *, span=1, plain=0.01, cost=0.01, anew=()):
    """The steps sampled in a run where a step takes ``plain`` seconds, and sampling it ``cost`` more."""
    sampled, now = [], 0.0
    for step in range(0, steps, span):
        if step in anew:
            schedule.begin_anew(step)
        schedule.clock.step_begins(now)
        now += plain
        if schedule.samples(step, span):
            end = step + span - 1
            schedule.clock.sampled(plain + cost, first=not sampled)
            schedule.sampled(end)
            sampled.append(end)
            now += cost
    return sampled


def test_every_n_steps():
    assert sampled_steps(Schedule(every=10), 35) == [0, 10, 20, 30]


def test_the_default_is_dense_first_and_sparse_later():
    sampled = sampled_steps(Schedule(), 200)
    assert sampled[:9] == list(range(9))
    assert 15 < len(sampled) < 35


@pytest.mark.parametrize("cost", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("overhead", [0.01, 0.1])
def test_the_default_keeps_to_its_share_of_the_training_time(overhead, cost):
    schedule = Schedule(overhead=overhead)
    sampled = sampled_steps(schedule, 20_000, plain=0.01, cost=cost)
    assert schedule.clock.overhead == pytest.approx(len(sampled[1:]) * cost / schedule.clock.training_seconds, rel=0.05)
    assert schedule.clock.overhead <= max(overhead, 14 * cost / schedule.clock.training_seconds) * 1.02
    assert {0, 1, 2, 4, 1024, 16384} <= set(sampled)


def test_a_cheap_sample_is_taken_often_but_the_log_grows_with_the_logarithm():
    lengths = [len(sampled_steps(Schedule(), steps, plain=1.0, cost=1e-6)) for steps in (10_000, 100_000)]
    assert lengths[0] < 1500
    assert lengths[1] - lengths[0] < 700


def test_an_expensive_sample_is_taken_at_powers_of_two_only():
    assert sampled_steps(Schedule(), 300, plain=0.001, cost=10.0) == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_where_training_begins_anew_it_is_sampled_like_a_beginning():
    first = sampled_steps(Schedule(), 40, plain=0.001, cost=10.0)
    both = sampled_steps(Schedule(), 140, plain=0.001, cost=10.0, anew=[100])
    assert [step - 100 for step in both if step >= 100] == first


def test_a_beginning_that_comes_again_and_again_soon_counts_for_little():
    sampled = sampled_steps(Schedule(), 1000, plain=0.001, cost=10.0, anew=range(10, 1000, 10))
    assert len([step for step in sampled if step >= 500]) < 35


def test_pauses_are_no_training_time():
    clock = Schedule().clock
    for now in (0.0, 1.0, 2.0):
        clock.step_begins(now)
    clock.pause()
    for now in (100.0, 101.0):
        clock.step_begins(now)
    assert clock.training_seconds == 3.0
    assert clock.plain_seconds == pytest.approx(1.0)


def test_several_steps_in_one_execution_are_sampled_once():
    assert sampled_steps(Schedule(every=10), 40, span=4) == [3, 11, 23, 31]


def test_histograms_grow_rarer():
    schedule = Schedule(every=1)
    kept = [step for step in range(10_000) if schedule.keeps_histograms(step)]
    assert kept[:7] == [0, 1, 2, 4, 8, 16, 24]
    assert 100 < len(kept) < 150


@pytest.mark.parametrize("every", [0, -1, 2.5, True])
def test_a_useless_interval_is_refused_with_what_is_allowed(every):
    with pytest.raises(RecordingError, match="whole number of steps >= 1"):
        Schedule(every=every)


@pytest.mark.parametrize("overhead", [0, -0.1, 1.5])
def test_a_useless_share_is_refused_with_what_is_allowed(overhead):
    with pytest.raises(RecordingError, match="> 0 and <= 1"):
        Schedule(overhead=overhead)


def test_the_last_step_of_a_training_of_known_length_is_sampled_however_much_was_spent():
    schedule = Schedule()
    schedule.sampled(64)
    schedule.clock.recording_seconds = 1e6
    assert not schedule.samples(99)
    assert schedule.samples(99, ends=100)
    # One of many short trainings is not.
    assert not schedule.samples(99, ends=5)
    assert not Schedule(every=64, _last=64).samples(99, ends=100)
    assert not Schedule(in_step=True, _last=95).samples(99, ends=100)
