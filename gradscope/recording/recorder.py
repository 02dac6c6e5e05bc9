"""Recorder: records a training run, as a Keras callback or around a loop of one's own."""

from __future__ import annotations

import functools
import os
import sys
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.interval_loss import IntervalLoss
from gradscope.recording.log import Log
from gradscope.recording.log_budget import LogBudget
from gradscope.recording.loop_step import loop_step, strategy_of
from gradscope.recording.optimizer_state import build_optimizer
from gradscope.recording.probe import Probe
from gradscope.recording.replica import is_in_replica, worker_of
from gradscope.recording.sampled_step import SampledStep, train_function
from gradscope.recording.schedule import Schedule
from gradscope.recording.session import Session
from gradscope.recording.trouble import Trouble
from gradscope.recording.watch import Watch

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Recorder"]

Step = TypeVar("Step", bound=Callable[..., Any])


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the real training step: weights, gradients, updates, activations, and what flows back through them.

    Sampled steps run a second compiled function that measures as it trains; all other steps run the model's own,
    untouched. Between sampled steps the model, its layers and its optimizer are exactly as they were. Nothing a
    Recorder does ends or changes a training run: what fails is logged once (logger ``gradscope``) and recording goes on
    with less, or stops.

    Under `tf.distribute.MirroredStrategy` and `tf.distribute.MultiWorkerMirroredStrategy` a compiled `fit` is recorded
    as the one training it is: gradients summed over the replicas, activations of the whole batch, written by the chief.
    Give every worker a Recorder of the same ``every`` and ``probe``. Several workers must sample the same steps and end
    together: without ``every`` they sample by the step alone, whatever the ``overhead``, and ``stop_on`` does nothing.
    So is a loop of one's own whose step calls ``strategy.run``, where the model was made under that strategy.

    Args:
        log_dir: where to write; made if it is not there. The event file joins what TensorBoard already shows there.
        every: sample every n-th step, from step 0; None (the default) adapts the interval to ``overhead``.
        overhead: share of the training time that recording may take, tracing the first sampled step left out; see
            `gradscope.recording.schedule.Schedule`.
        max_log_bytes: what the log may take in 100,000 steps; samples of large models are taken more rarely, so that it
            does. None: it may take anything. A run that goes on in another recorder's log counts its own bytes. With
            ``every`` only histograms become rarer, and it is said once if the log is larger.
        probe: ``(x, y)``, a fixed batch whose activations and gradients are recorded beside those of the training
            batch, as tensors of kind ``probe_activation`` and so on; or ``x`` alone.
        live: whether to diagnose while training goes on, and print a line when a finding appears.
        stop_on: rules, such as ``{"nonfinite", "vanishing-gradient"}``, whose findings of severity error end `fit`; in
            a loop of one's own look at `stop_reason`.
        summary: whether to print the verdict when training ends.

    Raises:
        RecordingError: ``every`` is not a whole number >= 1, ``overhead`` not in (0, 1], ``max_log_bytes`` not > 0,
            ``log_dir`` not a path, a name in ``stop_on`` not that of a rule, or ``probe`` not a batch.
        MissingDependencyError: TensorFlow or Keras 3 on the tensorflow backend is missing.

    Example:
        >>> import keras, numpy as np, gradscope, tempfile
        >>> model = keras.Sequential([keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 3))
        >>> recorder = gradscope.Recorder(tempfile.mkdtemp(), summary=False)
        >>> _ = model.fit(x, x[:, :1], callbacks=[recorder], verbose=0)
        >>> gradscope.read_run(recorder.log_dir).steps.tolist()
        [0, 1]
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        every: int | None = None,
        overhead: float = 0.01,
        max_log_bytes: float | None = 100e6,
        probe: Any = None,
        live: bool = False,
        stop_on: Iterable[str] = (),
        summary: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(log_dir, (str, os.PathLike)):
            raise RecordingError(f"log_dir={log_dir!r}: give a path as str or os.PathLike")
        self.log_dir = os.fspath(log_dir)
        self.summary = summary
        trouble = Trouble()
        watch = Watch(say=live, stop_on=stop_on)
        budget = LogBudget(max_log_bytes)
        self._session = Session(
            Schedule(every, overhead, budget),
            Log(self.log_dir, trouble, budget, watch if watch.is_wanted else None),
            trouble,
            watch,
            Probe(probe, trouble) if probe is not None else None,
        )
        self._interval_loss = IntervalLoss()
        self._epoch = 0
        self._first_step = 0
        self._optimizer: Callable[[], Any] | None = None  # that the last fit had, if it is still alive

    @property
    def stop_reason(self) -> str | None:
        """Why training should end, by a finding of one of the rules in ``stop_on``; None while it may go on."""
        return self._session.stop_reason

    # -- in fit() ----------------------------------------------------------------------------------------------------
    # on_train_batch_end is left alone on purpose: as long as no callback overrides it, Keras need not wait for the
    # logs of every step.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Find out where this run goes on, and who takes part in it."""
        with self._session.guarded():
            self._session.join(worker_of(getattr(self.model, "distribute_strategy", None)))
            # Among several workers reading it would be an exchange of its own.
            self._session.interval_loss = self._interval_loss if self._session.worker.alone else None
        self._catch_up()
        self._first_step = self._session.next_step
        with self._session.guarded():
            optimizer = getattr(self.model, "optimizer", None)
            if self._optimizer is not None and optimizer is not self._optimizer():
                self._session.schedule.begin_anew(self._first_step)
            self._optimizer = None if optimizer is None else weakref.ref(optimizer)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Follow the optimizer's own count, where it is ahead of ours."""
        self._catch_up()
        self._epoch = epoch
        self._interval_loss.epoch_begins()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Swap in the sampled step, if this one is to be sampled; end training, if it is to end."""
        if self.stop_reason is not None and not self.model.stop_training:
            self.model.stop_training = True
            sys.stdout.write(f"gradscope: training ends: {self.stop_reason}\n")
        span = int(getattr(self.model, "steps_per_execution", 1) or 1)
        ends = self._session.next_step + span - self._first_step if self._is_last(batch + span) else 0
        step = self._session.begin_step(span, ends=ends)
        if step is not None:
            with self._session.guarded():
                self._swap_in(step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """What comes between epochs is no training time."""
        self._session.schedule.clock.pause()
        self._end_epoch()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Validation begins, and will set back what Keras keeps of the epoch."""
        self._end_epoch()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Write the diagnosis into the log, and say it."""
        self._session.interval_loss = None
        self._session.conclude(say=self.summary)

    def _end_epoch(self) -> None:
        with self._session.guarded():
            if self._session.interval_loss is not None:
                self._session.interval_loss.epoch_ends(self.model)

    def _is_last(self, batches: int) -> bool:
        """Whether `fit` is over after so many batches of this epoch, as far as it told us."""
        epochs, steps = (self.params or {}).get("epochs"), (self.params or {}).get("steps")
        return bool(epochs and steps and self._epoch + 1 >= epochs and batches >= steps)

    def _catch_up(self) -> None:
        with self._session.guarded():
            optimizer = getattr(self.model, "optimizer", None)
            if optimizer is not None:
                self._session.catch_up(int(optimizer.iterations.numpy()))

    def _swap_in(self, step: int) -> None:
        """Put a train function in place that samples one step; it takes itself out again before it runs."""
        model, session = self.model, self._session
        own = model.train_function
        if own is None:
            return
        sampled = session.sampled_step(
            model, own, lambda: SampledStep(model, own, train_function(model), session.trouble)
        )

        def sample_once(iterator: Any) -> Any:
            model.train_function = own
            if sampled.is_new:
                # Here, and not earlier: other callbacks may still have frozen a layer.
                build_optimizer(model, session.trouble)
            return session.run(step, sampled, iterator)

        model.train_function = sample_once

    # -- in a loop of one's own --------------------------------------------------------------------------------------

    def wrap(self, train_step: Step, *, model: Any, optimizer: Any = None) -> Step:
        """The same training step, recorded: ``train_step = recorder.wrap(train_step, model=model, optimizer=opt)``.

        Args:
            train_step: runs one step when it is called: eager, or a `tf.function` with whatever options. It takes and
                returns what it likes. Under a strategy, the function that calls ``strategy.run``, once; what that runs
                in each replica should return its share of the loss, such that the shares add up.
            model: the Keras model (or layer) whose layers are watched.
            optimizer: the Keras optimizer that the step applies gradients with, or a list of them, the first of which
                counts the steps; None if the loop changes its variables itself, and tells by `record_gradients` what
                with.

        Returns:
            A function to call in its place. Call `close` when training is over, or use the recorder in a ``with``
            block. A scalar that ``train_step`` returns, the only one of a tuple, or the entry ``"loss"`` of a dict, is
            recorded as the loss; an argument behind the first called ``y``, ``labels`` or ``targets`` as the targets.

        Raises:
            RecordingError: ``train_step`` is not callable, or ``model`` no Keras layer.
        """
        if not callable(train_step):
            raise RecordingError(f"train_step={train_step!r}: give the function that runs one training step")
        if not isinstance(model, keras.layers.Layer):
            raise RecordingError(f"model={model!r}: give the Keras model (or layer) that train_step trains")
        session = self._session
        optimizers = self._watched(optimizer)
        strategy = strategy_of(model)
        with session.guarded():
            session.join(worker_of(strategy))

        def make() -> SampledStep:
            return SampledStep(
                model,
                train_step,
                lambda observer: loop_step(train_step, lambda: observer),
                session.trouble,
                optimizers=optimizers,
                strategy=strategy,
            )

        @functools.wraps(train_step)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            if strategy is not None and is_in_replica():
                session.trouble.report(
                    "nothing is recorded: wrap the function that calls strategy.run, not what it runs"
                )
                return train_step(*args, **kwargs)
            if not tf.executing_eagerly():
                session.trouble.report(
                    "nothing is recorded: wrap the function that Python calls, not what a tf.function runs"
                )
                return train_step(*args, **kwargs)
            if optimizers and session.next_step == 0:
                with session.guarded():
                    session.catch_up(int(optimizers[0].iterations.numpy()))
            step = session.begin_step()
            if step is None:
                return train_step(*args, **kwargs)
            sampled = None
            with session.guarded():
                sampled = session.sampled_step(model, train_step, make)
            if sampled is None:
                return train_step(*args, **kwargs)
            return session.run(step, sampled, *args, **kwargs)

        return recorded  # type: ignore[return-value]

    def _watched(self, optimizer: Any) -> tuple[Any, ...]:
        given = optimizer if isinstance(optimizer, (list, tuple)) else () if optimizer is None else (optimizer,)
        optimizers = tuple(each for each in given if hasattr(each, "iterations"))
        if len(optimizers) < len(given):
            self._session.trouble.report(
                f"optimizer={optimizer!r}: only a Keras optimizer, or a list of them, is watched; tell the gradients of"
                " others by record_gradients"
            )
        return optimizers

    def record_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> None:
        """Tell, inside a wrapped ``train_step``, what gradients it is about to apply without a Keras optimizer.

        In steps that are not sampled it does nothing.

        Args:
            grads_and_vars: pairs of a gradient (a tensor, `tf.IndexedSlices` or None) and the variable it belongs to,
                before the variables are changed.
        """
        sampled = self._session.running
        if sampled is not None:
            sampled.observer.optimizers.given(list(grads_and_vars))

    def close(self) -> None:
        """End the recording of a loop: write the diagnosis into the log and, with ``summary``, say it.

        A later step goes on recording.
        """
        self._session.conclude(say=self.summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
