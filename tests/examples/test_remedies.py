"""examples/remedies.py in a short form: what is done on purpose is no illness, and what is one goes away."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gradscope

EXAMPLE = Path(__file__).parents[2] / "examples" / "remedies.py"
FAMILIES = ("batch norm", "freezing", "schedule", "regularisation")


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remedies")
    command = [sys.executable, str(EXAMPLE), "--small", "--log-dir", str(folder)]
    for family in FAMILIES:
        command += ["--only", family]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=1200)
    rows = json.loads((folder / "remedies.json").read_text())
    return folder, {(row["family"], row["name"]): (row["before"], row["after"]) for row in rows}


def test_on_purpose_is_no_illness(tried):
    folder, rows = tried
    for (family, name), (_, after) in rows.items():
        diagnosis = gradscope.diagnose(gradscope.read_run(folder / after["name"]))
        grave = [finding.sentence for finding in diagnosis.findings() if finding.severity > gradscope.Severity.NOTE]
        assert not grave, f"{family}, {name}: {grave}"


@pytest.mark.parametrize("name", ["frozen", "stopped"])
def test_a_frozen_layer_does_not_move_and_is_not_called_ill(tried, name):
    run = gradscope.read_run(tried[0] / name)
    weights = run.series("weight", "hidden_1/kernel", "norm")
    assert weights.min() == weights.max() > 0
    about = {f.rule: f for f in gradscope.diagnose(run).findings() if {"hidden_1", "hidden_2"} & set(f.layers)}
    # Behind stop_gradient the layers are still handed to the optimizer, which may be noted; no more than that.
    assert set(about) <= ({"disconnected-variable"} if name == "stopped" else set())
    assert all(finding.severity == gradscope.Severity.NOTE for finding in about.values())


def test_the_cached_output_gives_what_the_frozen_layers_give(tried):
    rows = tried[1]
    frozen, cached = rows["freezing", "not trainable"][1], rows["freezing", "frozen part's output cached"][1]
    assert cached["accuracy"] == pytest.approx(frozen["accuracy"], abs=0.1)


def test_a_schedule_is_recorded(tried):
    rate = gradscope.read_run(tried[0] / "exponential_decay").step_statistics["learning_rate"]
    assert rate[0] == pytest.approx(0.3)
    assert rate[-1] < 0.1 * rate[0]


def test_max_norm_holds_the_weights_and_l1_and_l2_shrink_them(tried):
    def last_norm(name):
        return gradscope.read_run(tried[0] / name).series("weight", "hidden_1/kernel", "norm")[-1]

    assert last_norm("max_norm") <= 32**0.5 * 1.001  # 32 units of norm 1
    assert last_norm("l1") < last_norm("unregularised")
    assert last_norm("l2") < last_norm("unregularised")


def test_batch_norm_cures_the_deep_logistic_network(tried):
    before, after = tried[1]["batch norm", "before the activation"]
    assert before["verdict"] == "error: vanishing gradient"
    assert before["decay"] < 0.5 < after["decay"]
    assert after["accuracy"] > before["accuracy"] + 0.5


def test_all_in_one_picture(tried):
    assert (tried[0] / "figures" / "remedies.png").stat().st_size > 10_000
