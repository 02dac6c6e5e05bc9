"""Many runs: in this process, over processes, on a Dask cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from click.testing import CliRunner

import gradscope
from gradscope.cli import main
from gradscope.fleet import process_pool


@pytest.fixture
def tree(logs, healthy, sick, warned, broken):
    """Four kinds of runs, and copies of the healthy one."""
    for number in range(12):
        shutil.copytree(healthy, logs / f"copy_{number:02d}")
    return str(logs)


def healths(runs):
    return {run.run: run.health for run in runs}


@pytest.mark.parametrize("make", [lambda: None, lambda: ThreadPoolExecutor(2), lambda: process_pool(2)])
def test_every_executor_gives_the_same(tree, make):
    places = gradscope.find_runs(tree)
    expected = {place: gradscope.check_all([place]) for place in places}
    executor = make()
    found = healths(gradscope.check_all(places, executor=executor))
    if executor:
        executor.shutdown()
    assert found == {place: next(runs).health for place, runs in expected.items()}
    assert sorted(set(found.values())) == ["healthy", "not judged", "sick", "warnings"]


def test_a_dask_cluster_is_an_executor(tree):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = healths(gradscope.check_all(gradscope.find_runs(tree), executor=client.get_executor()))
    assert found == healths(gradscope.check_all(gradscope.find_runs(tree)))


def test_results_come_as_they_are_ready(tree):
    class Lazy(ThreadPoolExecutor):
        def submit(self, function, path, *arguments):
            if path.endswith("sick"):
                return Future()  # never ends
            return super().submit(function, path, *arguments)

    with Lazy(1) as executor:
        results = gradscope.check_all(gradscope.find_runs(tree), executor=executor)
        first = [next(results) for _ in range(5)]
        results.close()
    assert len({run.run for run in first}) == 5


def test_a_worker_that_dies_is_told(healthy):
    with process_pool(1) as executor:
        executor.submit(os._exit, 1)
        (run,) = gradscope.check_all([healthy], executor=executor)
    assert run.health == "not judged"
    assert "gave no result" in run.error
    assert "\n" not in run.error


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_command_gives_the_same_for_any_number_of_jobs(tree, jobs):
    result = CliRunner().invoke(main, ["check", tree, "--jobs", jobs, "--format", "json"])
    alone = CliRunner().invoke(main, ["check", tree, "--format", "json"])
    assert (result.exit_code, result.stdout) == (alone.exit_code, alone.stdout) == (1, alone.stdout)


def test_jobs_are_counted_from_one(tree):
    result = CliRunner().invoke(main, ["check", tree, "--jobs", "0"])
    assert result.exit_code == 2
    assert "Invalid value for '--jobs'" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_a_terminal_shows_a_bar_and_each_sick_run(tree):
    import pty

    primary, secondary = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "gradscope.cli", "check", tree, "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=secondary,
        timeout=60,
        check=False,
    )
    os.close(secondary)
    shown = b""
    while True:
        try:
            part = os.read(primary, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(primary)
    assert done.returncode == 1
    assert b"judging runs" in shown
    assert b"sick" in shown
    assert b"judging" not in done.stdout


@pytest.mark.slow
def test_five_hundred_runs_take_seconds(logs, three_layer):
    for number in range(500):
        shutil.copytree(three_layer, logs / f"{number:03d}")
    started = time.perf_counter()
    result = CliRunner().invoke(main, ["check", str(logs)])
    assert result.exit_code == 1
    assert time.perf_counter() - started < 60
