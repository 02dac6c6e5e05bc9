from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from gradscope.diagnosis.causes import causes_of
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rule import NothingToJudge, NotJudged, Rule
from gradscope.diagnosis.summary import summarise
from gradscope.diagnosis.verdict import Cause, Finding, Measurement, Outcome, Remedy, Severity, Verdict
from gradscope.errors import RuleError
from gradscope.run import Damage


def finding(rule, severity=Severity.ERROR, *, first_step=0, explains=(), variant="", remedies=()):
    return Finding(
        rule, rule, f"{rule} happens", severity, (), first_step, 10, (Measurement("m", 1.0, 2.0),), tuple(remedies),
        variant=variant, explains=frozenset(explains),
    )  # fmt: skip


@dataclass(frozen=True)
class AlwaysIll(Rule):
    name: ClassVar[str] = "always-ill"

    def check(self, run):
        yield finding("always-ill")


@dataclass(frozen=True)
class AlwaysClear(Rule):
    name: ClassVar[str] = "always-clear"

    def check(self, run):
        return ()


@dataclass(frozen=True)
class NeedsIll(Rule):
    name: ClassVar[str] = "needs-ill"
    requires: ClassVar[frozenset[str]] = frozenset({"always-ill"})

    def check(self, run):
        return ()


@dataclass(frozen=True)
class NeedsClear(Rule):
    name: ClassVar[str] = "needs-clear"
    requires: ClassVar[frozenset[str]] = frozenset({"always-clear"})

    def check(self, run):
        return ()


def test_a_rule_waits_for_the_rule_it_requires():
    ill, needs = diagnose(toy_run(), [NeedsIll(), AlwaysIll()]).verdicts
    assert (ill.rule, ill.outcome) == ("always-ill", Outcome.FINDINGS)
    assert (needs.outcome, needs.reason) == (Outcome.NOT_JUDGED, "needs always-ill clear first")


def test_a_rule_judges_once_its_requirement_is_clear_or_was_not_asked():
    assert diagnose(toy_run(), [NeedsClear(), AlwaysClear()]).not_judged == ()
    assert diagnose(toy_run(), [NeedsIll()]).not_judged == ()


def test_rules_in_a_circle_are_refused():
    @dataclass(frozen=True)
    class FirstOne(Rule):
        name: ClassVar[str] = "first-one"
        requires: ClassVar[frozenset[str]] = frozenset({"second-one"})

        def check(self, run):
            return ()

    @dataclass(frozen=True)
    class SecondOne(Rule):
        name: ClassVar[str] = "second-one"
        requires: ClassVar[frozenset[str]] = frozenset({"first-one"})

        def check(self, run):
            return ()

    with pytest.raises(RuleError, match=r"circle: .*first-one"):
        diagnose(toy_run(), [FirstOne(), SecondOne()])


def test_unknown_evidence_names_the_rule_the_name_and_the_known():
    @dataclass(frozen=True)
    class Misspelt(Rule):
        name: ClassVar[str] = "misspelt"

        def check(self, kernelz):
            return ()

    with pytest.raises(RuleError, match=r"misspelt.*'kernelz'.*kernels"):
        diagnose(toy_run(), [Misspelt()])


def test_a_wrong_name_is_refused():
    @dataclass(frozen=True)
    class SomeRule(Rule):
        name: ClassVar[str] = "another"

        def check(self, run):
            return ()

    with pytest.raises(RuleError, match="'some-rule'"):
        diagnose(toy_run(), [SomeRule()])


def test_a_broken_rule_does_not_end_the_diagnosis():
    @dataclass(frozen=True)
    class Broken(Rule):
        name: ClassVar[str] = "broken"

        def check(self, run):
            yield finding("broken")
            raise ZeroDivisionError("by zero")

    diagnosis = diagnose(toy_run(), [Broken(), AlwaysIll()])
    (verdict,) = diagnosis.not_judged
    assert verdict.reason == "internal error: ZeroDivisionError: by zero"
    assert [f.rule for f in diagnosis.findings()] == ["always-ill"]


def test_a_rule_may_decline_with_a_reason():
    @dataclass(frozen=True)
    class Declines(Rule):
        name: ClassVar[str] = "declines"

        def check(self, run):
            raise NotJudged("record more")

    diagnosis = diagnose(toy_run(), [Declines()])
    assert diagnosis.not_judged[0].reason == "record more"
    assert diagnosis.sentence == "No rule could judge this run: record more."


def test_a_rule_with_nothing_to_judge_is_clear_and_says_why():
    @dataclass(frozen=True)
    class Idle(Rule):
        name: ClassVar[str] = "idle"

        def check(self, run):
            raise NothingToJudge("there is no such layer")

    diagnosis = diagnose(toy_run(), [Idle()])
    assert diagnosis.verdicts == (Verdict("idle", Outcome.CLEAR, reason="there is no such layer"),)
    assert diagnosis.healthy


def test_an_empty_run_says_so():
    diagnosis = diagnose(toy_run(steps=()))
    assert len(diagnosis.not_judged) == len(diagnosis.verdicts) > 0
    assert diagnosis.sentence.startswith("No rule could judge this run: no step was sampled")
    assert diagnosis.sampled_steps == 0


