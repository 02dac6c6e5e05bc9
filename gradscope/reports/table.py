"""A tree of runs as one table for the terminal."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.reports.checked_run import CheckedRun, worst_first
from gradscope.reports.page import Page
from gradscope.reports.terminal import HEALTH_STYLES
from gradscope.reports.wording import Health, counted, headline, ills, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["to_terminal_table"]

_COLUMNS = ("verdict", "run", "root cause", "layer", "since step")
_LAYERS_SHOWN = 2


def to_terminal_table(
    runs: Sequence[CheckedRun], *, skipped: Sequence[CheckedRun] = (), width: int = 80, color: bool | None = None
) -> str:
    """One row per run, worst first: verdict, run, gravest root cause, its layers and the first step it was seen at.

    Runs that could not be judged are rows as well; the reasons stand below the table.

    Args:
        runs: what was checked.
        skipped: log dirs in which nothing can be judged; named in one line.
        width: columns.
        color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.
    """
    page = Page(width=width, color=color)
    ordered = worst_first(runs)
    base = _common_folder([run.run for run in [*runs, *skipped]])
    count = Counter(run.health for run in runs)
    page.headline((f"{counted(len(runs), 'run')} in {plain(base)}" if base else counted(len(runs), "run"), "bold"))
    labels = {**{word: word for word in HEALTH_STYLES}, Health.WARNINGS: "with warnings", Health.NOTES: "with notes"}
    counts = [(f"{count[word]} {labels[word]}", style) for word, style in HEALTH_STYLES.items() if count[word]]
    page.paragraph(*(part for pair in counts for part in (pair, "  ")))
    page.gap()
    page.table(_COLUMNS, [_row(run, base) for run in ordered])
    _write_reasons(page, [run for run in ordered if run.health == Health.NOT_JUDGED], base)
    if skipped:
        page.gap()
        names = ", ".join(_name(run.run, base) for run in skipped)
        page.paragraph(f"Skipped {counted(len(skipped), 'log dir')} in which nothing can be judged: {names}.")
    return str(page)


def _row(run: CheckedRun, base: str) -> tuple[str, ...]:
    cells = (run.health.upper(), _name(run.run, base))
    causes = ills(run.diagnosis) if run.diagnosis else ()
    if not causes:
        return (*cells, "", "", "")
    root = causes[0].root
    layers = [plain(layer) for layer in root.layers[:_LAYERS_SHOWN]]
    if len(root.layers) > _LAYERS_SHOWN:
        layers.append("…")
    return (*cells, headline(root), ", ".join(layers), f"{root.first_step:,}")


def _write_reasons(page: Page, runs: Sequence[CheckedRun], base: str) -> None:
    if not runs:
        return
    page.gap()
    page.paragraph(("Not judged", "bold"))
    for run in runs:
        reason = run.diagnosis.sentence if run.diagnosis else run.error
        page.item("-", f"{_name(run.run, base)}: {sentence(reason)}")


def _common_folder(paths: Sequence[str]) -> str:
    try:
        return os.path.commonpath([Path(path).parent for path in paths])
    except ValueError:  # none, or absolute and relative ones side by side
        return ""


def _name(path: str, base: str) -> str:
    return plain(os.path.relpath(path, base) if base else path)
