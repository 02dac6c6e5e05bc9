"""The page as text: everything inside, nothing from outside, and names that are only names."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

import gradscope
from gradscope.diagnosis.example import toy_run
from gradscope.reports.html.assets import ASSETS, asset, bundle
from gradscope.reports.html.description import ShownRun
from gradscope.reports.html.page import to_html

MOST_FRONTEND = 150_000
MOST_DEMO = 1_000_000


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags_of(page):
    parser = Tags()
    parser.feed(page)
    return parser.found


def shown(path):
    run = gradscope.read_run(path)
    return ShownRun(path.name, run, gradscope.diagnose(run))


@pytest.fixture(scope="module")
def page(autoencoder_logs):
    return to_html([shown(path) for path in sorted(autoencoder_logs.iterdir())])


def test_the_page_of_three_runs_is_small(page):
    assert len(page.encode()) < MOST_DEMO


def test_the_frontend_is_small():
    assert sum(len(asset(name).encode()) for name in ASSETS) < MOST_FRONTEND


def test_it_loads_nothing_and_evaluates_nothing(page):
    for _, attributes in tags_of(page):
        assert not {"src", "href", "action", "data"} & set(attributes)
    assert not re.search(r"\beval\(|new Function\(|import\(|@import|url\(", page)


def test_only_its_own_three_scripts_run(page):
    assert [attributes for tag, attributes in tags_of(page) if tag == "script"] == [
        {"type": "application/json", "id": "gradscope-data"},
        {},
        {},
    ]


def test_names_cannot_leave_the_data(weird_name):
    run = replace(toy_run(), path=weird_name)
    page = to_html([ShownRun(weird_name, run, gradscope.diagnose(run))], title=weird_name)
    assert len([tag for tag, _ in tags_of(page) if tag == "script"]) == 3
    page.encode("utf-8")


def test_what_is_served_is_what_is_shipped():
    static = files("gradscope.reports.html") / "static"
    assert {file.name for file in static.iterdir()} == set(ASSETS) | {"LICENSE-uPlot.txt"}
    assert (
        "MIT" in (static / "LICENSE-uPlot.txt").read_text()
        or "Permission is hereby granted" in (static / "LICENSE-uPlot.txt").read_text()
    )


def test_uplot_is_as_its_authors_published_it():
    digests = {name: hashlib.sha256(asset(name).encode()).hexdigest()[:16] for name in ASSETS if "uPlot" in name}
    # Of dist/ in version 1.6.32 of the npm package uplot.
    assert digests == {"uPlot.iife.min.js": "19c8d4c6ad88929a", "uPlot.min.css": "df630c6a8d6f8eea"}


def test_a_file_that_is_no_asset_is_refused():
    for name in ("../page.py", "LICENSE", "", "style.css/../page.py"):
        with pytest.raises(KeyError):
            asset(name)


def test_modules_are_put_in_the_order_of_their_imports():
    order = re.findall(r"^modules\['([\w.]+)'\] =", bundle("embedded.js"), re.MULTILINE)
    assert order[-1] == "embedded.js"
    assert order.index("dom.js") < order.index("heatmap.js") < order.index("app.js")
    assert len(order) == len(set(order))


@pytest.mark.parametrize("name", sorted(name for name in ASSETS if name.endswith(".js") and "uPlot" not in name))
def test_modules_are_short(name):
    assert len(asset(name).splitlines()) <= 400


def command(*arguments):
    line = [sys.executable, "-m", "gradscope.cli", "report", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command_writes_the_page(autoencoder_logs, tmp_path):
    out = tmp_path / "report.html"
    done = command(str(autoencoder_logs), "-o", str(out))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert all(f'"label":"{name}"' in text for name in ("two_layer", "three_layer", "three_layer_fixed"))


def test_the_command_explains_a_broken_run_beside_readable_ones(three_layer, tmp_path):
    (tmp_path / "good").symlink_to(three_layer)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "events.out.tfevents.1").write_bytes(b"no event file at all" * 50)
    out = tmp_path / "report.html"
    done = command(str(tmp_path), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "1 of 2 runs" in done.stderr
    assert "no intact event" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["nowhere", "empty"])
def test_the_command_without_any_run_says_so_in_a_line(where, tmp_path):
    (tmp_path / "empty").mkdir()
    done = command(str(tmp_path / where), "-o", str(tmp_path / "report.html"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "report.html").exists()


def test_the_command_into_a_place_that_cannot_be_written(three_layer, tmp_path):
    done = command(str(three_layer), "-o", str(tmp_path / "missing" / "report.html"))
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_notebook_gets_a_frame_that_shares_nothing(three_layer):
    run = gradscope.read_run(three_layer)
    for shown_object in (run, gradscope.diagnose(run)):
        ((tag, attributes),) = tags_of(shown_object._repr_html_())
        assert tag == "iframe"
        assert attributes["sandbox"] == "allow-scripts"
        assert attributes["srcdoc"].startswith("<!doctype html>")
