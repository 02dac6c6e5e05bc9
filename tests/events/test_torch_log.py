"""A log that PyTorch 2.13's own SummaryWriter wrote: six linear layers between sigmoids, norms named as Lightning does.

Scalars at 40 steps, histograms of the first and the last layer at the first and the last step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.events.mapping import TagRule
from gradscope.events.reader import read_run

LOG = Path(__file__).with_name("logs") / "torch"
ENDS = ("0.weight", "10.weight")


@pytest.fixture(scope="module")
def run():
    return read_run(LOG)


def test_all_that_was_logged_is_there(run):
    assert run.steps.tolist() == list(range(40))
    assert set(run.names("gradient")) == {f"{number}.weight" for number in range(0, 12, 2)}
    assert set(run.names("weight")) == set(ENDS)
    for name in ("loss", "global_gradient_norm"):
        assert np.isfinite(run.step_statistics[name]).all()


@pytest.mark.parametrize("name", ENDS)
def test_norms_from_histograms_are_those_that_pytorch_computed(run, name):
    logged = read_run(LOG, tags=[TagRule(r".*\.grad", "ignore")]).series("gradient", name, "norm")
    rms, count = (run.series("gradient", name, statistic) for statistic in ("rms", "count"))
    from_histograms = (rms * np.sqrt(count))[[0, -1]]
    assert from_histograms == pytest.approx(logged[[0, -1]], rel=1e-4)


@pytest.mark.parametrize("name", ENDS)
def test_histograms_hold_every_entry(run, name):
    for kind in ("weight", "gradient"):
        assert run.histogram(kind, name, 39).counts.sum() == run.series(kind, name, "count")[-1]


def test_it_is_judged_as_another_tools(run):
    diagnosis = diagnose(run)
    assert any(verdict.outcome != "not judged" for verdict in diagnosis.verdicts)
    assert "logged by another tool" in diagnosis.missing[-1]
