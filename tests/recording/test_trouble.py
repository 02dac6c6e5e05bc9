"""What goes wrong on our side costs the recording and never the training; each trouble is caused for real."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import gradscope
from gradscope.recording import collector
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.log import Log

layers = keras.layers


def fit(recorder, *, epochs=3, extra=()):
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 5)).astype("f4")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(64, activation="relu", name="hidden"), layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(x, x[:, :1], batch_size=8, epochs=epochs, verbose=0, callbacks=[recorder, *extra])
    assert len(history.history["loss"]) == epochs
    return model


def troubles(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "gradscope"]


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(tiny_disk, caplog):
    fit(gradscope.Recorder(tiny_disk / "run", every=1, summary=False))
    assert len(troubles(caplog)) == 1
    assert "recording stops, training goes on" in troubles(caplog)[0]
    assert "No space left" in troubles(caplog)[0]
    run = gradscope.read_run(tiny_disk / "run")
    assert 0 < len(run.steps) < 24
    assert run.damage == ()


class Removing(keras.callbacks.Callback):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            shutil.rmtree(self.folder)


def test_a_log_dir_that_is_removed(tmp_path, caplog, capsys):
    fit(gradscope.Recorder(tmp_path / "run", every=1), extra=[Removing(tmp_path / "run")])
    assert len(troubles(caplog)) == 1
    assert "recording stops" in troubles(caplog)[0]
    assert "gradscope:" not in capsys.readouterr().out


def test_a_writer_that_dies(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(Log, "_run", lambda self: None)  # the thread ends as soon as it starts
    fit(gradscope.Recorder(tmp_path, every=1, summary=False))
    assert len(troubles(caplog)) == 1
    assert "the thread that writes the log has died" in troubles(caplog)[0]


def test_a_step_that_cannot_be_traced(tmp_path, caplog, monkeypatch):
    def refuse(stack):
        raise MemoryError("no memory for the trace")

    monkeypatch.setattr(collector, "measure", refuse)
    fit(gradscope.Recorder(tmp_path, every=1, summary=False))
    assert len(troubles(caplog)) == 1
    assert "a sampled step failed: MemoryError: no memory for the trace" in troubles(caplog)[0]


def test_a_measure_that_runs_out_of_memory_in_the_step(tmp_path, caplog, monkeypatch):
    def hungry(stack):
        rows = tf.shape(stack, out_type=tf.int64)[0]
        return measure(tf.concat([stack, tf.zeros(tf.stack([rows, 2**42]))], axis=1))

    measure = collector.measure
    monkeypatch.setattr(collector, "measure", hungry)
    fit(gradscope.Recorder(tmp_path, every=1, summary=False))
    assert len(troubles(caplog)) == 1
    assert "a sampled step failed" in troubles(caplog)[0]


def test_a_killed_run_loses_at_most_its_last_steps(tmp_path):
    program = textwrap.dedent(
        f"""
        import os, sys
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import keras, numpy as np, gradscope

        class Count(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                print(batch, flush=True)

        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        x = np.zeros((80000, 5), "f4")
        recorder = gradscope.Recorder({str(tmp_path)!r}, every=1)
        model.fit(x, x[:, :1], batch_size=8, verbose=0, callbacks=[recorder, Count()])
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    last = 0
    for line in process.stdout:
        last = int(line)
        if last >= 40:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    run = gradscope.read_run(tmp_path)
    # A sample may wait to be written for the time of a step or two on a busy machine.
    assert run.steps[-1] >= last - 3
    assert run.steps.tolist() == list(range(len(run.steps)))
    assert all("ends in the middle" in damage.what or damage.byte_count for damage in run.damage)


def test_a_slow_disk_does_not_let_memory_grow(tmp_path, monkeypatch):
    from gradscope.events.writer import EventWriter

    waiting = []
    write = EventWriter.write_sample

    def slow(self, sample):
        time.sleep(0.02)
        write(self, sample)

    monkeypatch.setattr(EventWriter, "write_sample", slow)
    recorder = gradscope.Recorder(tmp_path, every=1, summary=False)

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            waiting.append(recorder._session.log._work.qsize())

    fit(recorder, epochs=5, extra=[Look()])
    assert max(waiting) <= 16
    assert len(gradscope.read_run(tmp_path).steps) == 40


def test_the_logger_is_called_gradscope_and_can_be_silenced(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with caplog.at_level(logging.CRITICAL, logger="gradscope"):
        fit(gradscope.Recorder(blocked, summary=False))
    assert troubles(caplog) == []
