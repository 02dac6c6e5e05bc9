"""The figures as tables for the terminal, and as the page docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tomllib
from rich import box
from rich.table import Table

from zoo import figures
from zoo.judging import Judgement
from zoo.program import Program

__all__ = ["page", "tables"]

_ONE_IN_A_HUNDRED = 0.01

_EXPLANATIONS = Path(__file__).with_name("explanations.toml")
_COLUMNS = {
    "runs": "runs",
    "recall": "recall",
    "recall_with_warnings": "with warnings",
    "false_errors": "false errors",
    "false_warnings": "false warnings",
    "right_cause": "right cause",
    "right_layer": "right layer",
    "right_both": "both",
    "median_steps_to_error": "steps to error",
}
_PEER_COLUMNS = {"recall": "recall", "precision": "precision", "false_errors": "false alarms"}


def tables(judgements: Sequence[Judgement]) -> list[Table]:
    """Tables for the terminal: the whole, by sickness, by family, the peers, and every mistake."""
    whole = {"all": figures.overall(judgements)}
    return [
        _table("sickness", {**figures.by_label(judgements, "sickness"), **whole}, _COLUMNS),
        _table("family", {**figures.by_label(judgements, "family"), **whole}, _COLUMNS),
        _table("baseline", {"gradscope": whole["all"], **figures.peers(judgements)}, _PEER_COLUMNS),
        _mistakes(judgements),
    ]


def _table(key: str, rows: dict[str, dict[str, Any]], columns: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(key)
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for label, row in rows.items():
        table.add_row(label, *(_cell(name, row[name]) for name in columns))
    return table


def _mistakes(judgements: Sequence[Judgement]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="mistakes")
    for heading in ("what", "program", "seed", "said", "layers"):
        table.add_column(heading, overflow="fold")
    for what, judgement in _wrong(judgements):
        named = ", ".join(judgement.causes) or judgement.error or "nothing"
        table.add_row(
            what, judgement.program, str(judgement.seed),
            f"{judgement.severity} {named}".strip(), ", ".join(judgement.layers[:4]),
        )  # fmt: skip
    return table


def _wrong(judgements: Iterable[Judgement]) -> list[tuple[str, Judgement]]:
    found = []
    for judgement in judgements:
        what = mistake(judgement)
        if what:
            found.append((what, judgement))
    return sorted(found, key=lambda item: (item[0], item[1].program, item[1].seed))


def mistake(judgement: Judgement) -> str:
    """What is wrong with a judgement; empty where nothing is."""
    if judgement.error:
        return "failed"
    if not judgement.sick:
        return {"error": "false error", "warning": "false warning"}.get(judgement.severity, "")
    if judgement.severity != "error":
        return "warning only" if judgement.severity == "warning" else "miss"
    if not judgement.right_cause:
        return "wrong cause" if not judgement.named_cause else "cause not first"
    return "wrong layer" if judgement.right_layer is False else ""


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name in ("runs", "median_steps_to_error"):
        return f"{value:g}"
    return f"{100 * value:.1f} %" if 0 < value < _ONE_IN_A_HUNDRED else f"{100 * value:.0f} %"


_INTRODUCTION = """# Accuracy

How often `gradscope check` is right, measured on {programs} training programs, {sick} sick and {healthy} healthy, each
trained from {seeds} seeds. This page is made by

```console
$ python benchmarks/accuracy.py --half {half} --seeds {seeds} --markdown docs/accuracy.md
```

The programs are pairs: a sick one, and a healthy twin that differs from it in one thing. Their labels are proved by
behaviour and not by gradscope's rules (`benchmarks/zoo/proof.py`): a healthy program reaches a stated skill; a sick
one breaks down, or loses at least a quarter of its twin's skill. Some programs the rules were thought out with
(`--half think`), the others are to test on. {which}

{figures}

*Recall*: share of sick runs with an error. *False errors*: share of healthy runs with an error. *Right cause*: share
of the sick runs with an error or warning whose first root cause is one that the label allows; *right layer* likewise,
where the sickness is of certain layers. *Steps to error*: median of the step after which the log had an error.

An acceptable cause is named somewhere in {named} of those runs. An error at any earlier stage of training, as one would
see it live, stood in the log of {early} of the healthy runs.

## Peers

Their published limits, applied to the same logs (`benchmarks/zoo/peers.py`). An alarm of any of their limits counts as
finding the sickness.

{peers}

## By sickness

{sicknesses}

## By family

{families}

## Every mistake

{mistakes}
"""


def page(judgements: Sequence[Judgement], programs: Sequence[Program], half: str, seeds: int) -> str:
    """The page: what was done, the figures, the peers' figures, and every mistake with its explanation."""
    whole = figures.overall(judgements)
    sick = sum(program.sick for program in programs)
    fresh = (
        "The figures here are of the latter: whoever wrote these had not\nseen the rules. They are those of the first "
        "judging; that rules have learnt from its mistakes since\ndoes not show in them, and would say nothing."
    )
    known = "The figures here are **not** of the\nlatter alone."
    return _INTRODUCTION.format(
        programs=len(programs),
        sick=sick,
        healthy=len(programs) - sick,
        seeds=seeds,
        half=half,
        which=fresh if half == "test" else known,
        figures=_markdown("", {"all": whole}, _COLUMNS),
        named=_cell("named_cause", whole["named_cause"]),
        early=_cell("early_false_errors", whole["early_false_errors"]),
        peers=_markdown("", {"gradscope": whole, **figures.peers(judgements)}, _PEER_COLUMNS),
        sicknesses=_markdown("sickness", figures.by_label(judgements, "sickness"), _COLUMNS),
        families=_markdown("family", figures.by_label(judgements, "family"), _COLUMNS),
        mistakes="\n".join(_explained(judgements)),
    )


def _markdown(key: str, rows: dict[str, dict[str, Any]], columns: dict[str, str]) -> str:
    lines = [f"| {key} | {' | '.join(columns.values())} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {label} | {' | '.join(_cell(n, row[n]) for n in columns)} |" for label, row in rows.items()]
    return "\n".join(lines)


def _explained(judgements: Sequence[Judgement]) -> list[str]:
    known = tomllib.loads(_EXPLANATIONS.read_text(encoding="utf-8")) if _EXPLANATIONS.exists() else {}
    wrong = _wrong(judgements)
    if not wrong:
        return ["None."]
    seeds: dict[tuple[str, str], list[Judgement]] = {}
    for what, judgement in wrong:
        seeds.setdefault((what, judgement.program), []).append(judgement)
    lines = ["| what | program | seeds | gradscope said | why |", "|---|---|---|---|---|"]
    for (what, program), those in seeds.items():
        said = ", ".join(dict.fromkeys(cause for j in those for cause in (j.causes or (j.error or "nothing",))))
        listed = ", ".join(str(j.seed) for j in those)
        lines.append(f"| {what} | {program} | {listed} | {said} | {known.get(program, 'not explained yet')} |")
    return lines
