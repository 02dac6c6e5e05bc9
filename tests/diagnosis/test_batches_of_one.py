"""Losses of single examples leap by chance; that is neither a rise nor a fall."""

from __future__ import annotations

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules

BY_NAME = {rule.name: rule for rule in all_rules()}


@pytest.mark.parametrize(("examples", "found"), [(1, 0), (32, 1)])
def test_a_first_loss_that_is_small_by_chance_is_no_rise(examples, found):
    rng = np.random.default_rng(0)
    loss = np.square(rng.uniform(-1, 1, 30))
    loss[0] = 1e-5
    run = toy_run(loss=loss, step={"example_count": examples}, settings={"losses": []})
    assert len(list(diagnose(run, [BY_NAME["diverging-loss"]]).findings())) == found
