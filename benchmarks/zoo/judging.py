"""Judges one recorded program: what gradscope and the peers say, held against the label."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import gradscope
from gradscope.diagnosis.verdict import Diagnosis, Severity
from gradscope.run import Run
from zoo.peers import PEERS
from zoo.program import Program

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True)
class Judgement:
    """What was said of one program, trained from one seed."""

    program: str
    seed: int
    sick: bool
    sickness: str
    family: str
    severity: str
    """Of the gravest cause; empty where there is none."""
    causes: tuple[str, ...]
    """Root causes of that severity."""
    layers: tuple[str, ...]
    """Layers that the first of them names."""
    right_cause: bool
    """Whether the first root cause is an acceptable one."""
    named_cause: bool
    """Whether an acceptable one is among the roots or their consequences, as an error or warning."""
    right_layer: bool | None
    """Whether the finding that is led with (or the acceptable one) names an acceptable layer, and no more than half of
    the layers it names are unacceptable; None where the sickness is of the whole network."""
    first_step: int | None
    """The earliest step after which the log so far has an error; None where there never is one."""
    early_error: bool | None
    """Whether the log of some earlier step has an error: for healthy runs, a false alarm in live use; None where only
    the whole log was judged."""
    sentence: str
    peers: dict[str, bool]
    """Whether the peer's limits raise an alarm."""
    error: str = ""
    """Why there is no judgement: the program or the recorder failed."""

    @classmethod
    def failed(cls, program: Program, seed: int, error: str) -> Judgement:
        """What stands for a judgement where there is none."""
        return cls(
            program.name, seed, program.sick, program.sickness, program.family,
            severity="", causes=(), layers=(), right_cause=False, named_cause=False, right_layer=False,
            first_step=None, early_error=None, sentence="", peers={}, error=error,
        )  # fmt: skip


def judge(program: Program, seed: int, log_dir: Path, *, early: bool) -> Judgement:
    """Judge the log of one program.

    Args:
        program: its label.
        seed: which run of it.
        log_dir: where it was recorded.
        early: whether to judge what the log held at earlier steps too; costs six times as much.
    """
    run = gradscope.read_run(log_dir)
    diagnosis = gradscope.diagnose(run)
    gravest = [cause for cause in diagnosis.causes if cause.severity == diagnosis.severity]
    roots = tuple(cause.root for cause in gravest)
    lead = roots[0] if roots else None
    severe = [f for f in diagnosis.findings() if f.severity >= Severity.WARNING]
    accepted = [f for f in severe if {f.rule, f.pathology} & program.causes]
    about = lead if lead and {lead.rule, lead.pathology} & program.causes else accepted[0] if accepted else lead
    first, before = _first_error(run, diagnosis) if early else (None, None)
    return Judgement(
        program=program.name,
        seed=seed,
        sick=program.sick,
        sickness=program.sickness,
        family=program.family,
        severity=diagnosis.severity.label if diagnosis.severity else "",
        causes=tuple(dict.fromkeys(root.pathology for root in roots)),
        layers=lead.layers if lead else (),
        right_cause=bool(lead and {lead.rule, lead.pathology} & program.causes),
        named_cause=bool(accepted),
        right_layer=_right_layer(program, about.layers if about else ()) if program.layers else None,
        first_step=first,
        early_error=before,
        sentence=diagnosis.sentence,
        peers={name: bool(alarms(run)) for name, alarms in PEERS.items()},
    )


def _right_layer(program: Program, named: tuple[str, ...]) -> bool:
    # Labels give the names that layers have in Keras; a path in front tells within which model they are.
    right = [name for name in named if {name, name.rpartition("/")[2]} & program.layers]
    return bool(right) and 2 * len(right) >= len(named)


def _first_error(run: Run, whole: Diagnosis) -> tuple[int | None, bool]:
    """The earliest of six stages of the run that has an error, and whether an earlier stage than the last has one."""
    count = len(run.steps)
    stages = sorted({max(1, round(count * share)) for share in (0.15, 0.3, 0.45, 0.6, 0.8)})
    for stage in (stage for stage in stages if stage < count):
        if not gradscope.diagnose(_until(run, stage)).healthy:
            return int(run.steps[stage - 1]), True
    return (None if whole.healthy else int(run.steps[-1])), False


def _until(run: Run, samples: int) -> Run:
    """What the log held after that many sampled steps."""
    return dataclasses.replace(
        run,
        steps=run.steps[:samples],
        values=run.values[:samples],
        step_statistics={name: series[:samples] for name, series in run.step_statistics.items()},
        wall_times=run.wall_times[:samples],
    )
