"""Many runs at once: each read and judged, on this machine or wherever an executor puts it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gradscope.configuration import Configuration
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.rule import Rule
from gradscope.errors import GradscopeError, NotARunError
from gradscope.events.reader import read_run
from gradscope.reports.checked_run import CheckedRun

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

__all__ = ["check_all", "check_run", "process_pool", "reason"]


def check_run(path: str, rules: Sequence[Rule] | None = None, configuration: Configuration | None = None) -> CheckedRun:
    """Read and judge one run; a failure stands in the result.

    Args:
        path: a log dir, an event file, or the URL of either.
        rules: the rules to judge by; None: all.
        configuration: the project's settings; None: those by default.
    """
    settings = configuration or Configuration()
    try:
        run = read_run(path, tags=settings.tags)
        return CheckedRun(path, diagnosis=diagnose(run, rules, configuration=settings))
    except NotARunError as error:
        return CheckedRun(path, error=reason(path, error), empty=True)
    except (GradscopeError, OSError) as error:
        return CheckedRun(path, error=reason(path, error))


def check_all(
    paths: Iterable[str | os.PathLike[str]],
    *,
    executor: Executor | None = None,
    rules: Sequence[Rule] | None = None,
    configuration: Configuration | None = None,
) -> Iterator[CheckedRun]:
    """Read and judge many runs; the results come as they are ready, so in any order.

    A run that cannot be read is a result with an ``error``. If the executor loses a worker, the runs it had are such
    results too.

    Args:
        paths: log dirs or event files; `gradscope.find_runs` lists those of a tree.
        executor: any `concurrent.futures.Executor`: a pool of processes, or that of a Dask or Ray cluster, whose
            workers must have gradscope and see the paths. None: one after another in this process.
        rules: the rules to judge by; None: all.
        configuration: the project's settings, such as `gradscope.configuration.find_configuration` gives; None: those
            by default.

    Example:
        >>> import gradscope
        >>> [run.health for run in gradscope.check_all(["/no/such/run"])]
        ['not judged']
    """
    places = [os.fspath(path) for path in paths]
    if executor is None:
        for place in places:
            yield check_run(place, rules, configuration)
        return
    from concurrent.futures import as_completed

    futures: dict[Future[CheckedRun], str] = {}
    for place in places:
        futures[executor.submit(check_run, place, rules, configuration)] = place
    try:
        for future in as_completed(futures):
            yield _result(future, futures[future])
    finally:
        for future in futures:
            future.cancel()


def process_pool(jobs: int) -> Executor:
    """A pool of processes on this machine, which start at once where the system can fork."""
    # Costs 15 ms to import, and one run needs none of it.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    return ProcessPoolExecutor(jobs, multiprocessing.get_context(method), initializer=_leave_interrupts_to_the_parent)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _result(future: Future[CheckedRun], place: str) -> CheckedRun:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001  each executor loses a worker in a way of its own
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return CheckedRun(place, error=f"its process gave no result ({what}); try it by itself")


def reason(path: str, error: Exception) -> str:
    """What went wrong, one line without the path in front."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path!r}: ")
