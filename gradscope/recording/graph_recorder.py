"""GraphRecorder: records the training steps of a TF1 graph, run by a session."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gradscope.errors import RecordingError
from gradscope.model_card import ModelCard
from gradscope.recording import graph_arguments as arguments
from gradscope.recording.assemble import DEAD_UNIT_WINDOW
from gradscope.recording.collector import Measured
from gradscope.recording.frameworks import tf
from gradscope.recording.graph_fetch import join
from gradscope.recording.graph_observation import GraphObservation, Pairs
from gradscope.recording.log import Log
from gradscope.recording.log_budget import LogBudget
from gradscope.recording.schedule import Schedule
from gradscope.recording.scope import SCOPE
from gradscope.recording.session import Session
from gradscope.recording.trouble import Trouble, describe_error

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GraphRecorder"]


class GraphRecorder:
    """Records the training steps of a TF1 graph: weights, gradients, updates, activations, and what flows back.

    Unsampled steps run exactly what the user fetches. Once the graph is observed, nothing a recorder does ends or
    changes a training run: what fails is logged once (logger ``gradscope``) and recording goes on with less, or stops.

    Args:
        log_dir: where to write; made if it is not there.
        every: sample every n-th step, from step 0; None (the default) adapts the interval to ``overhead``.
        overhead: share of the training time that recording may take, its first step left out; see
            `gradscope.recording.schedule.Schedule`.
        max_log_bytes: what the log may take in 100,000 steps; samples of large models are taken more rarely, so that it
            does. None: it may take anything. A run that goes on in another recorder's log counts its own bytes. With
            ``every`` only histograms become rarer, and it is said once if the log is larger.
        summary: whether `close` prints the verdict.

    Raises:
        RecordingError: ``every`` is not a whole number >= 1, ``overhead`` not in (0, 1], ``max_log_bytes`` not > 0, or
            ``log_dir`` not a path.

    Example:
        >>> import gradscope, tempfile
        >>> import tensorflow.compat.v1 as tf
        >>> from gradscope.recording.graph_v1 import GraphRecorder
        >>> log_dir = tempfile.mkdtemp()
        >>> with tf.Graph().as_default(), GraphRecorder(log_dir, every=1, summary=False) as recorder:
        ...     x = tf.placeholder(tf.float32, [None, 1])
        ...     y = tf.matmul(x, tf.get_variable("w", [1, 1]))
        ...     loss = tf.reduce_mean(tf.square(y - x))
        ...     optimizer = tf.train.GradientDescentOptimizer(0.1)
        ...     grads_and_vars = optimizer.compute_gradients(loss)
        ...     train_op = optimizer.apply_gradients(grads_and_vars)
        ...     fetch = recorder.observe(grads_and_vars=grads_and_vars, activations={"y": y}, loss=loss)
        ...     with tf.Session() as session:
        ...         _ = session.run(tf.global_variables_initializer())
        ...         for step in range(3):
        ...             _ = recorder.run(session, train_op, {x: [[1.0], [2.0]]}, step=step)
        >>> gradscope.read_run(log_dir).names("update")
        ('y/w',)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        every: int | None = None,
        overhead: float = 0.01,
        max_log_bytes: float | None = 100e6,
        summary: bool = True,
    ) -> None:
        if not isinstance(log_dir, (str, os.PathLike)):
            raise RecordingError(f"log_dir={log_dir!r}: give a path as str or os.PathLike")
        self.log_dir = os.fspath(log_dir)
        self.summary = summary
        trouble, budget = Trouble(), LogBudget(max_log_bytes)
        self._session = Session(Schedule(every, overhead, budget), Log(self.log_dir, trouble, budget), trouble)
        self._observed: GraphObservation | None = None
        self._card: ModelCard | None = None
        self._last_step = -1
        self._began = math.nan

    # -- while the graph is being built ------------------------------------------------------------------------------

    def observe(
        self,
        *,
        grads_and_vars: Pairs,
        activations: Mapping[str, Any] | None = None,
        preactivations: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        outputs: Iterable[str] = (),
        clipped_grads_and_vars: Pairs | None = None,
        targets: Mapping[str, Any] | None = None,
        loss: Any = None,
        learning_rate: Any = None,
    ) -> Any:
        """Add what measures to the default graph; to be called in it, before a `MonitoredSession` finalises it.

        Args:
            grads_and_vars: what ``optimizer.compute_gradients`` gave, before clipping.
            activations: the layers' outputs, by the names that are to stand for the layers.
            preactivations: z of those whose activation function the graph does not show, by the same names.
            inputs: what the network is fed. Without it floating placeholders and iterators count as its input.
            outputs: names of the activations that are the network's outputs. Without it they are those from which no
                other activation is computed.
            clipped_grads_and_vars: what ``optimizer.apply_gradients`` is given, if that differs.
            targets: what the outputs are to be. Without it they are read off the operations of the loss, where it is a
                cross-entropy of logits, a squared or an absolute difference.
            loss: the tensor that was differentiated; with it activation gradients are recorded.
            learning_rate: a number or a tensor.

        Returns:
            What to fetch along with the training operation of a sampled step, for `write`.

        Raises:
            RecordingError: an argument is of another kind, or of another graph; observed twice.
        """
        if self._observed is not None:
            raise RecordingError("observe was called twice: give each graph a GraphRecorder of its own")
        graph = arguments.current_graph()
        named = arguments.tensors("activations", activations, graph)
        self._observed = GraphObservation(
            self._session.trouble,
            grads_and_vars=arguments.pairs("grads_and_vars", grads_and_vars, graph),
            clipped_grads_and_vars=arguments.pairs("clipped_grads_and_vars", clipped_grads_and_vars or (), graph),
            activations=named,
            preactivations=arguments.tensors("preactivations", preactivations, graph, known=named),
            inputs=arguments.tensors("inputs", inputs, graph),
            outputs=arguments.names("outputs", outputs, known=named),
            targets=arguments.tensors("targets", targets, graph),
            loss=arguments.number("loss", loss, graph),
            learning_rate=arguments.number("learning_rate", learning_rate, graph),
        )
        return self._observed.during

    @property
    def before(self) -> Any:
        """What to fetch before a sampled step, for `write`: it measures the weights and keeps a copy of them."""
        return self._require().before

    @property
    def fetch(self) -> Any:
        """What to fetch along with the training operation of a sampled step; the same as `observe` returned."""
        return self._require().during

    @property
    def after(self) -> Any:
        """What to fetch after a sampled step that `before` was fetched for: it measures what the step changed."""
        return self._require().after

    @property
    def gradient_operations(self) -> frozenset[str]:
        """Names of the operations that the observed gradients come from."""
        return self._require().gradient_operations

    def _require(self) -> GraphObservation:
        if self._observed is None:
            raise RecordingError("nothing is observed yet: call observe while the graph is being built")
        return self._observed

    # -- while it trains ---------------------------------------------------------------------------------------------

    def run(self, session: Any, fetches: Any, feed_dict: Any = None, *, step: int, **options: Any) -> Any:
        """Run one training step and record it if it is to be sampled: stands in for ``session.run``.

        Args:
            session: a `tf.compat.v1.Session` on the observed graph.
            fetches: with the training operation among them.
            feed_dict: as for ``session.run``.
            step: 0-based number of the step; goes up from call to call.
            **options: further arguments of ``session.run``.

        Returns:
            What ``session.run(fetches, feed_dict, **options)`` does. Its errors pass; those of the recorder's own
            operations are reported, and the step is run again without them.
        """
        before = self.measure(session, self.before) if self.samples(step) else None
        if before is None:
            return session.run(fetches, feed_dict, **options)
        try:
            results, seen = session.run([fetches, self.fetch], feed_dict, **options)
        except tf.errors.OpError as error:
            if not _is_ours(error):
                raise
            self._session.stopped = True
            self._session.trouble.report(f"recording stops, training goes on: {describe_error(error)}")
            return session.run(fetches, feed_dict, **options)
        self.write(seen, step, before=before, after=self.measure(session, self.after))
        return results

    def samples(self, step: int) -> bool:
        """Whether this step is to be recorded; to be asked once, when the step begins. Never raises."""
        session = self._session
        if self._observed is None:
            session.trouble.report("nothing is recorded: observe was not called")
            return False
        with session.guarded():
            session.next_step = int(step)
            self._began = time.perf_counter()
            return session.begin_step() is not None
        return False

    def measure(self, session: Any, fetch: Any) -> Any:
        """Run `before` or `after` by itself; None, and a report, where that fails."""
        with self._session.guarded():
            return session.run(fetch)
        return None

    def write(self, seen: Any, step: int, *, before: Any = None, after: Any = None) -> None:
        """Write one sampled step; never raises.

        Args:
            seen: what the session gave for `fetch`.
            step: 0-based number of the step; a step not above the last one written is left out.
            before: what it gave for `before`; without it no weights are recorded.
            after: what it gave for `after`; without it no updates are.
        """
        if not self._session.stopped:
            with self._session.guarded():
                self._write(join(zip(self._require().layouts, (before, seen, after), strict=True)), int(step))

    def _write(self, measured: Measured, step: int) -> None:
        session, observed = self._session, self._require()
        schedule, clock = session.schedule, session.schedule.clock
        if step <= self._last_step:
            session.trouble.report("steps do not go up: those not above the last recorded one are left out")
            return
        is_first, self._last_step = self._card is None, step
        if self._card is None:
            self._card = observed.model_card({"every": schedule.every, "dead_unit_window": DEAD_UNIT_WINDOW})
        schedule.sampled(step)
        spent = clock.recording_seconds
        if not math.isnan(self._began):
            clock.sampled(time.perf_counter() - self._began, first=is_first)
        keep, spent = schedule.keeps_histograms(step), clock.recording_seconds - spent
        session.log.write(step, measured, self._card, keep_histograms=keep, seconds=spent)

    # -- when it is over ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Judge what was recorded, write the report into the log and print the verdict; never raises."""
        self._session.conclude(say=self.summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _is_ours(error: Exception) -> bool:
    # An error of the model's own operations has to reach the user, as it would without a recorder.
    return SCOPE in str(error) or isinstance(error, tf.errors.ResourceExhaustedError)
