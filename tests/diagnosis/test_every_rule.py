"""The contract that every rule keeps."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from dataclasses import fields

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rule import HEADINGS, Rule
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Outcome, Severity
from gradscope.model_card import ModelCard
from gradscope.run import Run

RULES = all_rules()
LOGITS_AS_PROBABILITIES = [{"name": "categorical_crossentropy", "from_logits": False, "output": None}]
CLASSES = {"name": "sparse_categorical_crossentropy", "from_logits": True, "output": "output"}
ALWAYS_SMALL = {("preactivation", f"hidden_{i}", f"quantile_{q}"): 0.01 for i in (1, 2) for q in ("02", "98")}
KERNEL_UPDATES = [("update", f"{name}/kernel") for name in ("hidden_1", "hidden_2", "output")]
ILL = {
    "badly-scaled-input": {"scale": {("input", "input"): 200.0}, "loss": 1.0},
    "badly-scaled-target": {"scale": {("target", "target"): 1e4}, "loss": 1e8},
    "collapsed-batch-statistics": {
        "put": {("activation", "norm", "example_std"): 1e-5},
        "batch_norm": True,
        "loss": 1.0,
    },
    "collapsed-representation": {"put": {("activation", "hidden_2", "example_std"): 1e-6}, "loss": 1.0},
    "constant-output": {"scale": {("activation_gradient", "hidden_1"): 1e-6}, "loss": 1.0},
    "dead-units": {"put": {("activation", "hidden_1", "dead_unit_fraction"): 1.0}, "loss": 1.0},
    "disconnected-variable": {
        "scale": {("gradient", "hidden_1/kernel"): 0.0, ("gradient", "hidden_1/bias"): 0.0},
        "loss": 1.0,
    },
    "exploding-gradient": {"scale": {("activation_gradient", "hidden_1"): 1e5}, "loss": 1.0},
    "gain-mismatch": {
        "scale": {("weight", "hidden_1/kernel"): 1e-2, ("activation_gradient", "hidden_1"): 1e-6},
        "loss": 1.0,
    },
    "gradient-underflow": {
        "put": {("gradient", "hidden_1/kernel", "underflow_fraction"): 0.99},
        "settings": {"dtype_policy": "mixed_float16"},
        "loss": 1.0,
    },
    "linear-units": {"put": ALWAYS_SMALL, "activation": "tanh", "loss": 1.0},
    "misplaced-softmax": {
        "put": {("activation", name, "rms"): 0.07 for name in ("hidden_1", "hidden_2")},
        "activation": "softmax",
        "loss": 1.0,
    },
    "mismatched-loss": {"settings": {"losses": LOGITS_AS_PROBABILITIES}, "loss": 2.8},
    "diverging-loss": {"loss": [1.0] * 10 + [1e3] * 20},
    "learning-rate-too-high": {"scale": dict.fromkeys(KERNEL_UPDATES, 2000), "loss": [1.0] * 5 + [9.0] * 25},
    "learning-rate-too-low": {"scale": dict.fromkeys(KERNEL_UPDATES, 1e-2), "loss": 1.0},
    "loss-plateau": {"loss": 1.0},
    "outweighed-loss": {
        "settings": {"losses": [{**CLASSES, "weight": 1.0}, {**CLASSES, "weight": 1e-5}]},
        "put": {("activation", "output", "example_std"): 0.1},
    },
    "omitted-variable": {"omitted": ("hidden_1",), "loss": 1.0},
    "permanent-clipping": {
        "scale": dict.fromkeys(KERNEL_UPDATES, 1e-3),
        "loss": 1.0,
        "step": {"global_gradient_norm": 1.0, "global_clipped_gradient_norm": 1e-3},
    },
    "excessive-dropout": {"dropout": 0.97, "loss": 1.0},
    "shrunken-weights": {
        "scale": {("weight", name): 0.7 ** np.arange(30) for _, name in KERNEL_UPDATES},
        "loss": 1.0,
    },
    "stale-optimizer": {"scale": dict.fromkeys(KERNEL_UPDATES, np.geomspace(1, 1e-4, 30)), "loss": 1.0},
    "unchanged-weights": {"put": {(*key, "zero_fraction"): 1.0 for key in KERNEL_UPDATES}, "loss": 1.0},
    "nonfinite-values": {"put": {("gradient", "hidden_1/kernel", "nan_count"): [0] * 20 + [1] * 10}},
    "saturated-activation": {
        "put": {("activation", "hidden_1", "saturation_fraction"): 0.99},
        "scale": {("update", "hidden_1/kernel"): 1e-6},
        "activation": "tanh",
        "loss": 1.0,
    },
    "symmetric-weights": {"put": {("weight", "hidden_1/kernel", "unit_std"): 0.0}, "loss": 1.0},
    "unshuffled-batches": {
        "put": {("target", "target", "mean"): np.arange(30) // 10, ("target", "target", "example_std"): 0.0},
        "step": {"example_count": 32},
        "loss": 1.0,
    },
    "update-ratio-out-of-range": {"scale": {("update", "output/kernel"): 5000}, "loss": 1.0},
    "vanishing-gradient": {
        "scale": {("activation_gradient", "hidden_1"): 1e-6, ("update", "hidden_1/kernel"): 1e-6},
        "loss": 1.0,
    },
}


def verdict(rule: Rule, run: Run):
    (judged,) = diagnose(run, [rule]).verdicts
    assert "internal error" not in judged.reason
    return judged


@pytest.fixture(params=RULES, ids=lambda rule: rule.name)
def rule(request):
    return request.param


def test_rules_are_ordered_by_name():
    names = [rule.name for rule in RULES]
    assert names == sorted(names)
    assert set(names) == set(ILL)


def test_name_class_and_file_agree(rule):
    assert type(rule).__name__ == rule.name.title().replace("-", "")
    assert type(rule).__module__.rpartition(".")[2] == rule.name.replace("-", "_")


def test_docstring_has_all_headings_with_text(rule):
    sections = rule.sections()
    assert tuple(sections) == HEADINGS
    assert all(sections.values())
    assert rule.title()


def test_example_fires_and_stays_silent(rule):
    module = sys.modules[type(rule).__module__]
    (example,) = [test for test in doctest.DocTestFinder().find(module) if test.name.endswith(type(rule).__name__)]
    assert doctest.DocTestRunner().run(example).failed == 0
    wants = [step.want for step in example.examples if step.want]
    assert wants[-1] == "[]\n"
    assert all(want != "[]\n" for want in wants[:-1])


def test_limits_have_unit_and_source(rule):
    assert len(rule.limits()) == len(fields(rule)) > 0
    for limit in rule.limits():
        assert np.isfinite(limit.value)
        assert limit.unit
        assert limit.source


def test_every_limit_is_used(rule):
    bases = [cls for cls in type(rule).__mro__ if issubclass(cls, Rule) and cls is not Rule]
    source = "".join(inspect.getsource(sys.modules[cls.__module__]) for cls in bases)
    for limit in rule.limits():
        assert f"self.{limit.name}" in source


def test_an_ill_run_is_found_with_measurement_and_remedy(rule):
    judged = verdict(rule, toy_run(**ILL[rule.name]))
    assert judged.outcome == Outcome.FINDINGS
    for finding in judged.findings:
        assert finding.rule == rule.name
        assert finding.severity >= Severity.WARNING
        assert finding.measurements
        assert finding.remedies
        assert not finding.sentence.endswith(".")
        assert finding.first_step <= finding.last_step
        for measurement in finding.measurements:
            assert np.isfinite([measurement.value, measurement.limit]).all()
        for remedy in finding.remedies:
            compile(remedy.code, "remedy", "exec")


def test_explained_rules_exist(rule):
    names = {other.name for other in RULES}
    for finding in verdict(rule, toy_run(**ILL[rule.name])).findings:
        assert {name.partition(":")[0] for name in finding.explains} <= names


def test_a_healthy_run_is_clear(rule):
    for activation in ("relu", "tanh", "linear"):
        assert verdict(rule, toy_run(activation=activation)).outcome == Outcome.CLEAR


def test_a_run_without_steps_is_not_judged(rule):
    judged = verdict(rule, toy_run(steps=()))
    assert judged.outcome == Outcome.NOT_JUDGED
    assert "record at least one training step" in judged.reason


def test_a_run_with_nothing_recorded_is_not_judged(rule):
    nothing = Run("empty", np.arange(5), (), np.zeros((5, 0, len_statistics())))
    judged = verdict(rule, nothing)
    assert judged.outcome == Outcome.NOT_JUDGED
    assert "record" in judged.reason


def len_statistics() -> int:
    return toy_run().values.shape[2]


@pytest.mark.parametrize("hidden", [0, 1, 12])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("card", [True, False])
def test_small_healthy_runs_raise_no_alarm(rule, hidden, steps, card):
    run = toy_run(hidden=hidden, steps=range(steps), loss=1.0, card=card)
    assert not verdict(rule, run).findings


def test_a_card_without_layers_for_the_tensors_is_survived(rule):
    run = toy_run(card=False)
    run.model.__class__.from_json({"layers": [{"name": "elsewhere", "kind": "Dense", "depth": 0}]})
    other = Run(
        run.path,
        run.steps,
        run.tensors,
        run.values,
        run.step_statistics,
        ModelCard.from_json({"layers": [{"name": "elsewhere", "kind": "Dense", "depth": 0}]}),
    )
    assert not verdict(rule, other).findings


def test_a_run_that_is_nan_from_the_first_step_is_survived(rule):
    run = toy_run()
    values = run.values.copy()
    values[:] = np.nan
    broken = Run(run.path, run.steps, run.tensors, values, {"loss": np.full(len(run.steps), np.nan)}, run.model)
    assert verdict(rule, broken).outcome in (Outcome.NOT_JUDGED, Outcome.CLEAR)


def test_frozen_layers_are_never_ill(rule):
    frozen = toy_run(
        {
            ("weight", "hidden_1/kernel"): 1e-4,
            ("update", "hidden_1/kernel"): 0.0,
            ("activation_gradient", "hidden_1"): 0.0,
        },
        {
            ("activation", "hidden_1", "dead_unit_fraction"): 1.0,
            ("activation", "hidden_1", "saturation_fraction"): 1.0,
            ("weight", "hidden_1/bias", "rms"): 0.1,  # it was trained before
        },
        frozen=["hidden_1"],
        loss=1.0,
    )
    # A loss that stands still is none of a layer's faults.
    assert not any(finding.layers for finding in verdict(rule, frozen).findings)


def test_the_run_is_not_changed(rule):
    run = toy_run(**ILL[rule.name])
    before = run.values.copy()
    loss = run.step_statistics["loss"].copy()
    verdict(rule, run)
    np.testing.assert_array_equal(run.values, before)
    np.testing.assert_array_equal(run.step_statistics["loss"], loss)


def test_sentences_carry_no_template(rule):
    for finding in verdict(rule, toy_run(**ILL[rule.name])).findings:
        assert not re.search(r"nan|None|\{|\}", finding.sentence)
