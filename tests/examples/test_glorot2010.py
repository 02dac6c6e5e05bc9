"""examples/glorot2010.py in its small form: what the paper saw, as numbers out of the recorded runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gradscope

EXAMPLE = Path(__file__).parents[2] / "examples" / "glorot2010.py"
NETWORKS = ("sigmoid_standard", "tanh_standard", "tanh_normalised")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    chosen = [option for name in NETWORKS for option in ("--networks", name)]
    command = [sys.executable, "-W", "error", str(EXAMPLE), "--small", *chosen, "--log-dir", str(folder)]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def results(demo):
    return pd.read_csv(demo / "results.csv", index_col="name")


def hidden(run, kind, statistic):
    """[hidden layers, steps]."""
    return np.array([run.series(kind, f"layer_{number}", statistic) for number in range(1, 5)])


def test_the_sigmoid_networks_last_hidden_layer_falls_to_its_lower_saturation(demo):
    run = gradscope.read_run(demo / "sigmoid_standard" / "training")
    mean = hidden(run, "probe_activation", "mean")
    assert run.series("probe_activation", "layer_1", "count")[0] == 300 * 200, "the same 300 images at every step"
    assert mean[:, 0] == pytest.approx([0.5] * 4, abs=0.1)
    assert mean[3, -1] < 0.02
    assert (mean[:3] > 0.4).all()
    assert np.argmax(mean[3] < 0.1) <= 3, "it falls quickly, within the first samples of 25"
    findings = gradscope.diagnose(run).findings()
    said = [finding for finding in findings if finding.rule == "saturated-activation"]
    assert [finding.layers for finding in said] == [("layer_4",)]
    assert "on the lower side" in said[0].sentence


def test_back_propagated_gradients_shrink_with_the_standard_initialisation_only(demo, results):
    standard, normalised = (
        hidden(gradscope.read_run(demo / f"tanh_{name}" / "before"), "activation_gradient", "std")[:, 0]
        for name in ("standard", "normalised")
    )
    assert (standard[:-1] / standard[1:] < 0.65).all(), "1 / √3 per layer"
    assert (normalised[:-1] / normalised[1:] > 0.8).all()
    assert results.gradient_ratio["tanh_standard"] < 0.25
    assert results.gradient_ratio["tanh_normalised"] > 0.6


def test_signals_shrink_forward_with_the_standard_initialisation_only(demo):
    standard, normalised = (
        hidden(gradscope.read_run(demo / f"tanh_{name}" / "before"), "activation", "std")[:, 0]
        for name in ("standard", "normalised")
    )
    assert (standard[1:] / standard[:-1] < 0.65).all()
    assert (normalised[1:] / normalised[:-1] > 0.7).all()


def test_mean_singular_values_are_those_of_the_theory(results):
    # 0.849 σ √n: 0.49 and 0.85 for square layers, less what E[f'²] lacks of 1; the first layer is not square.
    assert 0.44 < results.least_singular_value["tanh_standard"] < results.largest_singular_value["tanh_standard"] < 0.53
    assert 0.6 < results.least_singular_value["tanh_normalised"] < 0.88


def test_tanh_layers_saturate_one_after_another_from_the_first(demo):
    run = gradscope.read_run(demo / "tanh_standard" / "training")
    high = hidden(run, "probe_activation", "quantile_98")
    assert (np.diff(high[:, -1]) < 0).all()
    assert high[0, -1] > 0.9


def test_the_sigmoid_network_is_far_behind_and_the_normalised_tanh_ahead(results):
    errors = results.error_rate
    assert errors["sigmoid_standard"] > 0.8, "nine classes: chance is 89 %"
    assert errors["tanh_standard"] < errors["sigmoid_standard"] - 0.1
    assert errors["tanh_normalised"] < errors["tanh_standard"]


def test_the_pictures_are_there(demo):
    assert {path.name for path in (demo / "figures").iterdir()} == {
        f"figure_{number}.png" for number in (2, 3, 4, 6, 7, 8)
    }


def test_help_says_what_can_be_chosen():
    done = subprocess.run([sys.executable, str(EXAMPLE), "--help"], capture_output=True, text=True, check=True)
    for option in ("--small", "--width", "--depth", "--steps", "--learning-rate", "--seed", "--networks", "--log-dir"):
        assert option in done.stdout
