"""Real log dirs, written as the recorder writes them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from gradscope.diagnosis.example import toy_run
from gradscope.events.frames import frame
from gradscope.events.sample import Sample
from gradscope.events.writer import EventWriter


def write(directory, run):
    with EventWriter(directory) as writer:
        writer.write_model_card(run.model, step=0)
        for position, step in enumerate(run.steps):
            statistics = {name: float(values[position]) for name, values in run.step_statistics.items()}
            writer.write_sample(Sample(int(step), 1e9 + step, run.tensors, run.values[position], statistics))
    return str(directory)


@pytest.fixture
def logs(tmp_path):
    """A folder for log dirs."""
    return tmp_path / "logs"


@pytest.fixture
def healthy(logs):
    return write(logs / "healthy", toy_run())


@pytest.fixture
def warned(logs):
    """Most units of a layer are dead, and the loss falls slowly."""
    loss = np.linspace(1, 0.7, 30)
    return write(logs / "warned", toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): 0.6}, loss=loss))


@pytest.fixture
def sick(logs):
    """Its gradients and loss are NaN from step 150 on."""
    late = [0.0] * 15 + [1.0] * 15
    loss = [*np.linspace(1, 0.3, 15), *[math.nan] * 15]
    return write(logs / "sick", toy_run(put={("gradient", "hidden_1/kernel", "nan_count"): late}, loss=loss))


@pytest.fixture
def weights_only(logs):
    """A run of which neither activations nor gradients were recorded."""
    run = toy_run()
    rows = [row for row, key in enumerate(run.tensors) if key.kind == "weight"]
    return write(
        logs / "weights", replace(run, tensors=tuple(run.tensors[r] for r in rows), values=run.values[:, rows])
    )


@pytest.fixture
def empty(logs):
    """A folder without event files."""
    (logs / "empty").mkdir(parents=True)
    return str(logs / "empty")


@pytest.fixture
def broken(logs):
    """An event file that holds no intact record."""
    folder = logs / "broken"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1").write_bytes(b"no event file at all" * 50)
    return str(folder)


@pytest.fixture
def foreign(logs):
    """What another tool wrote: event files without gradscope data."""
    folder = logs / "healthy" / "train"
    folder.mkdir(parents=True)
    event = Event(step=1, summary=Summary(value=[Summary.Value(tag="epoch_loss", simple_value=0.5)]))
    records = (Event(file_version="brain.Event:2"), event)
    Path(folder, "events.out.tfevents.1.host").write_bytes(b"".join(frame(r.SerializeToString()) for r in records))
    return str(folder)


@pytest.fixture
def damaged(sick):
    """The sick run with a hole in its file."""
    (file,) = Path(sick).iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 100] = bytes(100)
    file.write_bytes(content)
    return sick


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The folder one is in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