def test_damage_and_trouble_are_passed_on():
    run = replace(toy_run(), damage=(Damage("events.1", "40 bytes are missing"),), trouble=("no taps in layer x",))
    assert diagnose(run).missing == ("events.1: 40 bytes are missing", "no taps in layer x")


def test_chains_are_flattened_under_one_root():
    a, b, c = finding("a", Severity.NOTE, explains={"b"}), finding("b", explains={"c"}), finding("c", Severity.WARNING)
    (cause,) = causes_of([c, b, a])
    assert cause.root is a
    assert cause.consequences == (b, c)
    assert cause.severity == Severity.ERROR


def test_an_effect_does_not_precede_its_cause():
    late, early = finding("a", first_step=50, explains={"b"}), finding("b", first_step=10)
    assert [cause.root.rule for cause in causes_of([late, early])] == ["b", "a"]


def test_variants_are_explained_apart():
    a = finding("a", explains={"b:too-large"})
    causes = causes_of([a, finding("b", variant="too-large"), finding("b", Severity.NOTE, variant="too-small")])
    assert [(c.root.pathology, [f.pathology for f in c.consequences]) for c in causes] == [
        ("a", ["b:too-large"]),
        ("b:too-small", []),
    ]


def test_a_finding_goes_to_its_gravest_explanation():
    weak, grave = finding("weak", Severity.NOTE, explains={"c"}), finding("grave", explains={"c"})
    causes = causes_of([weak, grave, finding("c", Severity.WARNING)])
    assert {c.root.rule: len(c.consequences) for c in causes} == {"grave": 1, "weak": 0}
    assert causes[0].root is grave


def test_findings_that_explain_each_other_have_one_root():
    first, second = finding("first", explains={"second"}), finding("second", Severity.WARNING, explains={"first"})
    (cause,) = causes_of([second, first])
    assert cause.root is first


def test_remedies_are_said_once_the_roots_first():
    both = Remedy("Initialise x and y", "r", "x()\ny()")
    part, other = Remedy("Initialise x", "r", "x()"), Remedy("Clip", "r", "clip()")
    (cause,) = causes_of([finding("b", remedies=[part, other]), finding("a", explains={"b"}, remedies=[both])])
    assert cause.remedies == (both, other)


def test_a_cause_gives_no_opposite_advice():
    lower = Remedy("Lower the learning rate", "r", "rate = 1", topic="learning-rate")
    higher = Remedy("Raise the learning rate", "r", "rate = 9", topic="learning-rate")
    (cause,) = causes_of([finding("b", remedies=[higher]), finding("a", explains={"b"}, remedies=[lower])])
    assert cause.remedies == (lower,)


def test_what_follows_from_the_data_is_not_to_be_mended_in_the_network():
    scale, initialise = Remedy("Scale the input", "r", "x / 255"), Remedy("Initialise x", "r", "x()")
    for root, remedies in (("badly-scaled-input", (scale,)), ("some-rule", (scale, initialise))):
        (cause,) = causes_of([finding("b", remedies=[initialise]), finding(root, explains={"b"}, remedies=[scale])])
        assert cause.remedies == remedies


def test_weights_that_stand_still_do_so_for_whatever_else_is_wrong():
    still = finding("update-ratio-out-of-range", Severity.WARNING, first_step=5, variant="too-small")
    (cause,) = causes_of([still, finding("dead-units")])
    assert cause.root.rule == "dead-units"


def test_a_network_that_gives_one_answer_does_so_for_whatever_else_is_wrong():
    rate, plateau = finding("some-rule"), finding("loss-plateau")
    constant = finding("constant-output", first_step=5)
    (cause,) = causes_of([constant, replace(plateau, first_step=8), rate])
    assert (cause.root, cause.rivals) == (rate, ())
    assert [each.rule for each in cause.consequences] == ["constant-output", "loss-plateau"]
    assert [c.root.rule for c in causes_of([constant, replace(plateau, first_step=8)])] == ["constant-output"]


def test_a_lesser_or_later_finding_does_not_explain_what_the_network_does():
    constant = finding("constant-output", first_step=5)
    for other in (finding("a", Severity.WARNING), finding("a", first_step=9)):
        assert causes_of([constant, other])[0].consequences == ()


def rivals():
    rate = finding("learning-rate-too-high", explains={"dead-units"})
    weights = finding("gain-mismatch", Severity.WARNING, variant="too-large", explains={"dead-units"})
    return rate, weights, finding("dead-units")


def test_two_roots_of_the_same_are_both_named_with_what_tells_them_apart():
    rate, weights, dead = rivals()
    first, second = causes_of([weights, dead, rate])
    assert (first.root, first.consequences, first.confidence) == (rate, (dead,), "medium")
    assert [rival.root for rival in first.rivals] == [weights]
    assert "a tenth of the learning rate" in first.rivals[0].experiment
    assert (second.root, second.rivals, second.confidence) == (weights, (), "high")


