"""The tab in a real TensorBoard and a real browser."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import gradscope
from gradscope.diagnosis.example import toy_run
from gradscope.events.sample import Sample
from gradscope.events.writer import EventWriter

ROW = """(name) => {
    const {run, grid, pack} = gradscope.parts.own.view;
    const row = grid.rows.findIndex((layer) => run.layers[layer].label === name);
    return Array.from(grid.values.subarray(row * pack.columns, (row + 1) * pack.columns), String);
}"""
STEPS = 150  # more than TensorBoard keeps of a plugin it does not know
TOY = toy_run(steps=range(STEPS), hidden=3)


def write(writer, first, last):
    for position in range(first, last):
        writer.write_sample(Sample(position, 1e9 + position, TOY.tensors, TOY.values[position], {"loss": 1.0}))


@pytest.fixture(scope="module")
def logs(autoencoder_logs, tmp_path_factory):
    """The committed runs, one with slashes in its name, and one that is still being written."""
    folder = tmp_path_factory.mktemp("logs")
    shutil.copytree(autoencoder_logs, folder / "sweep" / "a b" / "auto")
    with EventWriter(folder / "live") as writer:
        writer.write_model_card(TOY.model, 0)
        write(writer, 0, 120)
        yield folder, writer


@pytest.fixture(scope="module")
def board(serve, logs):
    """TensorBoard's default: its data server."""
    return serve(logs[0])


def tab(watched, address, **options):
    page = watched(**options)
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', (e) => console.error('violates', e.violatedDirective))"
    )
    page.goto(f"{address}#gradscope")
    handle = page.wait_for_selector("iframe[src*='plugin_entry']", state="attached", timeout=30_000)
    frame = handle.content_frame()
    frame.wait_for_selector("main[data-drawn]", timeout=30_000)
    return page, frame


def choose(frame, label, value):
    drawn = frame.get_attribute("main", "data-drawn")
    frame.locator("label", has_text=label).locator("select").first.select_option(value)
    frame.wait_for_selector(f"main:not([data-drawn='{drawn}'])")


def test_it_draws_the_recorded_numbers(watched, board, three_layer):
    _, frame = tab(watched, board)
    assert frame.evaluate("gradscope.state.run") == "sweep/a b/auto/three_layer", "the sick run comes first"
    values = [float(text) for text in frame.evaluate(ROW, "hidden_1")]
    recorded = gradscope.read_run(three_layer).series("activation_gradient", "hidden_1", "rms")
    np.testing.assert_array_equal(np.float32(values), recorded)
    assert frame.inner_text(".badge") == "Sick"
    frame.wait_for_selector("text=Distribution over time")


def test_two_runs_with_slashes_in_their_names_are_compared(watched, board):
    _, frame = tab(watched, board)
    choose(frame, "compare with", "sweep/a b/auto/three_layer_fixed")
    assert frame.locator(".heatmap").count() == 2


def test_no_step_is_dropped_and_new_ones_appear_by_themselves(watched, board, logs):
    _, frame = tab(watched, board)
    choose(frame, "Run", "live")
    assert frame.evaluate("gradscope.run.steps") == [0, 119, 120]
    drawn = frame.get_attribute("main", "data-drawn")
    write(logs[1], 120, STEPS)
    frame.wait_for_selector(f"main:not([data-drawn='{drawn}'])", timeout=25_000)
    assert frame.evaluate("gradscope.run.steps") == [0, STEPS - 1, STEPS]


def test_it_follows_the_dark_mode_of_tensorboard(watched, board):
    page, frame = tab(watched, board)
    assert frame.get_attribute("main", "data-theme") == "light"
    page.evaluate("document.body.classList.add('dark-mode')")
    frame.wait_for_selector("main[data-theme=dark]")


def test_behind_a_prefix_and_with_the_python_loader(watched, serve, logs):
    address = serve(logs[0], "--path_prefix", "/some/where", "--load_fast", "false")
    assert "/some/where" in address
    _, frame = tab(watched, address)
    choose(frame, "Run", "live")
    assert frame.evaluate("gradscope.run.steps[2]") >= 120


def test_below_an_experiment(watched, board):
    _, frame = tab(watched, f"{board}experiment/abc/")
    assert frame.evaluate("gradscope.runs.length") == 4
