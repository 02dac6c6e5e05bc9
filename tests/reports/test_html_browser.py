"""The page in a real browser: from ``file://`` and inside the frame that notebooks get."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gradscope
from gradscope.diagnosis.example import toy_run
from gradscope.reports.html.description import ShownRun
from gradscope.reports.html.page import to_html
from gradscope.run import TensorKey

ROW = """(name) => {
    const {run, grid, pack} = gradscope.parts.own.view;
    const row = grid.rows.findIndex((layer) => run.layers[layer].label === name);
    return Array.from(grid.values.subarray(row * pack.columns, (row + 1) * pack.columns), String);
}"""
PIXEL = """([layer, column]) => {
    const map = gradscope.parts.own;
    const row = map.view.grid.rows.indexOf(layer);
    const ratio = devicePixelRatio;
    const x = (map.gutter + (column + 0.5) * map.cellWidth) * ratio;
    const y = (row + 0.5) * map.rowHeight * ratio;
    return Array.from(map.canvas.getContext("2d").getImageData(x, y, 1, 1).data);
}"""
WEIRD = ("<script>document.title='broken into'</script>", "a\"b'c & <b>bold</b>", "שלום", "👩 層")


def shown(path):
    run = gradscope.read_run(path)
    return ShownRun(path.name, run, gradscope.diagnose(run))


def brightness(rgba):
    return sum(rgba[:3])


@pytest.fixture(scope="module")
def report(autoencoder_logs, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html([shown(each) for each in sorted(autoencoder_logs.iterdir())]), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(watched, tmp_path):
    """Opens runs as a page from ``file://``."""

    def open_runs(*runs, **options):
        path = tmp_path / "page.html"
        path.write_text(to_html(runs), encoding="utf-8")
        return drawn(watched(path.as_uri(), **options))

    return open_runs


def drawn(page):
    page.wait_for_selector("main[data-drawn]")
    return page


def test_cells_are_what_was_recorded(watched, report, three_layer):
    page = drawn(watched(report))
    assert page.evaluate("gradscope.state.run") == "three_layer", "the sick run comes first"
    values = [float(text) for text in page.evaluate(ROW, "hidden_1")]
    recorded = gradscope.read_run(three_layer).series("activation_gradient", "hidden_1", "rms")
    np.testing.assert_allclose(values, recorded, rtol=1 / 256)


def test_the_sick_layer_is_darker_than_the_others(watched, report):
    page = drawn(watched(report))
    sick, output = (brightness(page.evaluate(PIXEL, [layer, 3])) for layer in (0, 2))
    assert sick < output - 100


def test_verdict_and_causes_stand_on_top(watched, report):
    page = drawn(watched(report))
    assert page.inner_text(".badge") == "Sick"
    assert "does not learn" in page.inner_text(".lead")
    page.click(".cause .link >> text=hidden_2")
    assert page.evaluate("gradscope.run.layers[gradscope.state.layer].label") == "hidden_2"
    assert page.evaluate("gradscope.state.marked.layers.length") == 1


def test_a_link_to_a_layer_without_a_row_chooses_a_statistic_that_has_one(watched, report):
    page = drawn(watched(report))
    page.locator("label", has_text="Colour shows").locator("select").select_option("gradient_rms")
    page.click(".cause .link >> text=estimate")
    assert page.evaluate("gradscope.parts.own.view.grid.rows.includes(gradscope.state.layer)")
    shown_series = page.locator("label", has_text="Colour shows").locator("select").input_value()
    assert shown_series == page.evaluate("gradscope.state.series") != "gradient_rms"


def test_hovering_tells_the_value_and_clicking_selects(watched, report):
    page = drawn(watched(report))
    box = page.locator(".heatmap canvas").first.bounding_box()
    x, y = box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4
    page.mouse.move(x, y)
    cell = page.evaluate("([x, y]) => gradscope.parts.own.cellAt(x, y)", [x, y])
    tip = page.inner_text(".tip")
    assert "hidden_2" in tip
    assert "activation gradient rms" in tip
    page.mouse.click(x, y)
    assert page.evaluate("gradscope.state.layer") == cell["layer"]
    assert "hidden_2" in page.locator("figcaption", has_text="Sizes of").inner_text()


