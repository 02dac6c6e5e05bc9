"""A pool of processes that train: many programs per process, so that TensorFlow starts seldom.

One program that crashes or hangs costs its own result and nothing else.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["run_jobs"]

_LIMIT_SECONDS = 180.0
_RENEW_AFTER = 40
"""Programs after which a process is replaced: traced functions pile up in its memory."""


def run_jobs(jobs: list[dict[str, Any]], processes: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Run jobs as `zoo.worker` understands them; yields each with its answer, in the order they end.

    An answer has a key ``error`` where the program failed.
    """
    waiting: queue.Queue[dict[str, Any]] = queue.Queue()
    done: queue.Queue[tuple[dict[str, Any], dict[str, Any]]] = queue.Queue()
    for job in jobs:
        waiting.put(job)
    count = min(processes, len(jobs))
    threads = [threading.Thread(target=_serve, args=(waiting, done), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in jobs:
        yield done.get()
    for thread in threads:
        thread.join()


def _serve(waiting: queue.Queue[Any], done: queue.Queue[Any]) -> None:
    worker, served = None, 0
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            break
        if worker is None or worker.poll() is not None or served >= _RENEW_AFTER:
            _end(worker)
            worker, served = _start(), 0
        answer = _ask(worker, job)
        served += 1
        done.put((job, answer))
    _end(worker)


def _start() -> subprocess.Popen[str]:
    root = Path(__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-m", "zoo.worker"], cwd=root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _ask(worker: subprocess.Popen[str], job: dict[str, Any]) -> dict[str, Any]:
    stop = threading.Timer(_LIMIT_SECONDS, worker.kill)
    stop.start()
    try:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(job) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    except (BrokenPipeError, OSError):
        line = ""
    finally:
        stop.cancel()
    if line:
        return json.loads(line)
    worker.wait()
    hung = worker.returncode == -9
    return {"error": f"no end after {_LIMIT_SECONDS:.0f} s" if hung else f"the process ended with {worker.returncode}"}


def _end(worker: subprocess.Popen[str] | None) -> None:
    if worker is None:
        return
    try:
        worker.communicate(timeout=30)  # closes its input, at which it ends
    except subprocess.TimeoutExpired:  # on a busy machine
        worker.kill()
        worker.communicate()