def test_a_note_is_no_rival_and_a_note_is_not_disputed():
    rate, weights, dead = rivals()
    assert not causes_of([rate, replace(weights, severity=Severity.NOTE), dead])[0].rivals
    assert not causes_of([rate, weights, replace(dead, severity=Severity.NOTE)])[0].rivals


def test_a_rival_names_what_is_disputed():
    rate, plateau = finding("rate", explains={"loss-plateau"}), finding("loss-plateau", first_step=5)
    assert not causes_of([rate, finding("other"), plateau])[0].rivals
    assert causes_of([rate, finding("other", explains={"loss-plateau"}), plateau])[0].rivals


SCALE, RATE, OTHER_RATE = (
    Remedy("Scale the input", "", topic="input"),
    Remedy("Lower the rate", "", topic="rate"),
    Remedy("Halve the rate", "", topic="rate"),
)


@pytest.mark.parametrize(
    ("one", "other", "experiment"),
    [
        ([SCALE], [RATE], ("Scale the input", "lower the rate")),
        ([RATE], [OTHER_RATE, SCALE], ("Lower the rate", "scale the input")),
        ([], [], ("Mend the one alone", "mend the other")),
    ],
)
def test_a_pair_without_an_experiment_of_its_own_is_told_apart_by_the_remedies(one, other, experiment):
    found = [
        finding("a", explains={"c"}, remedies=one),
        finding("b", explains={"c"}, remedies=other),
        finding("c"),
    ]
    assert causes_of(found)[0].rivals[0].experiment == (
        f"{experiment[0]} and train again: if that is enough, it was this one (a); else {experiment[1]} (b)"
    )


def test_the_sentence_names_both_roots():
    verdicts = [Verdict(each.rule, Outcome.FINDINGS, (each,)) for each in rivals()]
    causes = causes_of([each for verdict in verdicts for each in verdict.findings])
    assert summarise(toy_run(), causes, verdicts) == (
        "The network does not learn: either learning-rate-too-high happens, or gain-mismatch happens, "
        "so dead-units happens."
    )


def test_the_sentence_leaves_out_a_rival_that_came_after_what_follows():
    first, later = finding("a", explains={"c", "d"}), finding("b", explains={"d"}, first_step=7)
    causes = causes_of([first, later, finding("c", first_step=1), finding("d", first_step=8)])
    assert [rival.root.rule for rival in causes[0].rivals] == ["b"]
    assert summarise(toy_run(), causes, [Verdict("a", Outcome.FINDINGS)]).startswith(
        "The network does not learn: a happens, so c happens and d happens"
    )


def test_a_comma_stands_before_the_last_of_what_is_joined_itself():
    joined = replace(finding("b"), sentence="b and c happen")
    cause = Cause(finding("a"), (joined, finding("d")))
    assert summarise(toy_run(), [cause], [Verdict("a", Outcome.FINDINGS)]).endswith("so b and c happen, and d happens.")


def test_the_whole_story_in_one_sentence():
    run = toy_run(
        {
            ("weight", "hidden_1/kernel"): 1e-3,
            ("weight", "hidden_2/kernel"): 2e-3,
            ("activation_gradient", "hidden_1"): 3.1e-6,
            ("update", "hidden_1/kernel"): 1e-9,
        },
        loss=1.0,
    )
    diagnosis = diagnose(run)
    assert diagnosis.sentence == (
        "The network does not learn: the initial weights are far too small for their fan-in (hidden_1 and hidden_2: "
        "gain 0.00099 to 0.002 per layer, healthy is about 1), so the gradient vanishes (3.1e-06 of the output's "
        "at hidden_1) and what hidden_1 gives has no say in the output."
    )
    assert not diagnosis.healthy


def test_a_healthy_run_names_steps_and_notes():
    healthy = diagnose(toy_run())
    rules = f"{len(healthy.verdicts)} rules"
    assert healthy.sentence == f"No error or warning by {rules} in 30 sampled steps (0 to 290)."
    run = toy_run(put={("activation", "hidden_1", "dead_unit_fraction"): 0.6}, loss=np.linspace(1, 0.6, 30))
    assert diagnose(run).sentence == f"No error by {rules} in 30 sampled steps (0 to 290); warning: dead units."


def test_the_sentence_says_that_a_run_is_too_short_to_tell():
    short = diagnose(toy_run(loss=np.linspace(1.0, 0.95, 12), steps=range(12)))
    assert short.sentence.endswith("(0 to 11); 12 steps are too few to tell whether it learns.")
    assert "too few" not in diagnose(toy_run(loss=np.geomspace(1.0, 0.1, 12), steps=range(12))).sentence


@pytest.mark.parametrize(
    ("last", "opening"),
    [(1.0, "The network does not learn: "), (0.6, "The network learns little: "), (0.2, "The loss falls, and yet ")],
)
def test_a_network_whose_loss_falls_is_not_said_to_learn_nothing(last, opening):
    run = toy_run(omitted=("hidden_1",), loss=np.geomspace(1, last, 30))
    assert diagnose(run).sentence.startswith(opening)
