"""Finding runs in a tree of directories."""

from __future__ import annotations

import pytest

from gradscope.errors import RunNotFoundError
from gradscope.events.discovery import event_files, find_runs


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_every_directory_with_event_files_is_a_run(tmp_path):
    for name in (
        "b/train/events.out.tfevents.2",
        "b/validation/x.tfevents",
        "a/tfevents",
        "tfevents.top",
        "c/notes.txt",
    ):
        touch(tmp_path / name)
    found = find_runs(tmp_path)
    assert found == [str(tmp_path / name) for name in ("", "a", "b/train", "b/validation")]


def test_a_directory_named_like_an_event_file_is_none(tmp_path):
    touch(tmp_path / "run.tfevents" / "notes.txt")
    assert find_runs(tmp_path) == []
    with pytest.raises(RunNotFoundError):
        event_files(tmp_path)


def test_links_are_followed_and_loops_survived(tmp_path):
    touch(tmp_path / "tree" / "run" / "tfevents")
    touch(tmp_path / "elsewhere" / "tfevents")
    (tmp_path / "tree" / "run" / "back").symlink_to(tmp_path / "tree")
    (tmp_path / "tree" / "alias").symlink_to(tmp_path / "tree" / "run")
    (tmp_path / "tree" / "other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "tree" / "broken").symlink_to(tmp_path / "nowhere")
    assert find_runs(tmp_path / "tree") == [str(tmp_path / "tree" / name) for name in ("other", "run")]


def test_a_file_is_found_as_itself_and_a_missing_path_is_an_error(tmp_path):
    path = str(touch(tmp_path / "tfevents"))
    assert find_runs(path) == [path]
    assert event_files(path) == [path]
    with pytest.raises(RunNotFoundError, match="nowhere"):
        find_runs(tmp_path / "nowhere")


def test_event_files_come_in_order_of_name(tmp_path):
    for name in ("events.out.tfevents.20", "events.out.tfevents.10", "other.txt"):
        touch(tmp_path / name)
    (tmp_path / "below").mkdir()
    assert event_files(tmp_path) == [str(tmp_path / f"events.out.tfevents.{n}") for n in (10, 20)]
