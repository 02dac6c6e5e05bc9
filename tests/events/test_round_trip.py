"""What the writer was given is what the reader gives back."""

from __future__ import annotations

import dataclasses
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gradscope.events.reader import read_run
from gradscope.events.writer import EventWriter
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES


def test_steps_tensors_and_every_value_come_back(log, make_sample, two_layer_arrays):
    run = read_run(log.parent)
    expected = make_sample(0, two_layer_arrays(0))
    assert run.path == str(log.parent)
    assert run.steps.tolist() == list(range(0, 100, 10))
    assert run.tensors == expected.tensors
    for position, step in enumerate(run.steps):
        np.testing.assert_array_equal(run.values[position], make_sample(step, two_layer_arrays(step)).values)
    np.testing.assert_allclose(run.step_statistics["loss"], 1 / (1 + run.steps), rtol=1e-6)
    assert list(run.step_statistics) == ["loss", "learning_rate"]
    assert run.wall_times.tolist() == [1_800_000_000.0 + step for step in run.steps]
    assert run.damage == ()
    assert run.trouble == ()


def test_thousands_of_steps_come_back_in_their_order(tmp_path, make_sample):
    steps = range(0, 15_000, 5)
    sample = make_sample(0, {("weight", "dense/kernel"): [1.0, 2.0], ("gradient", "dense/kernel"): [0.0]})
    marks = np.random.default_rng(0).random((len(steps), *sample.values.shape), np.float32)
    with EventWriter(tmp_path) as writer:
        for step, values in zip(steps, marks, strict=True):
            histograms = sample.histograms if step % 175 == 0 else None
            writer.write_sample(
                dataclasses.replace(
                    sample, step=step, values=values, histograms=histograms, step_statistics={"loss": step}
                )
            )
    run = read_run(tmp_path)
    assert run.steps.tolist() == run.step_statistics["loss"].tolist() == list(steps)
    np.testing.assert_array_equal(run.values, marks)
    assert run.series("gradient", "dense/kernel", "rms").flags.c_contiguous


def test_a_single_file_reads_as_its_directory_does(log):
    from_file, from_directory = read_run(log), read_run(log.parent)
    np.testing.assert_array_equal(from_file.values, from_directory.values)
    assert from_file.path == str(log)


def test_the_frames_are_those_of_the_values(log):
    run = read_run(log)
    assert len(run.statistics) == 60
    row = run.statistics.set_index(["step", "kind", "name"]).loc[(50, "gradient", "output/kernel")]
    assert row["rms"] == run.series("gradient", "output/kernel", "rms")[5]
    assert row["layer"] == "output"
    assert run.progress.loc[90, "loss"] == pytest.approx(1 / 91)
    assert run.layers["name"].tolist() == ["dense"]
    assert run.pivot("activation_zero_fraction").loc["dense"].between(0.2, 0.8).all()


def test_histograms_come_back_when_asked_for(log, count, two_layer_arrays):
    run = read_run(log)
    assert run.histograms.steps.tolist() == [0, 50]
    for kind, name in (("activation", "dense"), ("gradient", "output/kernel")):
        found = run.histogram(kind, name, 70)
        np.testing.assert_array_equal(found.counts, count(two_layer_arrays(50)[kind, name]))


def test_a_run_may_be_pickled_with_the_way_to_its_histograms(log):
    run = pickle.loads(pickle.dumps(read_run(log)))
    assert len(run.histograms.entries) > 100


def test_nan_and_infinity_stay_what_they_are(tmp_path, make_sample):
    array = [1.0, np.nan, np.inf, -np.inf]
    with EventWriter(tmp_path) as writer:
        writer.write_sample(make_sample(0, {("gradient", "a/kernel"): array}, loss=math.nan, loss_scale=math.inf))
    run = read_run(tmp_path)
    assert run.series("gradient", "a/kernel", "nan_count").tolist() == [1]
    assert run.series("gradient", "a/kernel", "inf_count").tolist() == [2]
    assert math.isnan(run.series("gradient", "a/kernel", "saturation_fraction")[0])
    # A loss that is NaN was recorded, unlike one that is not there.
    assert math.isnan(run.step_statistics["loss"][0])
    assert run.step_statistics["loss_scale"].tolist() == [math.inf]
    assert "learning_rate" not in run.step_statistics


def test_names_are_kept_whatever_they_are_made_of(tmp_path, make_sample):
    names = ["a b/kernel", "ü/核/kernel", 'quote"\\', "#2", "[red]", "", "\x00\n"]
    with EventWriter(tmp_path) as writer:
        writer.write_sample(make_sample(0, {("gradient", name): [1.0] for name in names}))
    assert [key.name for key in read_run(tmp_path).tensors] == names


def test_card_and_troubles_come_back(tmp_path, card, make_sample):
    with EventWriter(tmp_path) as writer:
        writer.write_model_card(card, 0)
        writer.write_sample(make_sample(0, {("weight", "a/kernel"): [1.0]}))
        writer.write_trouble("no gradient", 5)
        writer.write_trouble("no activation", 5)
        writer.write_findings('{"causes": []}', 5)
        writer.write_report("# healthy", 5)
    run = read_run(tmp_path)
    assert run.model == card
    assert run.trouble == ("no gradient", "no activation")
    assert run.damage == ()


