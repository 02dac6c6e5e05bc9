"""GraphRecorderHook: records the training steps of a MonitoredSession."""

from __future__ import annotations

from typing import Any

from gradscope.recording.frameworks import tf
from gradscope.recording.graph_recorder import GraphRecorder
from gradscope.recording.graph_walk import depends_on

__all__ = ["GraphRecorderHook"]


class GraphRecorderHook(tf.compat.v1.train.SessionRunHook):  # type: ignore[misc]
    """Records the steps of a `tf.compat.v1.train.MonitoredSession`, and closes the recorder when it ends.

    A run counts as a step if something it fetches depends on the observed gradients: evaluations do not. Steps are
    numbered by the global step where the graph has one, and from 0 where it has none.

    Args:
        recorder: whose ``observe`` was called.

    Raises:
        RecordingError: nothing is observed yet.
    """

    def __init__(self, recorder: GraphRecorder) -> None:
        self._recorder = recorder
        self._gradients = recorder.gradient_operations
        self._trains: dict[tuple[str, ...], bool] = {}
        self._step = 0
        self._before: Any = None
        self._is_step = False

    def after_create_session(self, session: Any, coord: Any) -> None:  # noqa: ARG002
        """Find out where this run goes on; also after a session was lost and restored."""
        global_step = tf.compat.v1.train.get_global_step(session.graph)
        if global_step is not None:
            known = self._recorder.measure(session, global_step)
            self._step = self._step if known is None else int(known)

    def before_run(self, run_context: Any) -> Any:
        """Ask for the recorder's numbers, if this is a step to be sampled."""
        self._before = None
        self._is_step = self._is_training(run_context)
        if self._is_step and self._recorder.samples(self._step):
            self._before = self._recorder.measure(run_context.session, self._recorder.before)
        return None if self._before is None else tf.compat.v1.train.SessionRunArgs(self._recorder.fetch)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Write what was sampled."""
        if self._before is not None:
            after = self._recorder.measure(run_context.session, self._recorder.after)
            self._recorder.write(run_values.results, self._step, before=self._before, after=after)
        self._step += self._is_step

    def end(self, session: Any) -> None:  # noqa: ARG002
        """Close the recorder."""
        self._recorder.close()

    def _is_training(self, run_context: Any) -> bool:
        graph = run_context.session.graph
        fetched = tf.nest.flatten(run_context.original_args.fetches, expand_composites=True)
        elements = [graph.as_graph_element(one) for one in fetched]
        operations = [getattr(element, "op", element) for element in elements]
        names = tuple(operation.name for operation in operations)
        if names not in self._trains:
            self._trains[names] = depends_on(operations, self._gradients)
        return self._trains[names]
