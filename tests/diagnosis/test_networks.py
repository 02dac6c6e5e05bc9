"""Rules on networks that were really trained (in numpy): sick ones are found, healthy ones left in peace."""

from __future__ import annotations

import sys

import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.verdict import Severity

networks = sys.modules["networks"]


def pathologies(cause):
    return {finding.pathology for finding in cause.findings()}


@pytest.mark.parametrize("name", networks.HEALTHY)
def test_a_network_that_learns_raises_no_alarm(trained, name):
    diagnosis = diagnose(trained(name))
    assert diagnosis.severity in (None, Severity.NOTE), diagnosis.sentence
    assert not [v for v in diagnosis.not_judged if "internal error" in v.reason]


@pytest.mark.parametrize("name", [name for name in networks.FOUNDING if name.startswith(("two_layer", "fixed"))])
def test_the_autoencoders_that_learn_are_healthy(trained, name):
    diagnosis = diagnose(trained(name))
    assert diagnosis.healthy, diagnosis.sentence


@pytest.mark.parametrize("name", [name for name in networks.FOUNDING if name.startswith("three_layer")])
def test_the_three_layer_autoencoder_has_one_cause(trained, name):
    diagnosis = diagnose(trained(name))
    (cause,) = diagnosis.causes
    assert cause.root.pathology == "gain-mismatch:too-small"
    assert cause.root.layers == ("hidden_1", "hidden_2", "output")
    assert {"vanishing-gradient", "constant-output"} <= pathologies(cause)
    assert cause.severity == Severity.ERROR
    assert diagnosis.sentence.startswith("The network does not learn: the initial weights are far too small")
    assert (
        'keras.layers.Dense(16, activation="relu", kernel_initializer="he_normal", '
        'bias_initializer=keras.initializers.Constant(0.1), name="hidden_2")'
    ) in cause.remedies[0].code


def test_the_two_layer_autoencoder_starts_weak_and_is_only_noted(trained):
    (cause,) = diagnose(trained("two_layer sparse 0")).causes
    assert (cause.root.rule, cause.severity) == ("gain-mismatch", Severity.NOTE)


@pytest.mark.parametrize(
    ("name", "root", "consequences"),
    [
        ("sigmoid deep sgd", "vanishing-gradient", {"constant-output"}),
        ("rate far too small", "learning-rate-too-low", {"update-ratio-out-of-range:too-small", "loss-plateau:above"}),
        ("relu tiny weights", "gain-mismatch:too-small", {"vanishing-gradient", "constant-output"}),
        ("relu huge weights", "gain-mismatch:too-large", {"nonfinite-values:forward"}),
        ("rate far too large", "learning-rate-too-high", {"diverging-loss", "exploding-gradient:over-time"}),
        ("rate too large", "learning-rate-too-high", {"diverging-loss", "nonfinite-values:forward"}),
        ("adam rate far too large", "learning-rate-too-high", {"dead-units", "constant-output"}),
        ("tanh huge weights", "gain-mismatch:too-large", {"saturated-activation"}),
        ("dead from the start", "dead-units", {"vanishing-gradient", "constant-output"}),
    ],
)
def test_a_sick_network_is_one_error_with_its_root(trained, name, root, consequences):
    (cause,) = diagnose(trained(name)).causes
    assert cause.severity == Severity.ERROR
    assert cause.root.pathology == root
    assert consequences <= pathologies(cause)


def test_a_doubtful_network_is_a_warning(trained):
    diagnosis = diagnose(trained("sigmoid deep sgd short"))
    assert diagnosis.severity == Severity.WARNING
    assert "vanishing-gradient" in {finding.pathology for finding in diagnosis.findings()}


def test_a_tanh_layer_fed_with_huge_input_is_saturated_from_the_start(trained):
    (finding,) = diagnose(trained("unscaled input")).findings()
    assert (finding.rule, finding.layers, finding.first_step) == ("saturated-activation", ("hidden_1",), 0)


def test_a_run_that_breaks_at_once_is_judged_by_its_first_steps(trained):
    (cause,) = diagnose(trained("relu huge weights")).causes
    assert cause.root.pathology == "gain-mismatch:too-large"
    assert {"nonfinite-values", "exploding-gradient"} <= {finding.rule for finding in cause.consequences}
