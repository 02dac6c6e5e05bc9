"""compare, export and watch; and what tests of a training assert."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import gradscope
from gradscope.cli import main
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.verdict import Severity
from gradscope.errors import RuleError, RunNotFoundError
from gradscope.testing import assert_healthy


@pytest.fixture
def command():
    def run(*arguments):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert "Traceback" not in result.output
        return result

    return run


# compare


def test_a_fix_shows_in_the_comparison(command, autoencoder_logs):
    result = command("compare", autoencoder_logs / "three_layer", autoencoder_logs / "three_layer_fixed")
    assert result.exit_code == 0
    assert result.stdout.startswith("before  SICK")
    assert "after   HEALTHY" in result.stdout
    gone = result.stdout.partition("\nGone\n")[2].partition("\nNew")[0]
    assert "vanishing gradient" in gone
    assert "New: nothing" in result.stdout
    assert command("compare", autoencoder_logs / "three_layer_fixed", autoencoder_logs / "three_layer").exit_code == 1


def test_the_measure_and_the_step_of_a_change():
    rms = np.where(np.arange(30) < 10, 1.0, 100.0)
    before, after = toy_run(), toy_run({("gradient", "hidden_1/kernel"): rms})
    (change,) = gradscope.compare(before, after).changes
    assert (change.key.name, change.statistic) == ("hidden_1/kernel", "rms")
    assert change.log10_ratio == pytest.approx(2)
    assert change.since == before.steps[10]


def test_runs_sampled_at_different_steps_are_compared():
    before = toy_run()
    after = toy_run({("gradient", "hidden_1/kernel"): 10.0})
    after = replace(after, steps=after.steps * 3 + 1)
    (change,) = gradscope.compare(before, after).changes
    assert change.since == before.steps[1]


def test_what_only_one_run_has_is_named(command, healthy, weights_only):
    text = command("compare", healthy, weights_only).stdout
    assert "Only the first run has" in text


def test_equal_runs_have_no_change():
    found = gradscope.compare(toy_run(), toy_run())
    assert (found.changes, found.gone, found.new) == ((), (), ())
    assert found.compared > 5


def test_a_share_moves_by_a_difference():
    ill = toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): 0.8})
    changes = gradscope.compare(toy_run(), ill).changes
    assert [change.statistic for change in changes] == ["dead_unit_fraction"]


def test_comparing_with_nothing_is_one_line(command, healthy, tmp_path):
    result = command("compare", healthy, tmp_path / "nowhere")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


# export


def test_csv_holds_every_number(command, three_layer):
    frame = pd.read_csv(io.StringIO(command("export", three_layer).stdout))
    run = gradscope.read_run(three_layer)
    pd.testing.assert_frame_equal(frame, run.statistics, check_dtype=False, rtol=1e-5)
    progress = pd.read_csv(io.StringIO(command("export", three_layer, "--what", "progress").stdout))
    assert progress["step"].tolist() == run.steps.tolist()
    assert "hidden_1" in command("export", three_layer, "--what", "layers").stdout


def test_parquet_holds_every_number(command, three_layer, tmp_path):
    pytest.importorskip("pyarrow")
    file = tmp_path / "run.parquet"
    assert command("export", three_layer, "--to", "parquet", "--output", file).exit_code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(file), gradscope.read_run(three_layer).statistics, check_dtype=False)


def test_parquet_needs_a_file(command, three_layer, tmp_path):
    result = command("export", three_layer, "--to", "parquet")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--output" in result.stderr
    result = command("export", three_layer, "--to", "parquet", "--output", tmp_path / "no" / "folder")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


# watch


def test_watching_a_run_that_ended(command, sick, healthy):
    result = command("watch", sick, "--idle", "0.3", "--every", "0.1")
    assert result.exit_code == 1
    assert "error: " in result.stdout
    assert command("watch", healthy, "--idle", "0.3", "--every", "0.1").exit_code == 0


_WATCH = """
import signal, sys
from gradscope.cli import main
# A shell that runs the tests in the background has them, and so us, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["watch", *sys.argv[1:]])
"""


@pytest.fixture
def watching(tmp_path):
    place = tmp_path / "new"
    process = subprocess.Popen(
        [sys.executable, "-c", _WATCH, str(place), "--every", "0.1", "--rules", "nonfinite-values"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield place, process
        process.kill()


def test_a_run_is_followed_from_before_its_beginning(sick, watching):
    (source,) = Path(sick).iterdir()
    data = source.read_bytes()
    place, process = watching
    assert "watching" in process.stdout.readline()
    assert "waiting for the first sampled step" in process.stdout.readline()
    place.mkdir()
    with (place / source.name).open("wb", buffering=0) as stream:
        stream.write(data[: len(data) // 3])
        assert "no finding" in process.stdout.readline()
        stream.write(data[len(data) // 3 :])
    assert "error: " in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "")
    assert out == "\n"


def test_a_finding_that_goes_is_told(healthy, sick, tmp_path):
    from gradscope.cli.watch import _Follower
    from gradscope.configuration import Configuration

    place = tmp_path / "run"
    shutil.copytree(sick, place)
    follower = _Follower(str(place), None, Configuration())
    assert any("error" in line for line in follower.look())
    assert list(follower.look()) == []
    shutil.rmtree(place)
    shutil.copytree(healthy, place)
    assert any("gone: " in line for line in follower.look())


# testing


def test_a_healthy_run_passes_and_gives_its_diagnosis(healthy):
    assert assert_healthy(healthy).healthy
    assert assert_healthy(gradscope.read_run(healthy), fail_on=Severity.WARNING).healthy


def test_a_sick_run_fails_with_its_report(sick):
    with pytest.raises(AssertionError, match="SICK") as error:
        assert_healthy(sick)
    assert "What to change" in str(error.value)
    assert_healthy(sick, ignore=["nonfinite-values"])


def test_warnings_fail_if_asked_to(warned):
    assert_healthy(warned)
    with pytest.raises(AssertionError, match="WARNINGS"):
        assert_healthy(warned, fail_on=Severity.WARNING)


def test_a_run_that_nothing_could_judge_is_not_healthy(tmp_path):
    empty = toy_run(steps=())
    with pytest.raises(AssertionError, match="NOT JUDGED"):
        assert_healthy(empty)
    with pytest.raises(RunNotFoundError):
        assert_healthy(tmp_path / "nowhere")


def test_an_unknown_rule_cannot_be_ignored(healthy):
    with pytest.raises(RuleError, match="dead-unit"):
        assert_healthy(healthy, ignore=["dead-unit"])


def test_slow_reading_does_not_eat_a_core(monkeypatch, sick, command):
    rests = []
    monkeypatch.setattr(
        time, "sleep", lambda seconds: rests.append(seconds) or (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert command("watch", sick, "--every", "0.1").exit_code == 1
    assert rests[0] >= 0.1
