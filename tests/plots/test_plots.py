"""Pictures without a browser: what the figures hold, and files of each form."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import gradscope
from gradscope import plots
from gradscope.diagnosis.example import toy_run
from gradscope.errors import GradscopeError

DRAWN = ("flow", "profile", "distribution", "saturation")
SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture(scope="module")
def run(three_layer):
    return gradscope.read_run(three_layer)


def command(*arguments):
    line = [sys.executable, "-m", "gradscope.cli", "plot", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", DRAWN)
def test_each_is_a_figure_that_can_be_saved(run, what, tmp_path):
    figure = getattr(plots, what)(run)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000


def test_the_flow_shows_the_recorded_numbers_by_layer(run):
    axes = plots.flow(run, "gradient_rms").axes[0]
    image = axes.images[0].get_array()
    recorded = [run.series("gradient", f"{name}/kernel", "rms") for name in ("hidden_1", "hidden_2", "output")]
    expected = np.ma.masked_less_equal(recorded, 0)
    np.testing.assert_array_equal(image.filled(-1), expected.filled(-1))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["hidden_1", "hidden_2", "output"]


def test_what_is_no_number_has_a_colour_and_a_name_of_its_own():
    broken = [0.0] * 20 + [1.0] * 10
    run = toy_run(put={("gradient", "hidden_1/kernel", "nan_count"): broken, ("gradient", "output/kernel", "rms"): 0.0})
    (legend,) = plots.flow(run, "gradient_rms").legends
    assert [text.get_text() for text in legend.get_texts()] == ["NaN", "exactly 0"]


def test_the_profile_is_that_of_the_step_asked_for(run):
    step = int(run.steps[3])
    axes = plots.profile(run, "gradient_rms", step=step + 1).axes[0]
    values = axes.lines[0].get_ydata()
    assert values[1] == pytest.approx(run.series("gradient", "hidden_2/kernel", "rms")[3])
    assert f"{step:,}" in axes.get_title()


def test_histograms_are_shares_of_all_entries(run):
    left, right = plots.distribution(run, "weight").axes
    for axes in (left, right):
        for stairs in axes.patches:
            assert stairs.get_data().values.sum() <= 1.0 + 1e-9
    assert left.patches[0].get_data().values.sum() == pytest.approx(1.0)


def test_saturation_has_a_line_per_layer(run):
    figure = plots.saturation(run)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["saturated share of entries", "exactly zero share"], "of so few examples none is judged dead"
    assert len(figure.axes[-1].lines) == 4


@pytest.mark.parametrize("name", ["$x^2$ <script>", "שלום", "a" * 300, "b\x1b[31m"])
def test_odd_names_are_drawn_as_text(name, tmp_path):
    from dataclasses import replace

    from gradscope.run import TensorKey

    run = toy_run(card=False)
    tensors = tuple(
        TensorKey(k.kind, k.name.replace("hidden_1", name, 1), k.layer.replace("hidden_1", name)) for k in run.tensors
    )
    with mpl.rc_context({"svg.fonttype": "none"}):
        plots.flow(replace(run, tensors=tensors), "weight_rms").savefig(tmp_path / "odd.svg")
    assert b"<script>" not in (tmp_path / "odd.svg").read_bytes()


REFUSED = {
    "an unknown statistic": lambda run: plots.flow(run, "gradient_avg"),
    "an unknown kind": lambda run: plots.distribution(run, "input"),
    "a step before the first": lambda run: plots.profile(run, step=-1),
    "what was not recorded": lambda run: plots.distribution(toy_run()),
    "a run without a step": lambda run: plots.flow(toy_run(steps=())),
    "a trajectory of a variable": lambda run: plots.trajectory(run, "weight"),
    "a trajectory of what was not recorded": lambda run: plots.trajectory(run, "probe_activation"),
    "histograms of what was not recorded": lambda run: plots.layer_histograms(run, "probe_activation"),
    "a trajectory without a step": lambda run: plots.trajectory(toy_run(steps=())),
}


@pytest.mark.parametrize("draw", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line(run, draw):
    with pytest.raises(GradscopeError) as caught:
        draw(run)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_the_command_writes_each_form(three_layer, suffix, tmp_path):
    out = tmp_path / f"picture{suffix}"
    done = command(three_layer, "--what", "profile", "--step", "500", "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert out.read_bytes().startswith(SIGNATURES[suffix])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "picture.bmp"], ".png, .svg or .pdf"),
        (["-o", "missing/picture.png"], "cannot write"),
        (["-o", "picture.png", "--statistic", "nothing"], "give one of"),
        (["-o", "picture.png", "--what", "saturation", "--step", "3"], "says nothing about"),
        ([], "--output"),
    ],
)
def test_the_command_refuses_in_one_line(three_layer, options, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command(three_layer, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_it_says_what_to_install(three_layer):
    code = f"""
import sys
sys.modules["matplotlib.figure"] = None
from gradscope.cli import main
main(["plot", {str(three_layer)!r}, "-o", "x.png"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "gradscope[plot]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_trajectory_is_the_recorded_mean_of_each_hidden_layer(run):
    axes = plots.trajectory(run).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["hidden_1", "hidden_2", "output"]
    recorded = run.series("activation", "hidden_2", "mean")
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), recorded)
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), run.steps)


def test_a_centred_trajectory_is_the_spread_with_the_outer_quantile(run):
    axes = plots.trajectory(run, centred=True).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), run.series("activation", "hidden_1", "std"))
    assert set(axes.lines[1].get_ydata()) <= set(run.series("activation", "hidden_1", "quantile_98"))


def test_several_runs_have_a_panel_each_on_one_axis(run, autoencoder_logs):
    runs = {"ill": run, "fixed": gradscope.read_run(autoencoder_logs / "three_layer_fixed")}
    figure = plots.layer_histograms(runs, "activation", step=0)
    assert [axes.get_title() for axes in figure.axes] == ["ill", "fixed"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    wide = plots.layer_histograms(runs, "activation", step=0, reach=100.0).axes[0].lines[0]
    assert wide.get_xdata()[-1] > 90
    assert wide.get_ydata().sum() == pytest.approx(1.0), "a share of the entries per bin"
    assert len(plots.trajectory(runs).axes) == 2
