"""Gradients that vanish or explode through time: rules on hand-made runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity

BY_NAME = {rule.name: rule for rule in all_rules()}
RATIO = "time_gradient_ratio"


def sequences(ratios, *, loss=None, put=None, kind="LSTM", **arguments):
    """A toy run whose layers of those names are recurrent, with their ratios."""
    run = toy_run(
        put={**(put or {}), **{("activation_gradient", name, RATIO): r for name, r in ratios.items()}}, loss=loss
    )
    cards = tuple(
        replace(card, kind=kind, activation=None, arguments={"units": 16, **arguments.get(card.name, {})})
        if card.name in ratios
        else card
        for card in run.model.layers
    )
    return replace(run, model=replace(run.model, layers=cards))


def through_time(name, run):
    return [f for f in diagnose(run, [BY_NAME[name]]).findings() if f.variant == "through-time"]


@pytest.mark.parametrize(("loss", "ratio", "found"), [(1.0, 1e-20, 1), (1.0, 1e-5, 0), (None, 1e-20, 0)])
def test_a_gradient_vanishes_through_time_where_nothing_is_learnt(loss, ratio, found):
    mine = through_time("vanishing-gradient", sequences({"hidden_1": ratio}, loss=loss))
    assert [(f.severity, f.layers) for f in mine] == [(Severity.ERROR, ("hidden_1",))] * found


@pytest.mark.parametrize(("spread", "found"), [(1e-3, 1), (0.5, 0)])
def test_a_little_that_comes_back_is_nothing_where_all_sequences_end_in_one_state(spread, found):
    alike = {("activation", "hidden_1", "example_std"): 0.7 * spread}
    run = sequences({"hidden_1": [np.nan] * 5 + [1e-5] * 25}, loss=1.0, put=alike)
    assert len(through_time("vanishing-gradient", run)) == found
    causes = diagnose(run, [BY_NAME[name] for name in ("vanishing-gradient", "collapsed-representation")]).causes
    assert [cause.root.variant for cause in causes] == ["through-time"] * found


@pytest.mark.parametrize(
    ("zeros", "arguments", "said"),
    [(0.9, {"input_dim": 40, "output_dim": 8}, True), (0.9, {"mask_zero": True}, False), (0.1, {}, False)],
)
def test_over_words_that_are_mostly_padding_a_mask_is_proposed(zeros, arguments, said):
    run = sequences({"hidden_2": 1e-20}, loss=1.0, put={("input", "input", "zero_fraction"): zeros})
    first, *rest = run.model.layers
    words = replace(first, kind="Embedding", activation=None, arguments=arguments)
    (finding,) = through_time("vanishing-gradient", replace(run, model=replace(run.model, layers=(words, *rest))))
    assert (finding.remedies[0].topic == "padding") == said
    if said:
        assert 'keras.layers.Embedding(40, 8, mask_zero=True, name="hidden_1")' in finding.remedies[0].code


def test_a_layer_may_yet_learn_to_remember():
    run = sequences({"hidden_1": 1e-20}, loss=1.0)
    (young,) = through_time("vanishing-gradient", replace(run, steps=run.steps // 10))
    assert young.severity == Severity.WARNING


def test_one_layer_that_remembers_is_enough():
    assert not through_time("vanishing-gradient", sequences({"hidden_1": 1e-20, "hidden_2": 0.1}, loss=1.0))


def test_two_directions_see_both_ends():
    ill = {"hidden_1": 1e-20, "hidden_2": 1e-20}
    assert through_time("vanishing-gradient", sequences(ill, loss=1.0))
    both = sequences(ill, loss=1.0, hidden_2={"go_backwards": True})
    assert not through_time("vanishing-gradient", both)


def test_whatever_else_is_wrong_accounts_for_it():
    run = sequences(
        {"hidden_1": 1e-20}, loss=1.0, put={("input", "input", name): 1e6 for name in ("rms", "std", "abs_mean")}
    )
    (cause,) = diagnose(run).causes
    assert cause.root.rule == "badly-scaled-input"
    assert "vanishing-gradient:through-time" in {finding.pathology for finding in cause.consequences}


def test_alone_it_accounts_for_a_loss_that_stands_still():
    (cause,) = diagnose(sequences({"hidden_1": 1e-20}, loss=1.0)).causes
    assert cause.root.pathology == "vanishing-gradient:through-time"
    assert "loss-plateau" in {finding.rule for finding in cause.consequences}


@pytest.mark.parametrize(
    ("kind", "arguments", "topics"),
    [
        ("SimpleRNN", {}, ["gates", "sequence"]),
        ("LSTM", {}, ["sequence"]),
        ("LSTM", {"activation": "relu"}, ["recurrent-weights", "sequence"]),
    ],
)
def test_its_remedies_are_those_of_the_layer(kind, arguments, topics):
    run = sequences({"hidden_1": 1e-20}, loss=1.0, kind=kind, hidden_1=arguments)
    (finding,) = through_time("vanishing-gradient", run)
    assert [remedy.topic for remedy in finding.remedies] == topics
    assert all("keras.layers." in remedy.code for remedy in finding.remedies)
    assert "relu" not in finding.remedies[0].code


RISING = np.geomspace(1.0, 1e3, 30)


@pytest.mark.parametrize(
    ("ratio", "loss", "severities"),
    [
        (500.0, 1.0, [Severity.ERROR]),
        (500.0, None, [Severity.NOTE]),
        (7.0, 1.0, []),
        (16.0, 1.0, [Severity.ERROR]),
        (16.0, None, []),
        (RISING, 1.0, []),
    ],
)
def test_a_gradient_explodes_through_time_from_the_start(ratio, loss, severities):
    mine = through_time("exploding-gradient", sequences({"hidden_1": ratio}, loss=loss))
    assert [finding.severity for finding in mine] == severities
