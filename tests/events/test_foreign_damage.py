"""Any mutation of a foreign log: no error but those of gradscope, and no number that was not written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradscope.diagnosis.engine import diagnose
from gradscope.errors import RunError
from gradscope.events.reader import read_run

SPEC = importlib.util.spec_from_file_location("foreign_writers", Path(__file__).with_name("foreign_writers.py"))
writers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writers)


def steps_of(make):
    random = np.random.default_rng(3)
    return {
        step: [
            writers.scalar_v2("train/loss", 1.0),
            make("dense/kernel", random.normal(size=20)),
            make("dense/kernel/grad", random.normal(size=20)),
        ]
        for step in range(60)
    }


@pytest.fixture(scope="module", params=["v2", "v1", "session"])
def original(request, tmp_path_factory):
    """The bytes of a log of 60 steps, and the run it is."""
    make = writers.histogram_v2 if request.param == "v2" else writers.histogram_v1
    folder = tmp_path_factory.mktemp("whole")
    path = writers.write(folder, steps_of(make), one_event=request.param == "session")
    return path.read_bytes(), read_run(folder)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_mutation_raises_or_invents_a_number(original, tmp_path_factory, data):
    content, whole = original
    mutated = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4), label="wounds")):
        start = data.draw(st.integers(0, len(mutated)), label="start")
        end = min(len(mutated), start + data.draw(st.integers(0, 2000), label="length"))
        middle = bytes(mutated[start:end])
        mutated[start:end] = data.draw(
            st.sampled_from(
                [b"", middle * 2, bytes(len(middle)), bytes(b ^ 1 for b in middle), b"\xff" * 13 + middle, middle[::-1]]
            ),
            label="replacement",
        )
    folder = tmp_path_factory.mktemp("mutated")
    (folder / "events.out.tfevents.1").write_bytes(mutated)
    try:
        run = read_run(folder)
    except RunError:
        return
    diagnose(run)
    assert len(run.steps) == 60 or run.damage
    columns = {key: row for row, key in enumerate(whole.tensors)}
    for row, key in enumerate(run.tensors):
        for position, step in enumerate(run.steps):
            if not np.isnan(run.values[position, row, 0]):
                np.testing.assert_array_equal(run.values[position, row], whole.values[step, columns[key]])
