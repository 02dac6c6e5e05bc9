"""How often gradscope is right: records the labelled programs of the zoo, judges them, and counts.

    python benchmarks/accuracy.py --half think                  # records what is not recorded yet, then judges
    python benchmarks/accuracy.py --half think --rejudge        # judges the logs there are, trains nothing
    python benchmarks/accuracy.py --half test --markdown docs/accuracy.md

Needs scikit-learn for its data sets.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from zoo import figures, programs
from zoo.judging import Judgement, judge
from zoo.page import page, tables
from zoo.pool import run_jobs
from zoo.program import Program
from zoo.proof import borne_out
from zoo.proof import read as read_proof


def folder(log_dir: Path, program: Program, seed: int) -> Path:
    """Where a program's log lies; the halves apart, so that nobody reads the wrong one by accident."""
    return log_dir / program.half / program.name / f"seed-{seed}"


def record(chosen: list[tuple[Program, int]], log_dir: Path, jobs: int, console: Console) -> dict[tuple[str, int], str]:
    """Train and record; returns why those failed that did."""
    wanted = [
        {"do": "record", "program": program.name, "seed": seed, "log_dir": str(folder(log_dir, program, seed))}
        for program, seed in chosen
    ]
    failed = {}
    began = time.monotonic()
    for number, (job, answer) in enumerate(run_jobs(wanted, jobs), start=1):
        if "error" in answer:
            failed[job["program"], job["seed"]] = answer["error"]
            console.print(f"failed: {job['program']} seed {job['seed']}: {answer['error']}", soft_wrap=True)
        if number % 20 == 0 or number == len(wanted):
            console.print(f"recorded {number} of {len(wanted)} in {time.monotonic() - began:.0f} s")
    return failed


def judge_one(item: tuple[str, int, Path, bool, str]) -> Judgement:
    """Judge one log; a failure is a judgement too."""
    name, seed, log_dir, early, failure = item
    program = next(p for p in programs() if p.name == name)
    try:
        if not failure:
            return judge(program, seed, log_dir, early=early)
    except Exception as error:  # noqa: BLE001  one log must not end the others
        failure = f"{type(error).__name__}: {error}"
    return Judgement.failed(program, seed, failure)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("think", "test", "all"), default="think")
    parser.add_argument("--programs", default="*", metavar="GLOB", help="only those whose name matches")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log-dir", type=Path, help="where to record; a temporary folder if left out")
    parser.add_argument("--keep", action="store_true", help="keep the logs of the temporary folder")
    parser.add_argument("--fresh", action="store_true", help="record again what is recorded already")
    parser.add_argument("--rejudge", action="store_true", help="train nothing, judge the logs there are")
    parser.add_argument("--no-early", dest="early", action="store_false", help="judge whole logs only; faster")
    parser.add_argument("--unproved", action="store_true", help="take programs whose label the proof does not bear out")
    parser.add_argument("--json", type=Path, help="write judgements and figures there")
    parser.add_argument("--markdown", type=Path, help="write the page there")
    return parser.parse_args()


def main() -> int:
    options = parse()
    console = Console(width=140)
    if options.rejudge and not options.log_dir:
        console.print("--rejudge needs --log-dir: the folder that was recorded into")
        return 2
    log_dir = options.log_dir or Path(tempfile.mkdtemp())
    proof = read_proof()
    wanted = [p for p in programs(options.half, options.programs) if options.unproved or borne_out(p, proof)]
    chosen = [(program, seed) for program in wanted for seed in range(options.seeds)]
    failed = {}
    if options.rejudge:
        chosen = [(p, seed) for p, seed in chosen if any(folder(log_dir, p, seed).glob("*tfevents*"))]
    else:
        missing = [(p, s) for p, s in chosen if options.fresh or not any(folder(log_dir, p, s).glob("*tfevents*"))]
        failed = record(missing, log_dir, options.jobs, console)
    began = time.monotonic()
    items = [(p.name, s, folder(log_dir, p, s), options.early, failed.get((p.name, s), "")) for p, s in chosen]
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        judgements = list(pool.map(judge_one, items, chunksize=8))
    console.print(f"judged {len(judgements)} logs in {time.monotonic() - began:.0f} s")
    for table in tables(judgements):
        console.print(table)
    if options.json:
        document = {
            "overall": figures.overall(judgements),
            "by_sickness": figures.by_label(judgements, "sickness"),
            "by_family": figures.by_label(judgements, "family"),
            "peers": figures.peers(judgements),
            "judgements": [dataclasses.asdict(judgement) for judgement in judgements],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(page(judgements, wanted, options.half, options.seeds))
    if not options.log_dir and not options.keep:
        shutil.rmtree(log_dir)
    elif not options.log_dir:
        console.print(f"logs kept in {log_dir}{os.sep}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
