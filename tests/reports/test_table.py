import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from gradscope.reports.checked_run import CheckedRun
from gradscope.reports.table import to_terminal_table


@pytest.fixture
def runs(healthy, sick, warnings, not_judged):
    judged = [CheckedRun(diagnosis.run, diagnosis) for diagnosis in (healthy, not_judged, warnings, sick)]
    return [CheckedRun("logs/broken", error="logs/broken holds no event file; give the folder of a run"), *judged]


def rows(table):
    return [line for line in table.splitlines() if re.match(r"(SICK|WARNINGS|NOT JUDGED|HEALTHY) ", line)]


def test_one_row_per_run_worst_first(runs):
    table = to_terminal_table(runs, width=120, color=False)
    assert [re.split(r"\s{2,}", row)[:2] for row in rows(table)] == [
        ["SICK", "three_layer"],
        ["WARNINGS", "warm"],
        ["NOT JUDGED", "broken"],
        ["NOT JUDGED", "empty"],
        ["HEALTHY", "fixed"],
    ]


def test_a_row_names_cause_layers_and_first_step(runs):
    row = rows(to_terminal_table(runs, width=120, color=False))[0]
    assert re.split(r"\s{2,}", row)[2:] == ["initial weights far too small", "hidden_1, hidden_2, …", "0"]


def test_the_head_counts_and_the_foot_gives_reasons(runs):
    table = " ".join(to_terminal_table(runs, width=80, color=False).split())
    assert table.startswith("5 runs in logs 1 sick 1 with warnings 2 not judged 1 healthy")
    assert "- broken: logs/broken holds no event file; give the folder of a run." in table
    assert "- empty: No rule could judge this run." in table


def test_skipped_log_dirs_are_named(runs):
    skipped = [CheckedRun("logs/keras/train", error="no gradscope data")]
    table = to_terminal_table(runs, skipped=skipped, color=False)
    assert f"Skipped 1 log dir in which nothing can be judged: {Path('keras', 'train')}." in table


@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit_the_width(weird_diagnosis, runs, width):
    table = to_terminal_table([*runs, CheckedRun(weird_diagnosis.run, weird_diagnosis)], width=width, color=False)
    assert all(cell_len(line) <= width for line in table.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", table)


def test_a_name_is_broken_only_where_there_is_no_room(sick):
    runs = [CheckedRun(f"logs/{name}", sick) for name in ("a_name_of_thirty_characters_or", "b")]
    assert "a_name_of_thirty_characters_or" in to_terminal_table(runs, width=80, color=False)
    narrow = to_terminal_table(runs, width=62, color=False)
    assert "a_name_of_thirty_characters_or" not in narrow
    assert re.search(r"a_name_\S*_ ", narrow)


def test_paths_without_a_common_folder_are_shown_whole(healthy, sick):
    paths = [str(Path("a/run").resolve()), "b/run"]
    table = to_terminal_table([CheckedRun(paths[0], healthy), CheckedRun(paths[1], sick)], width=200, color=False)
    assert all(path in table for path in paths)
