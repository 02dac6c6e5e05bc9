"""The workflow of examples/ci: it is YAML, and its commands do what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
yaml = pytest.importorskip("yaml")


def steps():
    workflow = yaml.safe_load((ROOT / "examples/ci/train.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    return job["steps"]


def commands(name):
    return next(step["run"] for step in steps() if step.get("name") == name)


def run(command, folder):
    shim = f'gradscope() {{ "{sys.executable}" -m gradscope.cli "$@"; }}\n'
    environment = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-e", "-c", shim + command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "logs/autoencoder/three_layer", tmp_path / "logs/run")
    return tmp_path


def baseline_command():
    text = (ROOT / "examples/ci/train.yml").read_text(encoding="utf-8")
    return next(line.lstrip("# ") for line in text.splitlines() if "--format json --output" in line)


def test_every_step_runs_or_uses_something():
    assert all(("run" in step) != ("uses" in step) for step in steps())


def test_a_sick_run_fails_the_job_and_the_reports_are_kept(project):
    shutil.move(project / "logs/run", project / "sick")
    shutil.copytree(ROOT / "logs/autoencoder/three_layer_fixed", project / "logs/run")
    run(baseline_command(), project)
    assert run(commands("Check the training"), project).returncode == 0
    shutil.rmtree(project / "logs/run")
    shutil.move(project / "sick", project / "logs/run")
    done = run(commands("Check the training"), project)
    assert done.returncode == 1, done.stderr
    assert "::error" in done.stdout
    assert run(commands("Keep the reports"), project).returncode == 0
    assert "<testsuite" in (project / "gradscope.xml").read_text(encoding="utf-8")
    assert "logs/run" in (project / "summary.md").read_text(encoding="utf-8")


def test_what_the_baseline_holds_passes(project):
    run(baseline_command(), project)
    done = run(commands("Check the training"), project)
    assert done.returncode == 0, done.stdout + done.stderr