def test_a_rebuilt_model_is_one_run_with_gaps(tmp_path, make_sample):
    first = {("gradient", "old/kernel"): [1.0], ("gradient", "both/kernel"): [2.0]}
    second = {("gradient", "both/kernel"): [3.0], ("gradient", "new/kernel"): [4.0]}
    with EventWriter(tmp_path) as writer:
        for step in range(4):
            writer.write_sample(make_sample(step, first if step < 2 else second, histograms=step % 2 == 0))
    run = read_run(tmp_path)
    assert run.names("gradient") == ("old/kernel", "both/kernel", "new/kernel")
    np.testing.assert_array_equal(run.series("gradient", "old/kernel", "max"), [1, 1, np.nan, np.nan])
    np.testing.assert_array_equal(run.series("gradient", "both/kernel", "max"), [2, 2, 3, 3])
    np.testing.assert_array_equal(run.series("gradient", "new/kernel", "max"), [np.nan, np.nan, 4, 4])
    assert run.damage == ()
    assert run.histogram("gradient", "both/kernel", 2).ascending().tolist() == [[3.0, 3.5, 1.0]]


def test_a_restart_supersedes_the_steps_it_repeats(tmp_path, write_log, make_sample, two_layer_arrays):
    write_log(tmp_path, range(0, 100, 10))
    write_log(tmp_path, range(60, 90, 10), seed=1)
    run = read_run(tmp_path)
    assert run.steps.tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80]
    np.testing.assert_array_equal(run.values[5], make_sample(50, two_layer_arrays(50, 0)).values)
    np.testing.assert_array_equal(run.values[6], make_sample(60, two_layer_arrays(60, 1)).values)
    (damage,) = run.damage
    assert damage.what.startswith("supersedes 4 sampled steps recorded before it (steps 60 to 90)")
    assert run.histograms.steps.tolist() == [0, 50, 60]


def test_another_model_after_a_restart_reads_by_its_own_names(tmp_path, make_sample):
    for start, name in ((0, "old/kernel"), (2, "new/kernel")):
        with EventWriter(tmp_path) as writer:
            for step in range(start, start + 2):
                writer.write_sample(make_sample(step, {("gradient", name): [1.0 + step]}))
    run = read_run(tmp_path)
    np.testing.assert_array_equal(run.series("gradient", "old/kernel", "max"), [1, 2, np.nan, np.nan])
    np.testing.assert_array_equal(run.series("gradient", "new/kernel", "max"), [np.nan, np.nan, 3, 4])


def test_a_sample_is_on_disk_when_the_call_returns(tmp_path, make_sample):
    writer = EventWriter(tmp_path)
    for step in range(3):
        writer.write_sample(make_sample(step, {("gradient", "a/kernel"): [1.0]}))
        run = read_run(tmp_path)
        assert run.steps.tolist() == list(range(step + 1))
        assert run.damage == ()
    writer.flush()
    writer.close()
    assert writer.bytes_written == sum(f.stat().st_size for f in tmp_path.iterdir())
    assert writer.path.endswith(".gradscope")


def test_a_full_disk_raises_and_leaves_whole_records(tmp_path, make_sample):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    arrays = {("gradient", f"{n}/kernel"): [1.0] for n in range(50)}
    writer = EventWriter(tmp_path)
    writer.write_sample(make_sample(0, arrays))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (writer.bytes_written + 1000, limits[1]))
        with pytest.raises(OSError, match="large"):
            writer.write_sample(make_sample(1, arrays))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_run(tmp_path).damage == ()
    writer.write_sample(make_sample(2, arrays))
    writer.close()
    run = read_run(tmp_path)
    assert (run.steps.tolist(), run.damage) == ([0, 2], ())


def test_values_of_the_wrong_shape_are_refused(make_sample):
    good = make_sample(0, {("gradient", "a/kernel"): [1.0]})
    columns = len(STATISTIC_NAMES)
    with pytest.raises(ValueError, match=rf"values has shape \(1, {columns}\); expected \(2, {columns}\)"):
        type(good)(0, 0.0, (*good.tensors, TensorKey("gradient", "b", "b")), good.values)


def test_neither_writing_nor_reading_imports_a_framework(log):
    blocked = ("tensorflow", "keras", "tensorboard.backend", "pandas", "rich")
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == b or name.startswith(b + ".") for b in {blocked!r}):
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
from gradscope.events.reader import read_run
from gradscope.events.writer import EventWriter
run = read_run({str(log)!r})
run.histograms
assert len(run.steps) == 10 and len(run.values[0, 0]) == {len(STATISTIC_NAMES)}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_closed_writer_opens_its_file_again(tmp_path, make_sample, two_layer_arrays):
    writer = EventWriter(tmp_path)
    for step in range(3):
        writer.write_sample(make_sample(step, two_layer_arrays(step)))
        writer.close()
    assert read_run(tmp_path).steps.tolist() == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 1
