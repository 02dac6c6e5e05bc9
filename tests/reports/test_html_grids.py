"""What is drawn of a run: columns of steps, states of cells, and numbers as bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import gradscope
from gradscope.diagnosis.example import toy_run
from gradscope.reports.html.densities import densities, density_axis
from gradscope.reports.html.grids import (
    FROZEN,
    INFINITE,
    NOT_A_NUMBER,
    Grid,
    axis_of,
    profile_grids,
    progress_grid,
    series_grid,
)
from gradscope.reports.html.layers import shown_layers
from gradscope.reports.html.packing import pack_grids
from gradscope.reports.html.series import SERIES
from gradscope.vocabulary import STATISTIC_NAMES


def grid_of(run, name, columns=1000):
    shown = shown_layers(run)
    grid = series_grid(run, shown, SERIES[name], axis_of(run.steps, columns))
    return {shown[row].name: values for row, values in zip(grid.rows, grid.values, strict=True)}


def test_an_axis_holds_every_step_once():
    steps = np.array([0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 900])
    axis = axis_of(steps, 4)
    assert axis.first.tolist() == [0, 2, 20, 200]
    assert axis.last.tolist() == [1, 10, 100, 900]
    assert sorted(axis.members[axis.members >= 0]) == list(range(len(steps)))


def test_a_step_per_column_where_there_is_room():
    axis = axis_of(np.array([3, 7]), 100)
    assert axis.first.tolist() == axis.last.tolist() == [3, 7]


def test_an_axis_of_no_step_and_one_of_no_column():
    assert len(axis_of(np.zeros(0, np.int64), 10).first) == 0
    with pytest.raises(ValueError, match="give at least 1"):
        axis_of(np.arange(3), 0)


def test_cells_are_what_was_recorded(three_layer):
    run = gradscope.read_run(three_layer)
    grid = grid_of(run, "gradient_rms")
    assert list(grid) == ["hidden_1", "hidden_2", "output"]
    recorded = run.series("gradient", "hidden_2/kernel", "rms")
    np.testing.assert_array_equal(grid["hidden_2"], recorded)


def test_a_column_of_several_steps_is_a_median_that_was_recorded():
    numbers = [1.0, 9.0, 2.0, 7.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    run = toy_run(put={("gradient", "hidden_1/kernel", "rms"): numbers}, steps=range(12))
    # Of the second column one in four is positive, which is often enough; of the third none is.
    assert grid_of(run, "gradient_rms", columns=3)["hidden_1"].tolist() == [2.0, 3.0, 0.0]


def test_shares_count_their_zeros():
    numbers = [0.0, 0.0, 0.0, 0.5, 0.5, 0.0]
    run = toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): numbers}, steps=range(6))
    assert grid_of(run, "dead_unit_fraction", columns=2)["hidden_1"].tolist() == [0.0, 0.5]


def test_one_step_of_nan_or_infinite_entries_is_never_lost_in_a_column():
    broken = np.zeros(30)
    broken[17] = 1.0
    run = toy_run(
        put={
            ("gradient", "hidden_1/kernel", "nan_count"): broken,
            ("gradient", "hidden_2/kernel", "inf_count"): broken,
            ("gradient", "output/kernel", "rms"): np.where(broken > 0, np.inf, 1.0),
        }
    )
    grid = grid_of(run, "gradient_rms", columns=3)
    assert grid["hidden_1"][1] == NOT_A_NUMBER
    assert grid["hidden_2"][1] == INFINITE
    assert (grid["hidden_1"][[0, 2]] > 0).all()
    assert grid_of(run, "gradient_rms")["output"][17] == INFINITE


def test_zero_not_recorded_and_frozen_are_told_apart():
    run = toy_run(
        put={
            ("gradient", "hidden_1/kernel", "rms"): 0.0,
            ("gradient", "hidden_2/kernel", "rms"): [np.nan] * 15 + [1.0] * 15,
            ("gradient", "hidden_3/kernel", "rms"): np.nan,
        },
        hidden=3,
        frozen=["hidden_3"],
    )
    grid = grid_of(run, "gradient_rms")
    assert (grid["hidden_1"] == 0).all()
    assert np.isnan(grid["hidden_2"][:15]).all()
    assert (grid["hidden_3"] == FROZEN).all()


def test_a_layer_without_the_statistic_has_no_row(three_layer):
    run = gradscope.read_run(three_layer)
    assert "estimate" not in grid_of(run, "gradient_rms")
    assert "estimate" in grid_of(run, "activation_gradient_rms")


def test_one_nan_loss_shows_in_its_column():
    loss = [1.0] * 29 + [np.nan]
    run = toy_run(loss=loss)
    grid = progress_grid(run, axis_of(run.steps, 3))
    assert grid.values[0, :2].tolist() == [1.0, 1.0]
    assert np.isnan(grid.values[0, 2])


def test_densities_are_shares_of_the_histogram(three_layer):
    run = gradscope.read_run(three_layer)
    shown = shown_layers(run)
    found = {density.name: density for density in densities(run, shown, "gradient", density_axis(run, 1000))}
    density = found["hidden_1/kernel"]
    last = density.values[:, -1]
    assert last.sum() == pytest.approx(1.0)
    histogram = run.histogram("gradient", "hidden_1/kernel", int(run.histograms.steps[-1]))
    rows = histogram.ascending()
    assert last[len(last) // 2] == pytest.approx(histogram.zero_count / rows[:, 2].sum())
    np.testing.assert_allclose(last[last > 0], rows[:, 2] / rows[:, 2].sum(), rtol=1e-6)


def test_nan_and_infinite_entries_stand_beside_the_histograms(three_layer):
    run = gradscope.read_run(three_layer)
    values = run.values.copy()
    row = run.index["gradient", "hidden_1/kernel"]
    values[3, row, STATISTIC_NAMES.index("nan_count")] = 5
    values[-1, row, STATISTIC_NAMES.index("inf_count")] = 7
    run = replace(run, values=values)
    axis = density_axis(run, 4)
    density = densities(run, shown_layers(run), "gradient", axis)[0]
    assert sum(density.nan_counts) == 5
    assert density.inf_counts[-1] == 7
    column = density.nan_counts.index(5)
    assert axis.first[column] <= run.steps[3]


def test_histograms_of_one_column_are_added_up(three_layer):
    run = gradscope.read_run(three_layer)
    (density, *_) = densities(run, shown_layers(run), "gradient", density_axis(run, 1))
    assert density.values.shape[1] == 1
    assert density.values.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("half", [False, True])
def test_packed_numbers_come_back(half):
    values = np.array([[1.0, np.nan, -2.0], [np.inf, 0.0, 3.4e38]], np.float32)
    packed = pack_grids(axis_of(np.array([1, 2, 3]), 3), [Grid("a", (4, 7), values)], half=half)
    length = int.from_bytes(packed[:4], "little")
    header = json.loads(packed[4 : 4 + length])
    assert header["first"] == [1, 2, 3]
    assert header["grids"] == [{"name": "a", "rows": [4, 7]}]
    assert length % 4 == 0
    if half:
        bits = np.frombuffer(packed[4 + length :], "<u2").astype(np.uint32) << 16
        decoded = bits.view(np.float32).reshape(2, 3)
    else:
        decoded = np.frombuffer(packed[4 + length :], "<f4").reshape(2, 3)
    np.testing.assert_allclose(decoded, values, rtol=1 / 256)
    assert np.isfinite(decoded[1, 2])


def test_a_run_without_a_step_has_grids_without_columns():
    run = toy_run(steps=())
    axis = axis_of(run.steps, 10)
    grids = [series_grid(run, shown_layers(run), SERIES["weight_rms"], axis)]
    grids += [*profile_grids(run, shown_layers(run), axis), progress_grid(run, axis)]
    assert all(grid.values.shape[1] == 0 for grid in grids)


def test_a_run_without_a_model_card_is_drawn_too():
    run = replace(toy_run(card=False))
    assert list(grid_of(run, "weight_rms")) == ["hidden_1", "hidden_2", "output"]