def test_arrow_keys_move_the_selection(watched, report):
    page = drawn(watched(report))
    page.locator(".heatmap canvas").first.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    state = page.evaluate("[gradscope.state.layer, gradscope.state.step, gradscope.pack.first[1]]")
    assert state[0] == 1
    assert state[1] == state[2]
    assert "hidden_2" in page.locator(".spoken").first.inner_text()


def test_every_statistic_and_distribution_is_drawn(watched, report):
    page = drawn(watched(report))
    for label in ("Colour shows", "distribution of", "spread of"):
        field = page.locator("label", has_text=label).locator("select")
        for value in field.locator("option").evaluate_all("all => all.map((each) => each.value)"):
            field.select_option(value)
            page.wait_for_timeout(30)
    assert page.locator(".uplot").count() >= 5


def test_two_runs_stand_side_by_side_on_one_scale(watched, report):
    page = drawn(watched(report))
    page.locator("label", has_text="compare with").locator("select").select_option("three_layer_fixed")
    page.locator(".heatmap canvas").nth(2).wait_for()
    scales = "[gradscope.parts.own, gradscope.parts.other].map(({view}) => [view.scale.low, view.scale.high])"
    own, other = page.evaluate(scales)
    assert own == other
    assert page.locator(".heatmap").count() == 2
    assert "three_layer_fixed" in page.locator(".heatmap figcaption").nth(1).inner_text()


