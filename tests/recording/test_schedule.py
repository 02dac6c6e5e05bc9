from __future__ import annotations

from itertools import pairwise

import pytest

from gradscope.errors import RecordingError
from gradscope.recording.schedule import Schedule


def sampled_steps(schedule, steps, span=1):
    sampled = []
    for step in range(0, steps, span):
        if schedule.samples(step, span):
            schedule.sampled(step + span - 1)
            sampled.append(step + span - 1)
    return sampled


def test_every_n_steps():
    assert sampled_steps(Schedule(every=10), 35) == [0, 10, 20, 30]


def test_the_default_is_dense_first_and_sparse_later():
    sampled = sampled_steps(Schedule(), 10_000)
    assert sampled[:10] == list(range(10))
    assert max(b - a for a, b in pairwise(sampled)) == 100
    assert 100 < len(sampled) < 200


def test_several_steps_in_one_execution_are_sampled_once():
    assert sampled_steps(Schedule(every=10), 40, span=4) == [3, 11, 23, 31]


def test_histograms_grow_rarer():
    schedule = Schedule(every=1)
    kept = [step for step in range(10_000) if schedule.keeps_histograms(step)]
    assert kept[:10] == list(range(10))
    assert 150 < len(kept) < 200


@pytest.mark.parametrize("every", [0, -1, 2.5, True])
def test_a_useless_interval_is_refused_with_what_is_allowed(every):
    with pytest.raises(RecordingError, match="whole number of steps >= 1"):
        Schedule(every=every)
