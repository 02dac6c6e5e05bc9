"""Runs in several files: restarts, two writers at once, files that come and go."""

from __future__ import annotations

import importlib.util
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from gradscope.errors import RunError
from gradscope.events.blocks import read_blocks
from gradscope.events.reader import read_run

SPEC = importlib.util.spec_from_file_location("foreign_writers", Path(__file__).with_name("foreign_writers.py"))
writers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writers)


def gradients(steps):
    return {step: [writers.histogram_v2("grads/a/kernel", [0.0, step + 1.0])] for step in steps}


def test_two_writers_at_once_are_told_from_a_restart(tmp_path):
    first = writers.write(tmp_path, gradients(range(100)), name="events.out.tfevents.1.a", wall_time=1000)
    second = writers.write(tmp_path, gradients(range(100)), name="events.out.tfevents.2.b", wall_time=1000.5)
    (damage,) = read_run(tmp_path).damage
    assert damage.file == str(second)
    assert f"{first} was being written at the same time" in damage.what
    writers.write(tmp_path, gradients(range(100)), name=second.name, wall_time=5000)
    (damage,) = read_run(tmp_path).damage
    assert "at the same time" not in damage.what


def test_two_recorders_at_once_are_told_apart(tmp_path, write_log):
    write_log(tmp_path)
    write_log(tmp_path, seed=1)
    run = read_run(tmp_path)
    assert run.steps.tolist() == list(range(0, 100, 10))
    assert "was being written at the same time" in run.damage[0].what


def test_a_file_that_vanishes_costs_itself_only(tmp_path, monkeypatch):
    writers.write(tmp_path, gradients(range(10)), name="events.out.tfevents.1")
    gone = tmp_path / "events.out.tfevents.2"
    monkeypatch.setattr(
        "gradscope.events.reader.event_files", lambda _: [str(tmp_path / "events.out.tfevents.1"), str(gone)]
    )
    run = read_run(tmp_path)
    assert len(run.steps) == 10
    assert [(d.file, "cannot be opened" in d.what) for d in run.damage] == [(str(gone), True)]


def test_a_file_that_grows_or_shrinks_while_it_is_read(tmp_path):
    path = writers.write(tmp_path, gradients(range(20_000)))
    whole = path.read_bytes()
    parts = read_blocks(str(path))
    next(parts)
    with path.open("ab") as stream:
        stream.write(whole[24:])
    found = sum(len(part) for part in parts)
    assert 0 < found < 20_001
    parts = read_blocks(str(path))
    next(parts)
    os.truncate(path, 5000)
    *_, last = parts
    assert "incomplete" in last.what


def test_a_run_is_readable_at_every_moment_of_its_writing(tmp_path):
    data = writers.records(gradients(range(2000)))
    path = tmp_path / "events.out.tfevents.1"
    done = threading.Event()

    def write():
        with path.open("wb", buffering=0) as stream:
            for start in range(0, len(data), 4099):
                stream.write(data[start : start + 4099])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set():
        try:
            count = len(read_run(tmp_path).steps) if path.exists() else 0
        except RunError:
            continue
        assert count >= seen
        seen = count
    writer.join()
    assert len(read_run(tmp_path).steps) == 2000


@pytest.mark.parametrize("name", ["日本語", "naïve café", "a\u202eb", "emoji 🧠", "new\nline"])
def test_names_in_any_script(tmp_path, name):
    tag = f"grads/{name}/kernel"
    writers.write(tmp_path / name, {0: [writers.histogram_v2(tag, [1.0, 2.0])]})
    assert read_run(tmp_path / name).names("gradient") == (f"{name}/kernel",)


def test_a_name_that_is_no_unicode(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    writers.write(folder, gradients([7]))
    assert read_run(folder).steps.tolist() == [7]


def test_damage_in_a_large_foreign_log_costs_the_damaged_records(tmp_path):
    path = writers.write(tmp_path, gradients(range(5000)))
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    places = random.integers(100, len(data), 40)
    for place in places:
        data[place] ^= 0xFF
    path.write_bytes(data)
    run = read_run(path)
    assert 4955 <= len(run.steps) <= 4960
    assert all("damaged" in item.what and "data of steps from" in item.what for item in run.damage)
    assert 1 <= len(run.damage) <= 40