@pytest.mark.parametrize("width", [1280, 800])
def test_themes_and_widths(watched, report, width, tmp_path):
    page = drawn(watched(report, width=width, theme="dark"))
    color = "getComputedStyle(document.querySelector('.gradscope')).backgroundColor"
    assert page.evaluate(color) == "rgb(32, 36, 42)"
    page.screenshot(path=tmp_path / "dark.png", full_page=True)
    page.click("text=Light / dark")
    assert page.evaluate(color) == "rgb(255, 255, 255)"
    page.screenshot(path=tmp_path / "light.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_picture_follows_the_window(watched, report):
    page = drawn(watched(report))
    before = page.get_attribute("main", "data-drawn")
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_selector(f"main:not([data-drawn='{before}'])")
    assert page.evaluate("gradscope.parts.own.canvas.clientWidth") < 700
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def broken_run():
    late = [0.0] * 20 + [3.0] * 10
    put = {
        ("activation_gradient", "hidden_1", "nan_count"): late,
        ("activation_gradient", "hidden_2", "inf_count"): late,
        ("activation_gradient", "hidden_3", "rms"): 0.0,
        ("activation_gradient", "hidden_4", "rms"): [np.nan] * 15 + [1e-3] * 15,
    }
    return toy_run(put=put, hidden=5, loss=[1.0] * 20 + [np.nan] * 10)


def test_cells_that_are_no_number_are_unmistakable(opened):
    run = broken_run()
    page = opened(ShownRun("broken", run, gradscope.diagnose(run)))
    assert page.evaluate(ROW, "hidden_1")[19:21] == ["0.2001953125", "-2"]
    legend = page.inner_text(".legend")
    assert all(word in legend for word in ("NaN", "infinite", "exactly 0", "not recorded"))
    looks = {layer: tuple(page.evaluate(PIXEL, [layer, 26])) for layer in range(5)}
    assert len(set(looks.values())) == 5
    page.evaluate("gradscope.select(0, 25)")
    box = page.locator(".heatmap canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 5)
    assert "NaN entries" in page.inner_text(".tip")


def test_names_are_text_wherever_they_stand(opened):
    run = toy_run({("activation_gradient", "hidden_1"): 1e-9, ("gradient", "hidden_1/kernel"): 1e-9}, hidden=4)
    names = dict(zip(("hidden_1", "hidden_2", "hidden_3", "hidden_4"), WEIRD, strict=True))
    tensors = tuple(
        TensorKey(k.kind, k.name.replace(k.layer, names.get(k.layer, k.layer), 1), names.get(k.layer, k.layer))
        for k in run.tensors
    )
    run = replace(run, tensors=tensors, model=type(run.model)(), path=WEIRD[0])
    page = opened(ShownRun(WEIRD[0], run, gradscope.diagnose(run)), ShownRun(WEIRD[1], error=WEIRD[0]))
    assert page.title() == "gradscope"
    assert page.locator("main script, main b b").count() == 0
    labels = page.evaluate("gradscope.run.layers.map((layer) => layer.label)")
    assert labels[:4] == list(WEIRD)
    assert WEIRD[0] in page.inner_text("h2 bdi")


def test_a_run_that_cannot_be_read_is_explained(opened, three_layer):
    page = opened(shown(three_layer), ShownRun("broken", error="no intact event in it"))
    page.locator("label", has_text="Run").locator("select").first.select_option("broken")
    page.wait_for_selector("text=cannot be shown")
    assert "no intact event in it" in page.inner_text(".verdict")


def test_a_run_without_a_step_is_explained(watched, tmp_path):
    run = toy_run(steps=())
    path = tmp_path / "page.html"
    path.write_text(to_html([ShownRun("empty", run, gradscope.diagnose(run))]), encoding="utf-8")
    page = watched(path.as_uri())
    page.wait_for_selector("text=no sampled step")


def test_two_hundred_layers_have_readable_names(opened):
    run = toy_run(hidden=199)
    page = opened(ShownRun("deep", run, gradscope.diagnose(run)))
    assert page.is_checked("text=all layers at once")
    assert page.evaluate("gradscope.parts.own.canvas.clientHeight") <= 600
    page.uncheck("text=all layers at once")
    assert page.evaluate("gradscope.parts.own.rowHeight") >= 12
    assert page.evaluate("gradscope.parts.own.box.scrollHeight > gradscope.parts.own.box.clientHeight")


def test_one_nan_is_seen_among_a_thousand_layers(opened):
    once = np.zeros(30)
    once[11] = 1.0
    run = toy_run(put={("activation_gradient", "hidden_500", "nan_count"): once}, hidden=999)
    page = opened(ShownRun("deep", run, gradscope.diagnose(run)))
    magenta = page.evaluate("""() => {
        const map = gradscope.parts.own;
        const {width, height} = map.canvas;
        const {data} = map.canvas.getContext("2d").getImageData(map.gutter, 0, width - map.gutter, height);
        let found = 0;
        for (let i = 0; i < data.length; i += 4) found += data[i] > 200 && data[i + 1] < 20 && data[i + 2] > 80;
        return found;
    }""")
    assert magenta > 10


def test_in_the_frame_that_a_notebook_gets(watched, three_layer, tmp_path):
    run = gradscope.read_run(three_layer)
    notebook = tmp_path / "notebook.html"
    frames = run._repr_html_() + gradscope.diagnose(run)._repr_html_()
    notebook.write_text(f"<!doctype html><meta charset='utf-8'><body>{frames}</body>", encoding="utf-8")
    page = watched(notebook.as_uri())
    whole, verdict = (page.frame_locator("iframe").nth(i) for i in (0, 1))
    whole.locator(".heatmap canvas").first.wait_for()
    verdict.locator(".badge", has_text="Sick").wait_for()
    assert verdict.locator(".heatmap, .link").count() == 0
    frame = page.frames[1]
    values = [float(text) for text in frame.evaluate(ROW, "hidden_1")]
    np.testing.assert_allclose(values, run.series("activation_gradient", "hidden_1", "rms"), rtol=1 / 256)
