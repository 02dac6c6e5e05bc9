"""What the rules on step size and loss say of hand-made runs: forms of the illness, and the healthy runs beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.example import toy_run
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Severity
from gradscope.vocabulary import STATISTIC_NAMES

BY_NAME = {rule.name: rule for rule in all_rules()}
NAMES = ("hidden_1", "hidden_2", "output")
SAMPLES = 30
UNKNOWN_LOSS = {"losses": [{"name": "a loss of one's own", "from_logits": None, "output": None}]}


def findings(name, run):
    return list(diagnose(run, [BY_NAME[name]]).findings())


def reason(name, run):
    (verdict,) = diagnose(run, [BY_NAME[name]]).verdicts
    return verdict.reason


def updates(factor):
    return {("update", f"{name}/kernel"): factor for name in NAMES}


def with_learning_rate(run, rates):
    return replace(run, step_statistics={**run.step_statistics, "learning_rate": np.asarray(rates, float)})


def with_bias(run, rms):
    values = run.values.copy()
    for name in NAMES:
        values[:, run.index["weight", f"{name}/bias"], STATISTIC_NAMES.index("rms")] = rms
    return replace(run, values=values)


def with_an_optimizer_of_its_own(run, name):
    variables = [replace(card, optimizer=int(card.layer == name)) for card in run.model.variables]
    rates = {"optimizers": [{"name": "Adam", "learning_rate": rate} for rate in (0.01, 0.5)]}
    settings = {**run.model.settings, **rates}
    return replace(run, model=replace(run.model, variables=tuple(variables), settings=settings))


class TestSeveralOptimizers:
    def test_the_one_with_too_large_steps_is_named_by_its_layers_and_its_rate(self):
        leap = {("update", "output/kernel"): 3000.0}
        (finding,) = findings("learning-rate-too-high", with_an_optimizer_of_its_own(toy_run(leap, loss=1.0), "output"))
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("output",))
        assert "from 0.5 to" in finding.remedies[0].title

    def test_the_same_steps_of_one_optimizer_are_a_minority(self):
        assert not findings("learning-rate-too-high", toy_run({("update", "output/kernel"): 3000.0}, loss=1.0))

    def test_the_one_that_does_not_move_is_named_by_its_layers_and_its_rate(self):
        slow = {("update", "output/kernel"): 1e-2}
        run = with_an_optimizer_of_its_own(toy_run(slow, loss=1.0), "output")
        (finding,) = findings("learning-rate-too-low", run)
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("output",))
        assert "from 0.5 to" in finding.remedies[0].title

    def rivals(self, scale):
        """Without a loss; the output is trained by an optimizer of its own."""
        return with_an_optimizer_of_its_own(toy_run(scale, loss=np.full(SAMPLES, np.nan)), "output")

    @pytest.mark.parametrize(("pace", "severity"), [(0.01, [Severity.ERROR]), (0.1, [])])
    def test_one_of_two_that_hardly_moves_beside_the_other_is_an_error(self, pace, severity):
        others = {("update", f"{name}/kernel"): 5.0 for name in ("hidden_1", "hidden_2")}
        run = toy_run({**others, ("update", "output/kernel"): pace}, loss=np.linspace(1.0, 0.3, SAMPLES))
        found = findings("learning-rate-too-low", with_an_optimizer_of_its_own(run, "output"))
        assert [finding.severity for finding in found] == severity

    def test_rivals_need_no_loss_to_be_seen_standing_still(self):
        run = with_bias(self.rivals({("update", "output/kernel"): 1e-4}), 0.0)
        (finding,) = findings("learning-rate-too-low", run)
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("output",))

    def test_what_was_trained_before_may_stand_still(self):
        run = with_bias(self.rivals({("update", "output/kernel"): 1e-4}), 0.1)
        assert not findings("learning-rate-too-low", run)

    def test_rivals_need_no_loss_to_be_seen_leaping(self):
        (finding,) = findings("learning-rate-too-high", self.rivals({("update", "output/kernel"): 3000.0}))
        assert (finding.severity, finding.layers) == (Severity.ERROR, ("output",))

    @pytest.mark.parametrize("rule", ["learning-rate-too-low", "learning-rate-too-high"])
    def test_rivals_that_move_alike_are_none(self, rule):
        assert not findings(rule, self.rivals({}))

    @pytest.mark.parametrize(
        ("left", "pace", "loss", "found"),
        [(1e-3, 1e-3, 0.8, 1), (0.1, 1e-3, 0.8, 0), (1e-3, 0.5, 0.8, 0), (1e-3, 1e-3, 0.01, 0)],
    )
    def test_a_rival_that_has_lost_for_good_gets_no_gradient(self, left, pace, loss, found):
        scale = {("gradient", "output/kernel"): np.geomspace(1, left / 3, SAMPLES)}
        scale |= {("update", "output/kernel"): np.geomspace(1, pace / 3, SAMPLES)}
        run = with_an_optimizer_of_its_own(toy_run(scale, loss=np.r_[np.ones(5), np.full(25, loss)]), "output")
        mine = [f for f in findings("vanishing-gradient", run) if f.variant == "of-a-rival"]
        assert [(f.layers, f.severity) for f in mine] == [(("output",), Severity.ERROR)] * found

    def test_a_vanishing_gradient_seen_later_explains_steps_that_were_short_all_along(self):
        weak = [1.0] * 3 + [1e-7] * (SAMPLES - 3)
        scale = {(kind, name): weak for name in NAMES[:1] for kind in ("activation_gradient",)}
        scale |= {("gradient", "hidden_1/kernel"): weak, ("update", "hidden_1/kernel"): [1e-2] * 3 + [1e-7] * 27}
        run = with_an_optimizer_of_its_own(toy_run(scale, loss=1.0), "hidden_1")
        (cause,) = diagnose(run, [BY_NAME[name] for name in ("learning-rate-too-low", "vanishing-gradient")]).causes
        assert cause.root.rule == "vanishing-gradient"


class TestLearningRateTooLow:
    def test_without_a_level_to_reach_only_a_new_network_is_an_error(self):
        slow = toy_run(updates(1e-2), loss=1.0, settings=UNKNOWN_LOSS)
        (new,) = findings("learning-rate-too-low", with_bias(slow, 0.0))
        (trained,) = findings("learning-rate-too-low", with_bias(slow, 0.1))
        assert (new.severity, trained.severity) == (Severity.ERROR, Severity.WARNING)

    @pytest.mark.parametrize(("late", "step", "found"), [(0.8, 15, True), (0.8, 5, False), (0.6, 15, False)])
    def test_a_straight_line_of_which_the_run_shows_the_beginning(self, late, step, found):
        run = toy_run(updates(0.9), loss=np.linspace(1.0, late, SAMPLES), steps=range(0, SAMPLES * step, step))
        severities = [finding.severity for finding in findings("learning-rate-too-low", run)]
        assert severities == [Severity.ERROR] * found

    @pytest.mark.parametrize(("pace", "found"), [(0.4, 1), (0.7, 0)])
    def test_a_line_that_leads_a_little_farther_asks_for_shorter_steps(self, pace, found):
        run = toy_run(updates(pace), loss=np.linspace(1.0, 0.72, SAMPLES), steps=range(0, SAMPLES * 20, 20))
        assert [f.severity for f in findings("learning-rate-too-low", run)] == [Severity.WARNING] * found

    @pytest.mark.parametrize(
        ("ratio", "late", "step", "pace", "severities"),
        [
            (0.9, 0.85, 10, 0.6, [Severity.ERROR]),
            (0.2, 0.85, 10, 0.6, []),
            (np.nan, 0.85, 10, 0.6, []),
            (0.9, 0.65, 10, 0.6, []),
            (0.9, 0.85, 10, 0.8, []),
            (0.9, 0.85, 3, 0.6, [Severity.WARNING]),
        ],
        ids=["sick", "bent", "unknown", "arrives", "far-travelled", "short"],
    )
    def test_a_loss_that_makes_what_is_promised_would_bear_longer_steps(self, ratio, late, step, pace, severities):
        steps, start = range(0, SAMPLES * step, step), 1.0 if late > 0.8 else 1.25
        promised = (late - start) / steps[-1] / ratio
        run = toy_run(
            updates(pace),
            loss=np.linspace(start, late, SAMPLES),
            steps=steps,
            step={"expected_loss_change": promised},
        )
        found = findings("learning-rate-too-low", run)
        assert [finding.severity for finding in found] == severities
        promises = [m for finding in found for m in finding.measurements if "promise" in m.statistic]
        assert [m.value for m in promises] == pytest.approx([ratio] * (Severity.ERROR in severities), rel=0.05)

    @pytest.mark.parametrize(
        ("batches", "loss", "found"), [(64, 1.0, 1), (4, 1.0, 0), (64, None, 0), (1000, 1.0, 0), (0, 1.0, 0)]
    )
    def test_gradients_of_many_batches_make_few_updates(self, batches, loss, found):
        settings = {"optimizer": {"name": "Adam", "gradient_accumulation_steps": batches}}
        mine = findings("learning-rate-too-low", toy_run(loss=loss, settings=settings))
        assert [finding.variant for finding in mine] == ["few-updates"] * found
        assert all(finding.remedies[0].topic == "accumulation" for finding in mine)

    @pytest.mark.parametrize(
        ("share", "optimizer", "late", "found"),
        [(1 / 32, "SGD", 0.8, 1), (1.0, "SGD", 0.8, 0), (1 / 32, "Adam", 0.8, 0), (1 / 32, "SGD", 0.3, 0)],
    )
    def test_a_loss_that_is_divided_once_more_makes_short_steps(self, share, optimizer, late, found):
        loss = np.r_[np.linspace(1.0, late, 10), np.full(20, late)]
        run = toy_run(updates(1.2), loss=loss, settings={"optimizer": {"name": optimizer}}, step={"called_loss": loss})
        run.step_statistics["loss"] = (share * loss).astype(np.float32)
        settings = {
            "losses": [{"name": "mean_squared_error", "from_logits": None, "output": "output", "weight": share}]
        }
        run = replace(run, model=run.model.with_settings(settings))
        mine = findings("learning-rate-too-low", run)
        assert [(f.variant, f.severity) for f in mine] == [("divided-loss", Severity.ERROR)] * found
        assert all("0.031 of what the loss functions give" in f.sentence for f in mine)

    def test_a_line_that_levels_off_is_none(self):
        loss = np.r_[np.linspace(1.0, 0.85, 10), np.linspace(0.85, 0.82, 20)]
        run = toy_run(updates(0.7), loss=loss, steps=range(0, SAMPLES * 15, 15))
        assert not findings("learning-rate-too-low", run)

    @pytest.mark.parametrize(
        ("size", "late", "steps", "severities"),
        [
            (0.4, 0.8, 15, [Severity.ERROR]),
            (0.4, 0.4, 15, []),  # most is learnt
            (0.7, 0.8, 15, []),  # it has gone far enough
            (0.6, 0.8, 10, []),  # the run is short
        ],
    )
    def test_a_long_run_that_goes_nowhere_and_leaves_most_of_the_loss_is_slow(self, size, late, steps, severities):
        loss = np.r_[np.linspace(1.0, late, 10), np.full(20, late)]
        run = toy_run(updates(size), loss=loss, steps=range(0, SAMPLES * steps, steps))
        assert [finding.severity for finding in findings("learning-rate-too-low", run)] == severities

    def test_a_fine_tuned_network_near_its_goal_is_left_in_peace(self):
        assert not findings("learning-rate-too-low", toy_run(updates(1e-2), loss=0.05))

    @pytest.mark.parametrize(("late_step", "found"), [(1e-6, ["ended"]), (1.0, [])])
    def test_a_schedule_that_is_over_before_anything_is_learnt_is_found(self, late_step, found):
        moves = {key: [1.0] * 5 + [late_step] * 25 for key in updates(1.0)}
        rate = [0.1] * 5 + [1e-9] * 25
        run = toy_run(moves, loss=np.linspace(1.0, 0.6, SAMPLES), step={"learning_rate": rate})
        assert [f.variant for f in findings("learning-rate-too-low", run)] == found

    @pytest.mark.parametrize(
        ("late", "rate", "found"), [(0.3, 1e-6, [Severity.WARNING]), (0.3, 1e-4, []), (0.05, 1e-9, [])]
    )
    def test_a_schedule_that_is_over_for_good_while_more_was_to_be_learnt_is_a_warning(self, late, rate, found):
        moves = {key: [1.0] * 5 + [1e-6] * 25 for key in updates(1.0)}
        run = toy_run(moves, loss=np.r_[np.linspace(1.0, late, 8), np.full(22, late)])
        run = with_learning_rate(run, np.array([0.1] * 5 + [rate] * 25))
        assert [finding.severity for finding in findings("learning-rate-too-low", run)] == found

    @pytest.mark.parametrize(("falling", "severity"), [(12, Severity.ERROR), (3, Severity.WARNING)])
    def test_a_schedule_that_is_over_while_the_loss_still_falls_is_an_error(self, falling, severity):
        moves = {key: [1.0] * 10 + [1e-6] * 20 for key in updates(1.0)}
        run = toy_run(moves, loss=np.r_[np.linspace(1.0, 0.4, falling), np.full(SAMPLES - falling, 0.4)])
        run = with_learning_rate(run, np.array([0.1] * 10 + [1e-6] * 20))
        assert [finding.severity for finding in findings("learning-rate-too-low", run)] == [severity]

    def test_a_schedule_that_decayed_after_learning_is_healthy(self):
        rate = np.geomspace(1e-2, 1e-9, SAMPLES)
        run = with_learning_rate(toy_run(updates(rate / 1e-2)), rate)
        assert not findings("learning-rate-too-low", run)

    def test_a_rate_that_rises_later_has_not_ended(self):
        rate = np.where(np.arange(SAMPLES) < 20, 1e-9, 1e-2)
        run = with_learning_rate(toy_run(updates(1e-3), loss=1.0), rate)
        assert "ended" not in {finding.variant for finding in findings("learning-rate-too-low", run)}

    def test_a_schedule_that_decayed_before_learning_is_told_to_decay_later(self):
        rate = np.where(np.arange(SAMPLES) < 2, 1e-2, 1e-9)
        (finding,) = findings(
            "learning-rate-too-low", with_learning_rate(toy_run(updates(rate / 1e-2), loss=1.0), rate)
        )
        assert finding.severity == Severity.ERROR
        assert "Let the schedule end later" in {remedy.title for remedy in finding.remedies}

    def test_a_schedule_that_was_over_at_once_is_why_the_answers_are_those_of_a_new_network(self):
        rate = np.where(np.arange(SAMPLES) < 2, 1e-2, 1e-9)
        alike = {("activation", "output", "example_std"): 1e-3}
        run = with_learning_rate(toy_run(updates(rate / 1e-2), alike, loss=1.0), rate)
        (cause,) = diagnose(run).causes
        assert cause.root.pathology == "learning-rate-too-low:ended"
        assert "constant-output" in {finding.rule for finding in cause.consequences}

    @pytest.mark.parametrize(
        ("rate", "late", "found"),
        [
            (np.linspace(0, 1e-4, SAMPLES), 0.95, [Severity.ERROR]),
            (np.linspace(0, 1e-4, SAMPLES), 0.45, [Severity.WARNING]),
            (np.linspace(0, 1e-4, SAMPLES), 0.1, []),
            (np.r_[np.linspace(0, 1e-4, 5), np.full(25, 1e-4)], 0.95, []),
        ],
    )
    def test_a_warm_up_that_outlasts_the_run(self, rate, late, found):
        run = with_learning_rate(toy_run(updates(0.5), loss=np.linspace(1.0, late, SAMPLES)), rate)
        warming = [f for f in findings("learning-rate-too-low", run) if f.variant == "warming-up"]
        assert [finding.severity for finding in warming] == found

    @pytest.mark.parametrize(("steps", "found"), [(10, 1), (4, 0)])
    def test_who_is_still_above_a_constant_answer_came_down_too_slowly(self, steps, found):
        run = toy_run(updates(0.1), loss=np.linspace(4.0, 1.5, SAMPLES), steps=range(0, SAMPLES * steps, steps))
        assert len(findings("learning-rate-too-low", run)) == found

    @pytest.mark.parametrize(("loss", "found"), [(np.linspace(1.05, 0.98, SAMPLES), 1), (1.0, 0)])
    def test_who_crawls_towards_a_constant_answer_may_have_come_a_little_farther(self, loss, found):
        assert len(findings("learning-rate-too-low", toy_run(updates(0.5), loss=loss))) == found

    def test_a_vanished_gradient_is_not_the_fault_of_the_learning_rate(self):
        scale = updates(1e-2) | {("gradient", f"{name}/kernel"): 1e-5 for name in NAMES}
        assert not findings("learning-rate-too-low", toy_run(scale, loss=1.0))

    def test_rewards_have_no_floor(self):
        assert "negative" in reason("learning-rate-too-low", toy_run(updates(1e-2), loss=-1.0))

    def test_the_first_steps_are_not_judged(self):
        assert "only 30 steps" in reason("learning-rate-too-low", toy_run(updates(1e-2), loss=1.0, steps=range(30)))


class TestLearningRateTooHigh:
    @pytest.mark.parametrize(("dead", "loss", "found"), [(0.9, 0.4, 1), (0.2, 0.4, 0), (0.9, 0.9, 0)])
    def test_steps_that_killed_units_after_something_was_learnt_were_too_large(self, dead, loss, found):
        dying = {("activation", "hidden_1", "dead_unit_fraction"): [0.0] * 10 + [dead] * 20}
        growing = {("weight", f"{name}/kernel"): np.linspace(1, 1.9, SAMPLES) for name in NAMES}
        run = toy_run(updates(100) | growing, dying, loss=np.r_[1.0, 0.8, np.full(8, loss), np.full(20, 0.9)])
        assert len(findings("learning-rate-too-high", run)) == found

    def test_large_steps_under_which_the_loss_falls_are_none(self):
        assert not findings("learning-rate-too-high", toy_run(updates(2000)))

    def test_small_steps_under_which_the_loss_rises_are_none(self):
        assert not findings("learning-rate-too-high", toy_run(loss=np.geomspace(1, 1e6, SAMPLES)))

    @pytest.mark.parametrize(("kept", "found"), [(1e-3, 1), (0.5, 0)])
    def test_steps_that_make_all_examples_alike_at_once_are_too_long(self, kept, found):
        put = {("activation", "hidden_2", "example_std"): [0.7] + [0.7 * kept] * (SAMPLES - 1)}
        assert len(findings("learning-rate-too-high", toy_run(updates(200.0), put, loss=1.0))) == found

    @pytest.mark.parametrize(("peak", "found"), [(20.0, 1), (2.0, 0)])
    def test_weights_replaced_in_a_leap_of_the_loss_leave_little_learnt(self, peak, found):
        loss = np.r_[[1.0] * 4, peak, [0.55] * 25]
        assert len(findings("learning-rate-too-high", toy_run(updates(2000.0), loss=loss))) == found

    @pytest.mark.parametrize(("late", "found"), [(0.7, 1), (0.4, 0)])
    def test_after_hundreds_of_steps_so_large_little_is_learnt(self, late, found):
        loss = np.r_[[1.0] * 5, [late] * 25]
        assert len(findings("learning-rate-too-high", toy_run(updates(600.0), loss=loss))) == found

    @pytest.mark.parametrize(("reduction", "first"), [({"reduction": "sum"}, "Average the loss"), ({}, "Lower the")])
    def test_a_loss_that_sums_over_the_examples_is_to_be_averaged_first(self, reduction, first):
        settings = {"losses": [{"name": "mean_squared_error", "output": "output", **reduction}]}
        (finding,) = findings("learning-rate-too-high", toy_run(updates(2000.0), loss=1e4, settings=settings))
        assert finding.remedies[0].title.startswith(first)

    def test_a_leap_that_leaves_a_constant_answer_is_found_after_the_updates_died(self):
        leap = np.where(np.arange(SAMPLES) < 2, 3000.0, 1e-6)
        (finding,) = findings("learning-rate-too-high", toy_run(updates(leap), loss=1.0))
        assert (finding.severity, finding.first_step, finding.last_step) == (Severity.ERROR, 0, 10)

    def test_large_steps_into_nan_are_its_cause(self):
        nan = [0] * 3 + [1] * (SAMPLES - 3)
        put = {("gradient", "output/kernel", "nan_count"): nan}
        (cause,) = diagnose(
            toy_run(updates(5000), put), [BY_NAME["learning-rate-too-high"], BY_NAME["nonfinite-values"]]
        ).causes
        assert cause.root.rule == "learning-rate-too-high"
        assert [finding.rule for finding in cause.consequences] == ["nonfinite-values"]

    @pytest.mark.parametrize(
        ("size", "growth", "loss", "found"),
        [(200, 2.0, 1.0, 1), (120, 2.0, 1.0, 0), (200, 1.0, 1.0, 0), (200, 2.0, 0.7, 0)],
    )
    def test_steps_that_leave_a_constant_answer_and_larger_weights_were_too_large(self, size, growth, loss, found):
        scale = updates(np.where(np.arange(SAMPLES) < 2, float(size), 1.0) * np.linspace(1, growth, SAMPLES))
        scale |= {("weight", f"{name}/kernel"): np.linspace(1, growth, SAMPLES) for name in NAMES}
        run = toy_run(scale, loss=np.r_[np.ones(5), np.full(25, loss)])
        assert len(findings("learning-rate-too-high", run)) == found

    @pytest.mark.parametrize(("growth", "found"), [(3.0, ["learning-rate-too-high"]), (1.7, [])])
    def test_units_that_the_first_steps_killed_are_its_work(self, growth, found):
        sizes = np.where(np.arange(SAMPLES) < 2, 150.0, 1.0)
        scale = updates(sizes) | {("weight", f"{name}/kernel"): np.linspace(1, growth, SAMPLES) for name in NAMES}
        put = {("activation", "hidden_1", "dead_unit_fraction"): np.where(np.arange(SAMPLES) < 2, 0.05, 0.9)}
        rules = [BY_NAME["learning-rate-too-high"], BY_NAME["dead-units"]]
        roots = [cause.root.rule for cause in diagnose(toy_run(scale, put, loss=1.0), rules).causes]
        assert roots == (found or ["dead-units"])

    def test_nan_after_sane_steps_has_another_cause(self):
        put = {("gradient", "output/kernel", "nan_count"): [0] * 3 + [1] * (SAMPLES - 3)}
        assert not findings("learning-rate-too-high", toy_run(put=put))

    @pytest.mark.parametrize(
        ("pace", "loss", "root"),
        [
            ([5000.0] * 2 + [1.0] * 28, np.geomspace(1.0, 0.01, SAMPLES), "nonfinite-values"),
            (5000.0, np.geomspace(1.0, 0.01, SAMPLES), "learning-rate-too-high"),
            ([5000.0] * 2 + [1.0] * 28, 1.0, "learning-rate-too-high"),
        ],
        ids=["calm", "to the end", "unsolved"],
    )
    def test_nan_in_a_calm_that_solved_the_task_has_another_cause_than_the_first_steps(self, pace, loss, root):
        put = {("gradient", "output/kernel", "nan_count"): [0] * 25 + [1] * 5}
        rules = [BY_NAME["learning-rate-too-high"], BY_NAME["nonfinite-values"]]
        (cause,) = diagnose(toy_run(updates(pace), put, loss=loss), rules).causes
        assert cause.root.rule == root

    @pytest.mark.parametrize("rate", [0.7, 1.0, 2.5])
    def test_plain_descent_that_diverges_is_told_the_rate_at_which_it_turns_stable(self, rate):
        curvature = 3.0

        def losses(rate, steps=SAMPLES):
            weights = np.cumprod(np.r_[1.0, np.full(steps - 1, 1 - rate * curvature)])
            return curvature / 2 * weights**2

        run = toy_run(
            updates(2000.0),
            loss=losses(rate),
            steps=range(SAMPLES),
            settings={"optimizer": {"name": "SGD"}},
            step={"learning_rate": rate},
        )
        (finding,) = findings("learning-rate-too-high", run)
        remedy = finding.remedies[0]
        told = float(remedy.reason.rpartition(" at ")[2].rstrip("."))
        assert told == pytest.approx(2 / curvature, rel=0.05)  # two digits are said
        proposed = float(remedy.code.removeprefix("optimizer.learning_rate = "))
        assert losses(proposed)[-1] < 1e-9 < losses(2 / curvature)[-1]

    @pytest.mark.parametrize(
        ("optimizer", "told"),
        [({"name": "SGD"}, True), ({"name": "SGD", "momentum": 0.9}, False), ({"name": "Adam"}, False)],
        ids=["plain", "momentum", "adam"],
    )
    def test_of_others_and_of_a_loss_that_only_stays_high_no_such_rate_is_known(self, optimizer, told):
        for loss, grows in ((np.geomspace(1, 1e6, SAMPLES), True), (2.0, False)):
            run = toy_run(updates(2000.0), loss=loss, settings={"optimizer": optimizer})
            (finding,) = findings("learning-rate-too-high", run)
            assert any("turns stable" in remedy.reason for remedy in finding.remedies) == (told and grows)

    def test_a_step_of_usual_size_on_tiny_weights_is_a_sound_one(self):
        tiny = {("weight", f"{name}/kernel"): 1e-3 for name in NAMES}
        assert not findings("learning-rate-too-high", toy_run(tiny, loss=1.0))


class TestDivergingLoss:
    def test_a_spike_that_passes_is_none(self):
        assert not findings("diverging-loss", toy_run(loss=[1.0] * 10 + [1e4] * 3 + [0.5] * 17))

    def test_an_adversary_that_gets_better_is_none(self):
        run = toy_run(loss=np.linspace(0.7, 5.0, SAMPLES), settings=UNKNOWN_LOSS)
        assert not findings("diverging-loss", run)

    def test_above_a_constant_answer_a_small_rise_suffices(self):
        (finding,) = findings("diverging-loss", toy_run(loss=np.linspace(1.0, 5.0, SAMPLES)))
        assert (finding.severity, finding.confidence) == (Severity.ERROR, "high")

    def test_a_high_start_that_has_not_come_down_is_none(self):
        assert not findings("diverging-loss", toy_run(loss=1e6))

    def test_a_network_that_forgets_what_it_knew_is_measured_from_its_own_start(self):
        trained = {"put": {("weight", "hidden_1/bias", "rms"): 0.1}, "step": {"example_count": 32}}
        forgetting = np.linspace(0.1, 0.9, SAMPLES)
        assert not findings("diverging-loss", toy_run(**trained, loss=np.linspace(0.1, 0.2, SAMPLES)))
        assert not findings("diverging-loss", toy_run(step={"example_count": 32}, loss=forgetting))
        assert not findings("diverging-loss", toy_run(put=trained["put"], step={"example_count": 1}, loss=forgetting))
        (finding,) = findings("diverging-loss", toy_run(**trained, loss=forgetting))
        assert finding.severity == Severity.ERROR

    @pytest.mark.parametrize(("depth", "found"), [(50.0, 0), (1e6, 1)])
    def test_a_negative_loss_that_falls_without_bound_has_the_wrong_sign(self, depth, found):
        run = toy_run(loss=-np.geomspace(0.5, depth, SAMPLES), settings=UNKNOWN_LOSS)
        mine = findings("diverging-loss", run)
        assert [(f.severity, f.variant, f.remedies[0].title) for f in mine] == [
            (Severity.ERROR, "unbounded", "Check the sign of the loss")
        ] * found

    @pytest.mark.parametrize(("fall", "found"), [("geomspace", 1), ("linspace", 0)])
    def test_a_loss_that_falls_ever_faster_until_it_breaks_has_the_wrong_sign(self, fall, found):
        loss = [*-getattr(np, fall)(0.5, 40.0, 20), *[np.nan] * 10]
        put = {("weight", "hidden_1/kernel", "nan_count"): np.repeat([0, 9], [20, 10])}
        mine = findings("diverging-loss", toy_run(put=put, loss=loss, settings=UNKNOWN_LOSS))
        assert [f.remedies[0].title for f in mine] == ["Check the sign of the loss"] * found

    def test_the_way_into_infinity_counts(self):
        loss = [*np.geomspace(1, 1e20, 5), *[np.inf] * 25]
        (finding,) = findings("diverging-loss", toy_run(loss=loss))
        assert finding.severity == Severity.ERROR
        assert "stopped being finite" in finding.sentence
        assert "nonfinite-values" in finding.explains


class TestLossPlateau:
    def test_unknown_losses_are_a_warning(self):
        (finding,) = findings("loss-plateau", toy_run(loss=1.0, settings=UNKNOWN_LOSS))
        assert (finding.severity, finding.confidence) == (Severity.WARNING, "medium")

    def test_losses_of_rivals_are_to_stand_still(self):
        settings = UNKNOWN_LOSS | {"optimizers": [{"name": "Adam"}, {"name": "Adam"}]}
        (finding,) = findings("loss-plateau", toy_run(loss=1.0, settings=settings))
        assert finding.severity == Severity.NOTE

    @pytest.mark.parametrize(
        ("level", "steps", "severity"),
        [(0.96, 150, Severity.WARNING), (0.96, 300, Severity.ERROR), (1.0, 150, Severity.ERROR)],
    )
    def test_a_hair_below_a_constant_answer_noise_may_need_time(self, level, steps, severity):
        run = toy_run(loss=np.r_[1.0, np.full(SAMPLES - 1, level)], steps=np.linspace(0, steps, SAMPLES).astype(int))
        assert [finding.severity for finding in findings("loss-plateau", run)] == [severity]

    def test_a_large_offset_may_hide_a_fall(self):
        loss = 100 + np.geomspace(1.0, 0.01, SAMPLES)
        (finding,) = findings("loss-plateau", toy_run(loss=loss, settings=UNKNOWN_LOSS))
        assert finding.severity == Severity.NOTE

    def test_a_noise_floor_well_below_a_constant_answer_is_none(self):
        noise = np.random.default_rng(0).normal(1, 0.1, SAMPLES)
        assert not findings("loss-plateau", toy_run(loss=0.4 * noise))

    @pytest.mark.parametrize(("steps", "severities"), [(20, [Severity.ERROR]), (5, [])])
    def test_who_is_above_it_after_hundreds_of_steps_is_late_though_it_falls(self, steps, severities):
        run = toy_run(loss=np.linspace(9.0, 2.0, SAMPLES), steps=range(0, SAMPLES * steps, steps))
        assert [finding.severity for finding in findings("loss-plateau", run)] == severities

    @pytest.mark.parametrize(("late", "step", "found"), [(0.8, 15, ["crawling"]), (0.8, 10, []), (0.6, 15, [])])
    def test_a_loss_that_falls_too_slowly_for_hundreds_of_steps(self, late, step, found):
        run = toy_run(loss=np.linspace(1.0, late, SAMPLES), steps=range(0, SAMPLES * step, step))
        assert [finding.variant for finding in findings("loss-plateau", run)] == found

    def test_part_of_the_way_down_it_is_a_note(self):
        (finding,) = findings("loss-plateau", toy_run(loss=[1.0] * 3 + [0.8] * 27))
        assert finding.severity == Severity.NOTE

    def test_a_fall_that_as_many_steps_again_would_hardly_continue_is_a_warning(self):
        (finding,) = findings("loss-plateau", toy_run(loss=np.linspace(1.0, 0.94, SAMPLES)))
        assert (finding.variant, finding.severity) == ("crawling", Severity.WARNING)

    @pytest.mark.parametrize(("step", "severity"), [(10, Severity.WARNING), (30, Severity.ERROR)])
    def test_after_hundreds_of_steps_a_loss_that_hardly_falls_is_an_error(self, step, severity):
        run = toy_run(loss=np.linspace(1.0, 0.96, SAMPLES), steps=range(0, SAMPLES * step, step))
        (finding,) = findings("loss-plateau", run)
        assert (finding.variant, finding.severity) == ("crawling", severity)

    def test_a_slow_but_steady_fall_is_none(self):
        assert not findings("loss-plateau", toy_run(loss=np.linspace(1.2, 0.97, SAMPLES)))

    def test_a_penalty_that_decays_onto_a_constant_answer_is_found(self):
        loss = 1 + 1e3 * np.exp(-np.arange(SAMPLES) / 1.5)
        (finding,) = findings("loss-plateau", toy_run(loss=loss))
        assert finding.severity == Severity.ERROR

    @pytest.mark.parametrize(("classes", "severity"), [(16, [Severity.ERROR]), (0, [])])
    def test_guessing_among_classes_is_known_from_the_loss_function(self, classes, severity):
        settings = {"losses": [{"name": "sparse_categorical_crossentropy", "from_logits": True, "output": None}]}
        run = toy_run(loss=np.log(16) if classes else np.log(16) / 3, settings=settings)
        assert [finding.severity for finding in findings("loss-plateau", run)] == severity

    def test_a_generator_that_stands_at_log_2_is_no_classifier_among_two(self):
        run = toy_run(loss=np.log(2), settings={"losses": []})
        cards = (*run.model.layers[:-1], replace(run.model.layers[-1], units=2))
        (finding,) = findings("loss-plateau", replace(run, model=replace(run.model, layers=cards)))
        assert finding.severity == Severity.NOTE


class TestPermanentClipping:
    CLIPPED = {"global_gradient_norm": 2.0, "global_clipped_gradient_norm": 1e-3}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("optimizer", "rms", "last", "variants"),
        [("SGD", 0.9, 0.4, ["signs"]), ("Adam", 0.9, 0.4, []), ("SGD", 0.3, 0.4, []), ("SGD", 0.9, 0.01, [])],
    )
    def test_clipped_to_little_but_signs(self, optimizer, rms, last, variants):
        names = [f"{name}/{role}" for name in NAMES for role in ("kernel", "bias")]
        put = {("gradient", name, "max"): 1e-4 for name in names} | {("gradient", name, "min"): -1e-4 for name in names}
        put |= {("gradient", name, "rms"): rms * 1e-4 for name in names}
        run = toy_run(
            put=put,
            loss=np.geomspace(1.0, last, SAMPLES),
            settings={"optimizer": {"name": optimizer}},
            step={"global_gradient_norm": 1.0 + 0.1 * np.sin(np.arange(SAMPLES))},
        )
        assert [finding.variant for finding in findings("permanent-clipping", run)] == variants

    def test_a_network_of_embeddings_alone_is_judged(self):
        run = toy_run(loss=1.0, step={"global_gradient_norm": 1.0})
        cards = tuple(
            replace(card, role="embeddings") if card.role == "kernel" else card for card in run.model.variables
        )
        (verdict,) = diagnose(
            replace(run, model=replace(run.model, variables=cards)), [BY_NAME["permanent-clipping"]]
        ).verdicts
        assert "internal error" not in verdict.reason

    def test_now_and_then_is_what_clipping_is_for(self):
        norms = {"global_gradient_norm": [2.0, 1e-3, 1e-3] * 10, "global_clipped_gradient_norm": 1e-3}
        assert not findings("permanent-clipping", toy_run(updates(1e-3), loss=1.0, step=norms))

    @pytest.mark.parametrize("statistic", ["global norm", "norm", "max"])
    def test_a_limit_that_the_optimizer_does_not_know_of_shows_by_values_that_never_vary(self, statistic):
        loss = np.linspace(1.0, 0.99, SAMPLES)
        kernels = [("gradient", f"{name}/kernel") for name in NAMES] * (statistic != "global norm")
        run = toy_run(
            updates(1e-3),
            {(*key, statistic): 10 for key in kernels},
            loss=loss,
            step={"global_gradient_norm": 1e-3} if not kernels else None,
        )
        (finding,) = findings("permanent-clipping", run)
        assert f"clipped to {0.001 if not kernels else 10} at 100 % of the steps, before" in finding.sentence
        assert not findings("permanent-clipping", toy_run(updates(1e-3), loss=loss))

    def test_the_same_batch_over_and_over_has_the_same_gradient(self):
        run = toy_run(updates(1e-3), loss=1.0, step={"global_gradient_norm": 1e-3})
        assert not findings("permanent-clipping", run)

    @pytest.mark.parametrize(("optimizer", "found"), [("SGD", 1), ("Adam", 0)])
    def test_with_sgd_it_limits_how_far_training_goes(self, optimizer, found):
        run = toy_run(loss=1.0, step=self.CLIPPED, settings={"optimizer": {"name": optimizer}})
        assert len(findings("permanent-clipping", run)) == found

    def test_what_the_optimizer_makes_up_for_is_none(self):
        assert not findings("permanent-clipping", toy_run(loss=1.0, step=self.CLIPPED))

    def test_it_comes_before_the_learning_rate_and_names_a_limit(self):
        run = toy_run(updates(1e-3), loss=1.0, step=self.CLIPPED)
        (cause,) = diagnose(run, [BY_NAME["permanent-clipping"], BY_NAME["learning-rate-too-low"]]).causes
        assert cause.root.rule == "permanent-clipping"
        assert cause.remedies[0].title == "Clip at a global norm of 6 instead"


class TestRunawayWeights:
    def run(self, growth, **how):
        grown = {("weight", f"{name}/kernel"): np.linspace(1, growth, SAMPLES) for name in NAMES}
        return toy_run(grown, **how)

    def test_weights_that_grow_tenfold_for_nothing_are_found_from_where_they_left_the_usual(self):
        (finding,) = findings("learning-rate-too-high", self.run(20.0, loss=1.0))
        assert (finding.pathology, finding.severity) == ("learning-rate-too-high:runaway", Severity.ERROR)
        assert "grown to 20 times their size" in finding.sentence
        assert 0 < finding.first_step < 100

    @pytest.mark.parametrize(("growth", "back", "found"), [(6.0, 0.6, 1), (4.0, 0.6, 0), (6.0, 0.2, 0)])
    def test_less_growth_counts_where_what_was_learnt_is_lost_again(self, growth, back, found):
        loss = np.r_[np.linspace(1.0, 0.2, 15), np.linspace(0.2, back, 15)]
        mine = findings("learning-rate-too-high", self.run(growth, loss=loss))
        assert [finding.variant for finding in mine] == ["runaway"] * found
        assert all("what was learnt is lost again" in finding.sentence for finding in mine)

    def test_growth_of_one_kernel_before_all_run_away_does_not_count(self):
        early, late = np.r_[1:5:15j, [5.0] * 5], [30.0] * 10
        run = toy_run(
            {("weight", f"{name}/kernel"): np.r_[early if name == "hidden_1" else np.ones(20), late] for name in NAMES},
            loss=np.r_[1:0.1:20j, [3.0] * 10],
        )
        (finding,) = findings("learning-rate-too-high", run)
        assert (finding.pathology, finding.first_step) == ("learning-rate-too-high:runaway", 200)

    def test_units_that_die_of_weights_which_grew_before_the_step_follow_from_it(self):
        weights = {("weight", f"{name}/kernel"): [1.0] * 15 + [30.0] * 15 for name in NAMES}
        dead = {("activation", f"hidden_{i}", "dead_unit_fraction"): [0.0] * 15 + [1.0] * 15 for i in (1, 2)}
        rules = [BY_NAME[name] for name in ("learning-rate-too-high", "dead-units", "loss-plateau")]
        (cause,) = diagnose(toy_run(weights, dead, loss=[0.1] * 15 + [1.0] * 15), rules).causes
        assert cause.root.variant == "runaway"
        assert {"dead-units", "loss-plateau"} <= {found.rule for found in cause.consequences}

    @pytest.mark.parametrize(("growth", "loss"), [(5.0, 1.0), (20.0, None)])
    def test_moderate_growth_and_growth_under_which_it_learns_are_none(self, growth, loss):
        assert not findings("learning-rate-too-high", self.run(growth, loss=loss))

    def test_where_the_loss_tells_nothing_growth_alone_counts(self):
        assert findings("learning-rate-too-high", self.run(20.0, loss=-1.0))


class TestHighMomentum:
    RISING = np.linspace(1.0, 9.0, SAMPLES)

    def first_remedies(self, argument, momentum):
        settings = {"optimizer": {"name": "an optimizer", argument: momentum}}
        grown = {("weight", f"{name}/kernel"): np.linspace(1, 20, SAMPLES) for name in NAMES}
        return [
            findings(rule, toy_run(scale, loss=loss, settings=settings))[0].remedies[0]
            for rule, scale, loss in (
                ("diverging-loss", None, self.RISING),
                ("learning-rate-too-high", updates(2000), self.RISING),
                ("learning-rate-too-high", grown, 1.0),
            )
        ]

    @pytest.mark.parametrize("argument", ["momentum", "beta_1"])
    def test_it_is_lowered_first_of_all(self, argument):
        for remedy in self.first_remedies(argument, 0.999):
            assert remedy.title == f"Lower {argument} from 0.999 to 0.9"
            assert remedy.code.startswith(f"optimizer.{argument} = 0.9")
            assert "1,000 steps" in remedy.reason

    @pytest.mark.parametrize("momentum", [0.95, None])
    def test_a_usual_one_is_left_alone(self, momentum):
        assert {remedy.topic for remedy in self.first_remedies("momentum", momentum)} == {"learning-rate"}

    @pytest.mark.parametrize(
        ("layer", "found"), [("output", "Lower momentum from 0.99 to 0.9"), ("hidden_1", "Lower the")]
    )
    def test_of_several_optimizers_it_is_that_of_the_one_to_blame(self, layer, found):
        run = with_an_optimizer_of_its_own(toy_run({("update", f"{layer}/kernel"): 3000.0}, loss=1.0), layer)
        plain, hasty = {"name": "SGD", "momentum": 0.9}, {"name": "SGD", "momentum": 0.99}
        pair = [plain, hasty] if layer == "output" else [hasty, plain]
        run = replace(run, model=replace(run.model, settings={**run.model.settings, "optimizers": pair}))
        (finding,) = findings("learning-rate-too-high", run)
        assert finding.remedies[0].title.startswith(found)


class TestStaleOptimizer:
    def test_updates_that_shrink_with_the_gradient_are_convergence(self):
        falling = np.geomspace(1, 1e-4, SAMPLES)
        gradients = {("gradient", f"{name}/kernel"): falling for name in NAMES}
        assert not findings("stale-optimizer", toy_run(updates(falling) | gradients, loss=1.0))

    def test_updates_that_shrink_with_the_learning_rate_are_a_schedule(self):
        falling = np.geomspace(1, 1e-4, SAMPLES)
        assert not findings("stale-optimizer", with_learning_rate(toy_run(updates(falling), loss=1.0), falling))

    def test_a_solved_problem_may_go_stale(self):
        assert not findings("stale-optimizer", toy_run(updates(np.geomspace(1, 1e-4, SAMPLES))))

    @pytest.mark.parametrize(("optimizer", "found"), [("Adagrad", 1), ("Adam", 1), ("SGD", 0)])
    def test_a_denominator_that_began_too_large(self, optimizer, found):
        # Updates of 3.5e-4 · 0.1 at a learning rate of 0.01.
        run = toy_run(updates(0.1), loss=1.0, settings={"optimizer": {"name": optimizer}})
        assert len(findings("stale-optimizer", run)) == found

    @pytest.mark.parametrize(("late", "found"), [(0.75, 1), (0.4, 0)])
    def test_who_will_soon_be_there_is_none(self, late, found):
        loss = np.r_[np.linspace(1.2, 1.0, 10), np.linspace(1.0, late, 20)]
        run = toy_run(updates(0.1), loss=loss, settings={"optimizer": {"name": "Adagrad"}})
        assert len(findings("stale-optimizer", run)) == found

    @pytest.mark.parametrize(("epsilon", "found"), [(1.0, 1), (1e-7, 0)])
    def test_an_epsilon_that_was_set_large_is_held_to_more(self, epsilon, found):
        settings = {"optimizer": {"name": "Adam", "epsilon": epsilon}}
        assert len(findings("stale-optimizer", toy_run(updates(1.0), loss=1.0, settings=settings))) == found

    @pytest.mark.parametrize(("epsilon", "late", "found"), [(1.0, 0.4, 1), (1.0, 0.1, 0), (1e-7, 0.4, 0)])
    def test_a_large_epsilon_holds_up_what_is_still_on_its_way(self, epsilon, late, found):
        settings = {"optimizer": {"name": "Adam", "epsilon": epsilon}}
        run = toy_run(updates(1.0), loss=np.linspace(1.0, late, SAMPLES), settings=settings)
        assert len(findings("stale-optimizer", run)) == found

    @pytest.mark.parametrize(("every", "found"), [(1, 1), (100, 0), (None, 0)])
    def test_weights_that_their_average_overwrites(self, every, found):
        average = {"use_ema": True, "ema_momentum": 0.99, "ema_overwrite_frequency": every}
        run = toy_run(loss=1.0, settings={"optimizer": {"name": "Adam", **average}})
        mine = findings("stale-optimizer", run)
        assert len(mine) == found
        assert all("a step makes up 0.01" in each.sentence and each.remedies[0].topic == "average" for each in mine)

    @pytest.mark.parametrize(("epsilon", "first"), [(10.0, "optimizer.epsilon = 1e-7"), (1e-7, "optimizer = keras")])
    def test_a_large_epsilon_is_named_and_lowered_first(self, epsilon, first):
        settings = {"optimizer": {"name": "Adam", "epsilon": epsilon}}
        (finding,) = findings("stale-optimizer", toy_run(updates(0.1), loss=1.0, settings=settings))
        assert finding.remedies[0].code.startswith(first)
        assert ("epsilon of 10 is far above the gradients" in finding.sentence) == (epsilon == 10.0)


class TestUnchangedWeights:
    def still(self, share=1.0, names=NAMES, dtype="float32", **how):
        run = toy_run(put={("update", f"{name}/kernel", "zero_fraction"): share for name in names}, **how)
        cards = tuple(replace(card, dtype=dtype) for card in run.model.variables)
        return replace(run, model=replace(run.model, variables=cards))

    def test_a_learning_rate_of_zero_is_named(self):
        (finding,) = findings("unchanged-weights", with_learning_rate(self.still(loss=1.0), np.zeros(SAMPLES)))
        assert finding.severity == Severity.ERROR
        assert finding.sentence.endswith(": the learning rate is 0")

    def test_rounding_asks_for_float32_variables(self):
        (finding,) = findings("unchanged-weights", self.still(0.95, dtype="bfloat16", loss=1.0))
        assert "bfloat16 cannot hold" in finding.sentence
        assert finding.remedies[0].title == "Keep the weights in float32"

    def test_a_single_layer_is_a_warning_and_named(self):
        (finding,) = findings("unchanged-weights", self.still(names=["hidden_2"]))
        assert (finding.severity, finding.layers) == (Severity.WARNING, ("hidden_2",))

    def test_a_warm_up_from_zero_and_a_schedule_that_ends_there_are_healthy(self):
        ends = [1.0] * 5 + [0.0] * 15 + [1.0] * 10
        assert not findings("unchanged-weights", self.still(ends))

    def test_entries_without_a_gradient_rightly_stay(self):
        put = {(kind, f"{name}/kernel", "zero_fraction"): 0.99 for name in NAMES for kind in ("update", "gradient")}
        assert not findings("unchanged-weights", toy_run(put=put, loss=1.0))

    def test_frozen_variables_are_left_out(self):
        assert not findings("unchanged-weights", self.still(names=["hidden_1"], frozen=["hidden_1"], loss=1.0))


@pytest.mark.parametrize(("count", "found"), [(1000, ["never-applied"]), (8, []), (None, [])])
def test_gradients_accumulated_for_longer_than_the_run_are_never_applied(count, found):
    optimizer = {"optimizer": {"name": "Adam", "gradient_accumulation_steps": count}}
    mine = findings("unchanged-weights", toy_run(loss=1.0, settings=optimizer))
    assert [f.variant for f in mine] == found
    assert all(f.remedies[0].topic == "accumulation" for f in mine)


@pytest.mark.parametrize(("loss", "found"), [(1.0, 1), (None, 0)])
def test_a_network_without_any_activation_function_is_one_linear_map(loss, found):
    (mine, relu) = (findings("linear-units", toy_run(activation=name, loss=loss)) for name in ("linear", "relu"))
    assert [f.layers for f in mine] == [("hidden_1", "hidden_2")] * found
    assert not relu


@pytest.mark.parametrize(
    ("loss", "steps", "severity"),
    [
        (10.0, 10, Severity.ERROR),
        (np.linspace(40.0, 5.0, SAMPLES), 10, Severity.ERROR),
        (np.geomspace(1e5, 10.0, SAMPLES), 5, Severity.NOTE),
        (np.r_[np.geomspace(1e3, 1.0, 15), np.full(15, 1.0)], 10, Severity.ERROR),
    ],
)
def test_an_offset_of_the_targets_that_the_bias_has_not_reached(loss, steps, severity):
    moments = {"mean": 500.0, "rms": np.hypot(500.0, 1.0), "std": 1.0, "example_std": 1.0}
    put = {("target", "target", name): number for name, number in moments.items()}
    run = toy_run(put=put, loss=loss, steps=range(0, SAMPLES * steps, steps))
    (finding,) = findings("badly-scaled-target", run)
    assert (finding.severity, "large mean (500)" in finding.sentence) == (severity, True)
    assert not findings("badly-scaled-target", toy_run(put=put))


@pytest.mark.parametrize(
    ("offset", "loss", "found"), [(4.0, 1.0, 1), (4.0, 0.9, 1), (2.0, 1.0, 0), (4.0, None, 0), (4.0, 2.0, 0)]
)
def test_an_offset_that_is_all_that_was_learnt(offset, loss, found):
    moments = {"mean": 10 * offset, "rms": 10 * np.hypot(offset, 1.0), "std": 10.0, "example_std": 10.0}
    put = {("target", "target", name): number for name, number in moments.items()}
    run = toy_run(
        put=put, loss=np.geomspace(100, 5, SAMPLES) if loss is None else np.r_[2000.0, 1000.0, np.full(28, 100 * loss)]
    )
    assert len(findings("badly-scaled-target", run)) == found


@pytest.mark.parametrize(("steps", "severity"), [(10, Severity.ERROR), (5, Severity.NOTE)])
def test_tiny_targets_that_the_output_has_not_come_down_to(steps, severity):
    tiny = {("target", "target"): 1e-3}
    loss = np.geomspace(0.1, 1e-4, SAMPLES)
    (finding,) = findings("badly-scaled-target", toy_run(tiny, loss=loss, steps=range(0, SAMPLES * steps, steps)))
    assert (finding.severity, "tiny" in finding.sentence) == (severity, True)
    assert not findings("badly-scaled-target", toy_run(tiny, loss=np.geomspace(0.1, 1e-8, SAMPLES)))


class TestWithoutALevelOfTheLoss:
    def test_half_of_the_weights_anew_is_too_much_whatever_a_loss_below_zero_does(self):
        leap = np.where(np.arange(SAMPLES) < 2, 3000.0, 1.0)
        (finding,) = findings("learning-rate-too-high", toy_run(updates(leap), loss=np.linspace(0.1, -1, SAMPLES)))
        assert finding.severity == Severity.ERROR

    def test_without_any_loss_as_well(self):
        nothing = np.full(SAMPLES, np.nan)
        assert findings("learning-rate-too-high", toy_run(updates(3000.0), loss=nothing))
        assert "record the loss" in reason("learning-rate-too-high", toy_run(loss=nothing))

    def test_a_third_of_them_is_not(self):
        leap = np.where(np.arange(SAMPLES) < 2, 400.0, 1.0)
        assert not findings("learning-rate-too-high", toy_run(updates(leap), loss=np.linspace(0.1, -1, SAMPLES)))


def unlearnt(low, late, spread):
    """A loss that comes down from 1 to ``low`` and goes up to ``late``; so does what tells examples apart, the other
    way round: from 0.3 to 1 to ``spread``."""
    third = SAMPLES // 3
    loss = np.concatenate([np.geomspace(1, low, third), np.full(third, low), np.geomspace(low, late, third)])
    kept = np.concatenate([np.linspace(0.3, 1, third), np.ones(third), np.geomspace(1, spread, third)])
    wide = np.concatenate([loss, np.full(third, late)]), np.concatenate([kept, np.full(third, spread)])
    return toy_run({("activation", "hidden_2"): 1.0}, {("activation", "hidden_2", "example_std"): wide[1]},
                   steps=range(0, 10 * len(wide[0]), 10), loss=wide[0])  # fmt: skip


@pytest.mark.parametrize(
    ("low", "late", "spread", "found"), [(0.05, 0.9, 0.02, 1), (0.05, 0.15, 0.02, 0), (0.05, 0.9, 0.5, 0)]
)
def test_what_was_learnt_and_is_lost_again_is_measured_by_what_it_was_at_most(low, late, spread, found):
    collapsed = list(findings("collapsed-representation", unlearnt(low, late, spread)))
    assert [f.layers for f in collapsed] == [("hidden_2",)] * found


def penalised(bare, penalty, scale=None):
    """Outputs that cost ``bare``, and weights whose penalty is added to that."""
    bare = np.broadcast_to(np.asarray(bare, float), (SAMPLES,))
    return toy_run(scale, loss=bare + penalty, step={"called_loss": bare}, settings={"loss_additions": ["penalties"]})


class TestPenalties:
    def test_a_penalty_that_falls_is_no_learning(self):
        (finding,) = findings("loss-plateau", penalised(1.0, np.geomspace(20, 0.1, SAMPLES)))
        assert finding.severity == Severity.ERROR

    def test_a_penalty_that_stays_hides_no_learning(self):
        assert not findings("loss-plateau", penalised(np.geomspace(1, 0.1, SAMPLES), 5.0))

    @pytest.mark.parametrize(("penalty", "bare", "found"), [(20.0, 1.0, 1), (0.2, 1.0, 0), (20.0, None, 0)])
    def test_half_the_size_is_small_under_a_penalty_that_outweighs_what_there_is_to_learn(self, penalty, bare, found):
        shrinking = np.geomspace(1, 0.2, SAMPLES)
        scale = {("weight", f"{name}/kernel"): shrinking for name in NAMES}
        learning = np.geomspace(1, 0.1, SAMPLES) if bare is None else bare
        assert len(findings("shrunken-weights", penalised(learning, penalty * shrinking, scale))) == found

    def test_where_layers_add_all_there_is_that_is_the_loss(self):
        trend = Evidence(penalised(0.0, np.geomspace(2, 0.5, SAMPLES)))["loss_trend"]
        assert (trend.start, trend.change) == (pytest.approx(1.9, rel=0.1), pytest.approx(0.3, rel=0.1))

    @pytest.mark.parametrize(("late", "severities"), [(0.4, [Severity.ERROR]), (0.1, [])])
    def test_one_kernel_of_half_its_size_is_enough_where_much_is_still_to_be_learnt(self, late, severities):
        learning, shrinking = np.geomspace(1, late, SAMPLES), np.geomspace(1, 0.3, SAMPLES)
        run = penalised(learning, 3 * shrinking, {("weight", "hidden_1/kernel"): shrinking})
        found = findings("shrunken-weights", run)
        assert [(finding.severity, finding.layers) for finding in found] == [(s, ("hidden_1",)) for s in severities]

    @pytest.mark.parametrize(("penalty", "left", "found"), [(20.0, 0.1, ["gains"]), (20.0, 0.9, []), (0.2, 0.1, [])])
    def test_gains_of_normalisations_bear_it_too(self, penalty, left, found):
        scale = {("weight", "norm/gamma"): np.geomspace(1, left, SAMPLES)}
        run = toy_run(
            scale,
            batch_norm=True,
            loss=1.0 + penalty,
            step={"called_loss": 1.0},
            settings={"loss_additions": ["penalties"]},
        )
        assert [finding.variant for finding in findings("shrunken-weights", run)] == found


def test_with_weights_of_the_examples_no_level_is_known():
    loss = np.maximum(np.linspace(6.0, -2.0, SAMPLES), 1.0)  # a sixth of the start, and what a constant answer has
    assert not findings("loss-plateau", toy_run(loss=loss, settings={"loss_additions": ["example weights"]}))
    assert findings("loss-plateau", toy_run(loss=loss))


class TestRatesThatGrow:
    RATE = np.geomspace(0.01, 0.3, SAMPLES)
    LOST = np.concatenate([np.linspace(1.0, 0.3, 15), np.linspace(0.3, 0.9, 15)])

    def test_what_was_learnt_is_lost_by_them(self):
        (finding,) = findings("learning-rate-too-high", toy_run(loss=self.LOST, step={"learning_rate": self.RATE}))
        assert (finding.variant, finding.severity) == ("growing", Severity.ERROR)

    @pytest.mark.parametrize(
        ("rate", "loss"),
        [
            (RATE, np.linspace(1.0, 0.3, SAMPLES)),
            (np.linspace(0.001, 0.1, SAMPLES), LOST),
            (np.full(SAMPLES, 0.1), LOST),
        ],
    )
    def test_neither_alone_is_one(self, rate, loss):
        assert not findings("learning-rate-too-high", toy_run(loss=loss, step={"learning_rate": rate}))

    def test_the_last_of_ever_higher_waves_may_have_passed_its_peak(self):
        rate = np.concatenate([np.geomspace(1e-3, 0.3, SAMPLES - 5), 0.3 * np.linspace(1.0, 0.5, 5)])
        (finding,) = findings("learning-rate-too-high", toy_run(loss=self.LOST, step={"learning_rate": rate}))
        assert finding.variant == "growing"

    def test_values_break_by_them(self):
        put = {("gradient", "output/kernel", "nan_count"): [0] * 20 + [1] * 10}
        run = toy_run(put=put, loss=np.linspace(1.0, 0.5, SAMPLES), step={"learning_rate": self.RATE})
        (finding,) = findings("learning-rate-too-high", run)
        assert finding.variant == "growing"
        assert "nonfinite-values" in finding.explains


@pytest.mark.parametrize(("leap", "found"), [(30.0, 1), (3.0, 0)])
def test_a_loss_that_leapt_and_never_came_down_makes_shorter_steps_too_long(leap, found):
    loss = np.where((np.arange(SAMPLES) > 5) & (np.arange(SAMPLES) < 12), leap, 1.0)
    assert len(findings("learning-rate-too-high", toy_run(updates(200.0), loss=loss))) == found
