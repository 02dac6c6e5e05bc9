"""examples/init_sweep.py in its small form: what is robust of the document's statements, as numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "init_sweep.py"


def result_of(folder, *options):
    command = [sys.executable, str(EXAMPLE), "--small", "--log-dir", str(folder), *options]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=1200)
    assert list((folder / "figures").glob("*.png"))
    return json.loads(next(folder.glob("*.json")).read_text())


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    found = result_of(tmp_path_factory.mktemp("sweep"), "--part", "sweep")
    return {one["w"]: one for one in found}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    found = result_of(tmp_path_factory.mktemp("map"), "--part", "map", "--depth", "8")
    return {(cell["activation"], cell["variant"]): cell for cell in found}


def test_the_middle_of_the_range_is_fastest(swept):
    area = {w: np.mean(one["accuracy"]) for w, one in swept.items()}
    assert max(area, key=area.get) in (0.03, 0.1, 0.3)
    assert area[0.1] > area[1.0]
    assert area[0.1] > area[1e-4]


def test_the_gain_of_each_layer_is_in_proportion_to_w(swept):
    for layer in ("conv_1", "conv_2", "dense"):
        assert swept[1.0]["gains"][layer] == pytest.approx(10 * swept[0.1]["gains"][layer], rel=0.01)
    # A truncated normal has 0.88 of its nominal deviation; the first convolution has 3 x 3 inputs, before ReLU.
    assert swept[1.0]["gains"]["conv_1"] == pytest.approx(0.88 * 3 / 2**0.5, rel=0.2)


def test_what_learns_fast_is_healthy(swept):
    assert swept[0.1]["healthy"]
    assert swept[0.03]["healthy"]


def test_at_depth_the_logistic_function_fails_first(cells):
    assert cells["relu", "plain"]["accuracy"] > 0.5 > cells["logistic", "plain"]["accuracy"]
    assert cells["relu", "plain"]["healthy"]
    assert not cells["logistic", "plain"]["healthy"]


def test_batch_norm_carries_the_logistic_network(cells):
    cell = cells["logistic", "+ batch norm"]
    assert cell["accuracy"] > 0.5
    assert cell["healthy"]


def test_without_mnist_it_ends_with_one_clear_line(tmp_path):
    unreachable = {
        "KERAS_HOME": str(tmp_path),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, str(EXAMPLE), "--data", "mnist", "--log-dir", str(tmp_path / "logs")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **unreachable}
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: MNIST cannot be had")
    assert str(tmp_path / "datasets") in last
    assert "--data digits" in last
    assert not (tmp_path / "logs").exists(), "nothing was begun"
