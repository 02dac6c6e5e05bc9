"""How a run and a diagnosis look in a notebook: the page of `gradscope.reports.html.page` in a frame of its own."""

from __future__ import annotations

import html
from pathlib import PurePath

from gradscope.configuration.here import diagnose_here
from gradscope.diagnosis.verdict import Diagnosis
from gradscope.reports.html.description import ShownRun
from gradscope.reports.html.page import to_html
from gradscope.run import Run

__all__ = ["diagnosis_as_html", "run_as_html"]


def run_as_html(run: Run) -> str:
    """The verdict on the run and all pictures of it."""
    return _frame(to_html([ShownRun(_name(run.path), run, diagnose_here(run))]), height=1000)


def diagnosis_as_html(diagnosis: Diagnosis) -> str:
    """The verdict with its causes; pictures need the run."""
    return _frame(to_html([ShownRun(_name(diagnosis.run), None, diagnosis)]), height=480)


def _name(path: str) -> str:
    return PurePath(path).name or path


def _frame(page: str, *, height: int) -> str:
    # Scripts may run in the frame, but it shares nothing with the notebook around it.
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts" width="100%" height="{height}" '
        'style="border: 0" title="gradscope"></iframe>'
    )
