"""Paths and files that hold no run, or one in a format that is not ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from gradscope.errors import NewerFormatError, NotARunError, RunNotFoundError, UnreadableRunError
from gradscope.events.frames import frame
from gradscope.events.reader import read_run
from gradscope.events.summaries import array_value, metadata, scalar_value, text_value
from gradscope.events.writer import EventWriter
from gradscope.vocabulary import STATISTIC_NAMES, Tag


def write_events(path, *values, step=0):
    events = [Event(wall_time=1.0, file_version="brain.Event:2")]
    events += [Event(wall_time=2.0, step=step, summary=Summary(value=[value])) for value in values]
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))


def packed(array, content, tag=Tag.STATISTICS):
    return array_value(tag, np.asarray(array), metadata("gradscope", json.dumps(content).encode()))


CONTENT = {"format": 1, "tensors": [["gradient", "a/kernel", "a"]], "statistics": ["count", "rms"]}
GOOD = packed(np.ones((1, 2), np.float32), CONTENT)


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# Paths


def test_a_missing_path(tmp_path):
    for path in (tmp_path / "nowhere", "", tmp_path / ("x" * 300), "nul\0byte"):
        with pytest.raises(RunNotFoundError, match="no such file or directory"):
            read_run(path)


def test_an_empty_directory(tmp_path):
    with pytest.raises(RunNotFoundError, match=r"is empty; give the directory that was passed to gradscope\.Recorder"):
        read_run(tmp_path)


def test_a_directory_without_event_files(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(RunNotFoundError, match="no event file"):
        read_run(tmp_path)


def test_a_directory_of_runs_names_one_of_them(tmp_path, write_log):
    write_log(tmp_path / "b" / "train")
    write_log(tmp_path / "a")
    with pytest.raises(RunNotFoundError) as error:
        read_run(tmp_path)
    assert f"2 directories below do; give one of them, such as {tmp_path / 'a'}" in one_line(error)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.tfevents")
    with pytest.raises(UnreadableRunError, match="neither a directory nor a regular file"):
        read_run(tmp_path / "x.tfevents")
    with pytest.raises(RunNotFoundError):
        read_run(tmp_path)


@pytest.fixture
def unprivileged():
    """A directory of an ordinary user, whom permissions bind."""
    directory = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        shutil.chown(directory, 65534)
        os.seteuid(65534)
    yield directory
    directory.chmod(0o700)
    if root:
        os.seteuid(0)
    shutil.rmtree(directory)


def test_files_and_directories_without_permission(unprivileged, write_log):
    log = write_log(unprivileged / "run")
    log.chmod(0)
    for path in (log, log.parent):
        with pytest.raises(UnreadableRunError, match=r"Permission denied.*that you may read it"):
            read_run(path)
    good = write_log(unprivileged / "run", range(3))
    run = read_run(log.parent)
    assert run.steps.tolist() == [0, 1, 2]
    assert [(d.file, d.what) for d in run.damage] == [(str(log), "cannot be opened: Permission denied")]
    good.parent.chmod(0)
    for path in (good, good.parent):
        with pytest.raises(UnreadableRunError, match="permission"):
            read_run(path)
    good.parent.chmod(0o700)


# Files


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8b" + bytes(range(256)) * 50, bytes(100)])
def test_a_file_of_something_else(tmp_path, data):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(data)
    for given_path in (path, tmp_path):
        with pytest.raises(UnreadableRunError, match="no intact event"):
            read_run(given_path)


def test_an_empty_file_beside_a_good_one_is_damage(log):
    (log.parent / "events.out.tfevents.0").touch()
    run = read_run(log.parent)
    assert len(run.steps) == 10
    assert [d.what for d in run.damage] == ["the file is empty"]


def test_an_event_file_of_another_tool_is_told_by_its_tags(tmp_path):
    write_events(tmp_path / "events.out.tfevents.1", scalar_value("epoch_loss", 1.0), scalar_value("epoch_lr", 1.0))
    with pytest.raises(NotARunError) as error:
        read_run(tmp_path)
    assert "epoch_loss, epoch_lr" in one_line(error)
    assert "gradscope.Recorder" in str(error.value)


def test_an_event_file_of_another_tool_beside_is_ignored(log):
    write_events(log.parent / "events.out.tfevents.9999999999.keras.v2", scalar_value("epoch_loss", 1.0))
    run = read_run(log.parent)
    assert len(run.steps) == 10
    assert run.damage == ()


def test_a_run_stopped_before_its_first_sample_says_why(tmp_path, card):
    with EventWriter(tmp_path) as writer:
        writer.write_model_card(card, 0)
        writer.write_trouble("the optimizer has no variables", 0)
    with pytest.raises(NotARunError, match=r"without a sampled step.*the optimizer has no variables"):
        read_run(tmp_path)


# Formats


def test_a_newer_format_is_refused_with_both_versions(tmp_path):
    write_events(tmp_path / "tfevents", packed(np.ones((1, 2), np.float32), CONTENT | {"format": 2}))
    with pytest.raises(NewerFormatError) as error:
        read_run(tmp_path)
    assert "format 2" in one_line(error)
    assert "formats up to 1; upgrade gradscope" in str(error.value)


def test_columns_are_matched_by_name(tmp_path):
    content = CONTENT | {"statistics": ["rms", "from_the_future", "count"]}
    write_events(tmp_path / "tfevents", packed(np.array([[2, 9, 4]], np.float32), content))
    run = read_run(tmp_path)
    assert run.series("gradient", "a/kernel", "rms").tolist() == [2]
    assert run.series("gradient", "a/kernel", "count").tolist() == [4]
    assert np.isnan(run.values).sum() == len(STATISTIC_NAMES) - 2


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (packed(np.ones((2, 2), np.float32), CONTENT), r"shape \[2, 2\], where their names call for \[1, 2\]"),
        (packed(np.ones(2, np.float32), CONTENT), r"shape \[2\]"),
        (packed(np.ones((1, 2), np.int32), CONTENT), "another type"),
        (packed(np.ones((1, 2), np.float32), ["what"]), "not the JSON"),
        (packed(np.ones((1, 2), np.float32), {"format": "one"}), "not the JSON"),
        (packed(np.ones((1, 2), np.float32), CONTENT | {"tensors": [["short"]]}), "not the JSON"),
        (array_value(Tag.STATISTICS, np.ones((1, 2), np.float32)), "values without names"),
        (text_value(Tag.STATISTICS, "text", metadata("gradscope")), "another type"),
        (text_value(Tag.MODEL_CARD, "[1]", metadata("gradscope")), "not what the format prescribes"),
        (text_value(Tag.MODEL_CARD, "{" * 9999, metadata("gradscope")), "not what the format prescribes"),
        (text_value(Tag.TROUBLE, '"text"', metadata("gradscope")), "not what the format prescribes"),
    ],
)
def test_a_value_that_breaks_the_format_is_damage(tmp_path, value, complaint):
    bad, good = tmp_path / "tfevents.1", tmp_path / "tfevents.2"
    write_events(bad, value)
    write_events(good, GOOD, step=5)
    run = read_run(tmp_path)
    assert run.steps.tolist() == [5]
    assert {d.file for d in run.damage} == {str(bad)}
    assert any(re.search(complaint, d.what) for d in run.damage)


def test_a_truncated_tensor_is_damage(tmp_path):
    value = packed(np.ones((1, 2), np.float32), CONTENT)
    value.tensor.tensor_content = b"\0" * 7
    write_events(tmp_path / "tfevents", value, GOOD)
    run = read_run(tmp_path)
    assert run.series("gradient", "a/kernel", "rms").tolist() == [1]
    assert len(run.damage) == 1
