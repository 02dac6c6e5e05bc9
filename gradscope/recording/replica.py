"""Replica: one of the copies that train one model in step under `tf.distribute`, seen from inside a step.

Replicas of one process run in threads of their own, one at a time, and switch where they exchange values. Every replica
must ask for the same exchanges in the same order; all of them trace the same step, so they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras, tf

__all__ = ["Replica", "Worker", "current_replica", "is_in_replica", "sums_gradients", "worker_of"]

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Replica:
    """A replica of a strategy that has several."""

    number: int
    """Its place among the replicas of all workers, 0-based."""
    count: int
    writes: bool = False
    """Whether it is the one, of those in this process, that puts the numbers into the buffer."""

    def gathered(self, numbers: Any) -> Any:
        """The vectors of all replicas, ``[count, size]``, in every one of them."""
        return tf.distribute.get_replica_context().all_gather(numbers[None, :], axis=0)

    def summed(self, gradients: Sequence[Any]) -> list[Any]:
        """Gradients summed over the replicas, as the optimizer sums them; None stays None."""
        present = [gradient for gradient in gradients if gradient is not None]
        if not present:
            return list(gradients)
        sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, present))
        return [None if gradient is None else next(sums) for gradient in gradients]

    @staticmethod
    def outside(make: Callable[[], _Made]) -> _Made:
        """Call ``make`` where there is no replica, no strategy and no graph.

        A variable made in a replica would become one of the strategy's, and leaving the graph by `tf.init_scope` does
        not leave the replica. What surrounds a thread in TensorFlow is its own, so a new one is free of all that.
        """
        made: list[_Made] = []
        errors: list[Exception] = []

        def work() -> None:
            try:
                made.append(make())
            except Exception as error:  # noqa: BLE001  raised again in the thread that waits
                errors.append(error)

        thread = threading.Thread(target=work, name="gradscope-outside")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return made[0]


def current_replica() -> Replica | None:
    """The replica that the caller stands in, if there are several.

    Raises:
        RecordingError: all replicas are one trace, as on a TPU, so that nobody can tell them apart; or this version of
            Keras trains each of them by itself.
    """
    if not tf.distribute.has_strategy():
        return None
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync < 2:
        return None
    number = tf.get_static_value(context.replica_id_in_sync_group)
    if number is None:
        raise RecordingError(f"{type(context.strategy).__name__} is not supported")
    if not sums_gradients():
        raise RecordingError("this version of Keras does not sum gradients over replicas: install a newer one")
    return Replica(int(number), int(context.num_replicas_in_sync))


def sums_gradients() -> bool:
    """Whether Keras' optimizers sum gradients over replicas.

    Keras 3.3 asks for the sum where there is no replica any more, and gets each one's own gradients.
    """
    update = keras.optimizers.Optimizer._backend_update_step  # noqa: SLF001  nothing else tells
    return "_all_reduce_sum_gradients" in update.__code__.co_names


def is_in_replica() -> bool:
    """Whether the caller stands in a replica of a strategy, and not around it."""
    return tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context()


@dataclass(frozen=True)
class Worker:
    """The part of this process in a training run."""

    alone: bool = True
    """Whether no other process trains with it."""
    chief: bool = True
    """Whether it is the one that writes."""


def worker_of(strategy: Any) -> Worker:
    """The part of this process under a strategy."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return Worker()
    resolver = strategy.cluster_resolver
    tasks = resolver.cluster_spec().as_dict() if resolver is not None else {}
    if sum(len(addresses) for kind, addresses in tasks.items() if kind in ("chief", "worker")) < 2:
        return Worker()
    # Where no task is called the chief, the first worker is.
    return Worker(alone=False, chief=(resolver.task_type, resolver.task_id) == (min(tasks, key=_rank), 0))


def _rank(kind: str) -> int:
    return ("chief", "worker").index(kind) if kind in ("chief", "worker") else 2
