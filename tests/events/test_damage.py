"""Logs with damaged bytes: what is outside the damage is read, and the damage is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event

from gradscope.errors import RunError
from gradscope.events.frames import frame, read_frames
from gradscope.events.reader import read_run
from gradscope.vocabulary import Tag


def spans(path):
    """(start, end, step, keeps names) of every record that holds statistics, and the whole file."""
    offset, found = 0, []
    for payload in read_frames(str(path)):
        end = offset + len(payload) + 16
        event = Event.FromString(payload)
        found += [
            (offset, end, event.step, bool(value.metadata.plugin_data.content))
            for value in event.summary.value
            if value.tag == Tag.STATISTICS
        ]
        offset = end
    return found


@pytest.fixture(scope="module")
def long_log(tmp_path_factory, write_log):
    """The bytes of a log of 70 steps, which repeats its names, and where its steps are."""
    path = write_log(tmp_path_factory.mktemp("long"), range(70))
    return path.read_bytes(), spans(path), read_run(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_mutation_raises_or_costs_a_step_outside_of_it(long_log, tmp_path_factory, data):
    original, steps, whole = long_log
    path = tmp_path_factory.mktemp("mutated") / "events.out.tfevents.1"
    start = data.draw(st.integers(0, len(original)), label="start")
    end = min(len(original), start + data.draw(st.integers(0, 3000), label="length"))
    kind = data.draw(st.sampled_from(["flip", "delete", "insert", "duplicate", "zero", "truncate"]), label="kind")
    middle = original[start:end]
    if kind == "truncate":
        end = len(original)
    replacement = {
        "flip": bytes(byte ^ 0x40 for byte in middle),
        "insert": b"\x00\xff" * 50 + middle,
        "duplicate": middle * 2,
        "zero": bytes(len(middle)),
    }.get(kind, b"")
    path.write_bytes(original[:start] + replacement + original[end:])
    expected = [step for low, high, step, _ in steps if high <= start or low >= end]
    names_left = any(names and (high <= start or low >= end) for low, high, _, names in steps)
    try:
        run = read_run(path)
    except RunError:
        assert not (expected and names_left)
        return
    run.histograms  # noqa: B018  reads the file again
    found = run.steps.tolist()
    assert set(expected) <= set(found) or not names_left
    for position, step in enumerate(found):
        np.testing.assert_array_equal(run.values[position], whole.values[step])


def test_a_killed_writer_costs_the_step_it_was_in(log):
    start, end, step, _ = spans(log)[7]
    log.write_bytes(log.read_bytes()[: (start + end) // 2])
    run = read_run(log)
    assert run.steps.tolist() == list(range(0, step, 10))
    assert "the last record is incomplete" in run.damage[0].what
    assert "data of steps from 60 may be missing" in run.damage[0].what


def test_damage_names_the_steps_around_it(log):
    data = bytearray(log.read_bytes())
    start, end, _, _ = spans(log)[3]
    data[(start + end) // 2] ^= 1
    log.write_bytes(data)
    run = read_run(log)
    assert run.steps.tolist() == [0, 10, 20, 40, 50, 60, 70, 80, 90]
    assert run.damage[0].byte_count == end - start
    assert run.damage[0].what.endswith("data of steps from 20 up to 30 may be missing")


def test_losing_the_first_names_costs_nothing_else(long_log, tmp_path):
    original, steps, _ = long_log
    start, end, _, names = steps[0]
    assert names
    path = tmp_path / "tfevents"
    path.write_bytes(original[:start] + original[end:])
    assert read_run(path).steps.tolist() == list(range(1, 70))


def test_histograms_of_a_file_that_went_away_are_none(log):
    run = read_run(log)
    log.unlink()
    assert run.histograms.entries.shape == (0, 4)


def test_an_intact_record_that_is_no_event_is_damage(log):
    data = log.read_bytes()
    log.write_bytes(data + frame(b"\xff\xff not a protobuf"))
    run = read_run(log)
    assert len(run.steps) == 10
    assert ["holds no event; data of steps from 90 may be missing" in d.what for d in run.damage] == [True]
