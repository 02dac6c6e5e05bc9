"""examples/autoencoder_v1.py in a short form: the document's diagnosis out of a TF1 session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gradscope

EXAMPLE = Path(__file__).parents[2] / "examples" / "autoencoder_v1.py"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(EXAMPLE), "--steps", "1200", "--every", "10", "--log-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return folder, done.stdout


def test_the_three_layer_network_has_one_root_cause_and_its_repaired_form_none(demo):
    folder, said = demo
    ill = gradscope.diagnose(gradscope.read_run(folder / "three_layer"))
    assert [cause.root.title for cause in ill.causes] == ["initial weights too small"]
    assert "vanishing gradient" in [finding.title for finding in ill.causes[0].consequences]
    assert gradscope.diagnose(gradscope.read_run(folder / "three_layer_fixed")).healthy
    assert "initial weights too small" in " ".join(said.split())
    assert f"gradscope check {folder / 'three_layer'}" in said


def test_the_first_layers_gradient_is_hundreds_of_times_weaker(demo):
    folder, _ = demo
    weak, strong = (
        gradscope.read_run(folder / name).series("gradient", "hidden_1/W", "abs_mean").mean()
        for name in ("three_layer", "two_layer")
    )
    assert strong > 100 * weak
