"""Proves the labels by behaviour, without gradscope: trains every program and compares twins.

A healthy program must reach the skill it states. A sick one must be plainly worse than its twin: not finite, or a
quarter of the twin's skill lost. Gradient norms are by a `GradientTape` of our own, before and after training.

    python benchmarks/zoo/proof.py [--half think] [--programs GLOB] [--seeds 1] [--jobs 2] [--only-new]

The result stands in proof.json beside this file; a program that is not borne out is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from zoo import Program, programs
from zoo.pool import run_jobs

PROOF = Path(__file__).with_name("proof.json")
_LOST = 0.25


def is_worse(sick: dict[str, Any], healthy: dict[str, Any]) -> bool:
    """Whether what was measured of the sick program is plainly worse than the same of its twin."""
    if sick["finite"] is False or sick["skill"] is None:
        return True
    return bool(healthy["skill"] is not None and sick["skill"] <= (1 - _LOST) * healthy["skill"])


def borne_out(program: Program, proof: dict[str, Any]) -> bool | None:
    """Whether the label stands for every seed that was tried; None where it was not tried."""
    mine, twin = proof.get(program.name), proof.get(program.twin)
    if not mine or not twin or "error" in mine or "error" in twin:
        return None
    if not program.sick:
        return all(m["finite"] and m["skill"] is not None and m["skill"] >= program.level for m in mine["runs"])
    return all(is_worse(m, t) for m, t in zip(mine["runs"], twin["runs"], strict=False))


def measure(program: Program, seed: int) -> dict[str, Any]:
    """Train one program; what came of it."""
    task = program.make(seed)
    before = task.gradient_norms()
    task.train()
    finite = task.is_finite()
    after = task.gradient_norms()
    skill = task.skill() if finite else math.nan
    return {
        "skill": round(skill, 3) if math.isfinite(skill) else None,
        "finite": finite,
        "gradient_norms": {
            name: [_short(norm), _short(after[name])] for name, norm in before.items() if _is_kernel(name)
        },
    }


def _is_kernel(name: str) -> bool:
    return name.rsplit("/", 1)[-1] in ("kernel", "embeddings", "recurrent_kernel")


def _short(norm: float) -> float | None:
    return float(f"{norm:.1e}") if math.isfinite(norm) else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("think", "test", "all"), default="all")
    parser.add_argument("--programs", default="*")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only-new", action="store_true", help="leave out what was tried with as many seeds before")
    options = parser.parse_args()
    proof = read()
    chosen = programs(options.half, options.programs)
    if options.only_new:
        chosen = tuple(p for p in chosen if len(proof.get(p.name, {}).get("runs", ())) < options.seeds)
    jobs = [{"do": "prove", "program": p.name, "seed": seed} for p in chosen for seed in range(options.seeds)]
    measured: dict[str, dict[int, Any]] = {}
    for job, answer in run_jobs(jobs, options.jobs):
        print(job["program"], job["seed"], answer.get("skill", answer.get("error")), flush=True)
        runs = measured.setdefault(job["program"], {})
        runs[job["seed"]] = answer
        if len(runs) == options.seeds:
            errors = [run["error"] for run in runs.values() if "error" in run]
            _keep(job["program"], {"error": errors[0]} if errors else {"runs": [runs[seed] for seed in sorted(runs)]})
    proof = read()
    doubtful = [p for p in chosen if borne_out(p, proof) is not True]
    for program in doubtful:
        mine, twin = ([run["skill"] for run in proof.get(n, {}).get("runs", ())] for n in (program.name, program.twin))
        error = proof.get(program.name, {}).get("error", "")
        print(f"NOT BORNE OUT  {program.name}: skill {mine}, twin {twin} {error}".rstrip())
    return bool(doubtful)


def read() -> dict[str, Any]:
    """What was measured so far: ``{program: {"runs": [...]} or {"error": why}}``."""
    return json.loads(PROOF.read_text(encoding="utf-8")) if PROOF.exists() else {}


def _keep(name: str, result: dict[str, Any]) -> None:
    proof = {**read(), name: result}
    lines = (f"{json.dumps(p.name)}: {json.dumps(proof[p.name])}" for p in programs() if p.name in proof)
    PROOF.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
