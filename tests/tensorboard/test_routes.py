"""The plugin's routes: what they give, and how they refuse."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import gradscope
from gradscope.reports.html.assets import ASSETS
from gradscope.tensorboard.loader import GradscopeLoader

ROOT = "/data/plugin/gradscope"
DATA_ROUTES = ("runs", "run", "grids", "densities", "fingerprint", "vocabulary")


def get(client, route, **parameters):
    return client.get(f"{ROOT}/{route}", query_string=parameters)


def unpacked(data):
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    numbers = np.frombuffer(data[4 + length :], "<f4")
    columns, offset, grids = len(header["first"]), 0, {}
    for grid in header["grids"]:
        size = grid.get("height", len(grid["rows"])) * columns
        grids[grid["name"]] = numbers[offset : offset + size].reshape(-1, columns)
        offset += size
    assert offset == len(numbers)
    return header, grids


def test_tensorboard_shows_the_tab(client):
    listed = client.get("/data/plugins_listing").json["gradscope"]
    assert listed["enabled"]
    assert listed["tab_name"] == "Gradient flow"
    entry = client.get("/data/plugin_entry.html?name=gradscope").text
    assert "./index.js" in entry


def test_the_runs_and_their_recorded_verdicts(client):
    runs = {run["name"]: run["health"] for run in get(client, "runs").json["runs"]}
    assert set(runs) == {"two_layer", "three_layer", "three_layer_fixed"}
    assert runs["three_layer"] == "sick"


def test_a_run_is_judged_as_the_command_line_judges_it(client, three_layer):
    told = get(client, "run", run="three_layer").json
    diagnosis = gradscope.diagnose(gradscope.read_run(three_layer))
    assert told["sentence"] == diagnosis.sentence
    assert [cause["root"]["rule"] for cause in told["causes"]] == [cause.root.rule for cause in diagnosis.causes]
    assert [layer["label"] for layer in told["layers"]] == ["hidden_1", "hidden_2", "output", "estimate"]


def test_grids_are_the_recorded_numbers_to_the_last_bit(client, three_layer):
    run = gradscope.read_run(three_layer)
    header, grids = unpacked(get(client, "grids", run="three_layer").data)
    assert header["first"] == run.steps.tolist()
    np.testing.assert_array_equal(grids["gradient_rms"][0], run.series("gradient", "hidden_1/kernel", "rms"))
    np.testing.assert_array_equal(grids["progress"][0], run.step_statistics["loss"])


def test_many_steps_are_put_into_as_many_columns_as_are_asked_for(client):
    header, grids = unpacked(get(client, "grids", run="three_layer", columns=5).data)
    assert len(header["first"]) == 5
    assert grids["gradient_rms"].shape == (3, 5)


def test_densities_are_the_recorded_histograms(client, three_layer):
    run = gradscope.read_run(three_layer)
    header, grids = unpacked(get(client, "densities", run="three_layer", kind="gradient").data)
    assert header["first"] == run.histograms.steps.tolist()
    histogram = run.histogram("gradient", "hidden_1/kernel", int(run.histograms.steps[0]))
    shares = grids["gradient/0"][:, 0]
    np.testing.assert_allclose(shares[shares > 0], histogram.ascending()[:, 2] / histogram.counts.sum(), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_each_file_has_its_type(client, name):
    answer = get(client, name)
    assert answer.status_code == 200
    assert answer.mimetype == ASSETS[name]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


REFUSED = {
    "no run": (400, "run", {}),
    "unknown run": (404, "run", {"run": "nowhere"}),
    "a path as run": (404, "grids", {"run": "../three_layer"}),
    "an absolute path as run": (404, "densities", {"run": "/etc/passwd"}),
    "a hostile run": (404, "run", {"run": "<script>\r\nX-Evil: 1\x00"}),
    "a run that is no text": (404, "run", {"run": b"\xff\xfe"}),
    "a huge run": (404, "run", {"run": "x" * 5000}),
    "unknown kind": (400, "densities", {"run": "three_layer", "kind": "../gradient"}),
    **{
        f"columns={text[:12]}": (400, "grids", {"run": "three_layer", "columns": text})
        for text in ("0", "-1", "4001", "9" * 400, "1e3", "NaN", "", "five", "²", "1.5")
    },
}


@pytest.mark.parametrize(("code", "route", "parameters"), REFUSED.values(), ids=REFUSED)
def test_wrong_parameters_are_refused_in_one_line(client, code, route, parameters):
    answer = get(client, route, **parameters)
    assert answer.status_code == code
    assert answer.mimetype == "text/plain"
    assert len(answer.text.strip().splitlines()) == 1
    assert len(answer.text) < 400
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("route", [*DATA_ROUTES, "index.js"])
def test_other_methods_are_refused(client, method, route):
    answer = client.open(f"{ROOT}/{route}", method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2fpage.py",
        "static/../plugin.py",
        "/etc/passwd",
        "LICENSE-uPlot.txt/..",
        "index.js%00.css",
        "static",
        "",
    ],
)
def test_no_other_file_is_served(client, path):
    assert client.get(f"{ROOT}/{path}").status_code == 404


def test_the_user_may_choose_how_many_steps_are_kept():
    class Flags:
        samples_per_plugin = {"gradscope": 50}  # noqa: RUF012

    GradscopeLoader().fix_flags(Flags)
    assert Flags.samples_per_plugin == {"gradscope": 50}


def test_the_loader_imports_nothing_that_can_fail():
    code = """
import sys
import gradscope.tensorboard.loader
heavy = {"numpy", "pandas", "tensorflow", "gradscope.tensorboard.plugin", "gradscope.run", "tensorboard.backend"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_found_through_its_entry_point():
    from importlib.metadata import entry_points

    (found,) = entry_points(group="tensorboard_plugins", name="gradscope")
    assert found.load() is GradscopeLoader
