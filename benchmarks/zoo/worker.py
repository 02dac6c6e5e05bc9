"""Reads jobs from standard input, one JSON object a line, trains, and answers on standard output.

A job is ``{"do": "prove" | "record", "program": name, "seed": n}``, for recording with ``"log_dir"``.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from zoo import Program, programs
from zoo.lazy import keras, tf
from zoo.proof import measure


def _record(program: Program, seed: int, log_dir: str) -> dict[str, Any]:
    import gradscope

    # The recorder keeps a share of the training time. What it samples must not depend on how busy this machine is.
    time.perf_counter = time.process_time
    partial = f"{log_dir}.partial"  # so that a log which is there is a whole one
    for folder in (log_dir, partial):
        shutil.rmtree(folder, ignore_errors=True)
    task = program.make(seed)
    began = time.process_time()
    task.train(gradscope.Recorder(partial, every=program.every, summary=False))
    Path(partial).rename(log_dir)
    return {"seconds": round(time.process_time() - began, 1)}


def main() -> None:
    """Work until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a program prints must not mix with the answers
    warnings.simplefilter("ignore")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    known = {program.name: program for program in programs()}
    for line in sys.stdin:
        job = json.loads(line)
        try:
            program = known[job["program"]]
            if job["do"] == "prove":
                answer = measure(program, job["seed"])
            else:
                answer = _record(program, job["seed"], job["log_dir"])
        except Exception as error:  # noqa: BLE001  one program must not end the others
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        keras.backend.clear_session()
        keras.config.set_dtype_policy("float32")
        gc.collect()


if __name__ == "__main__":
    main()
