"""Recorder: the Keras callback that records a training run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras
from gradscope.recording.log import Log
from gradscope.recording.sampled_step import SampledStep
from gradscope.recording.schedule import Schedule
from gradscope.recording.trouble import Trouble

__all__ = ["Recorder"]


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Records the real training step: weights, gradients, updates, activations, and what flows back through them.

    Sampled steps run a second compiled train function that measures as it trains; all other steps run the model's own,
    untouched. Between sampled steps the model, its layers and its optimizer are exactly as they were. Nothing a
    Recorder does ends or changes a training run: what fails is logged once (logger ``gradscope``) and recording goes on
    with less, or stops.

    Args:
        log_dir: where to write; made if it is not there. The event file joins what TensorBoard already shows there.
        every: sample every n-th step, from step 0; None (the default) samples densely at first and sparsely later, see
            `gradscope.recording.schedule.Schedule`.
        summary: whether to print the verdict when training ends.

    Raises:
        RecordingError: ``every`` is not a whole number >= 1, or ``log_dir`` is not a path.
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

    def __init__(self, log_dir: str | os.PathLike[str], *, every: int | None = None, summary: bool = True) -> None:
        super().__init__()
        if not isinstance(log_dir, (str, os.PathLike)):
            raise RecordingError(f"log_dir={log_dir!r}: give a path as str or os.PathLike")
        self.log_dir = os.fspath(log_dir)
        self.every = every
        self.summary = summary
        self._schedule = Schedule(every)
        self._trouble = Trouble()
        self._log = Log(self.log_dir, self._trouble)
        self._next_step = 0
        self._step: SampledStep | None = None
        self._stopped = False

    # -- the callback ------------------------------------------------------------------------------------------------
    # on_train_batch_end is left alone on purpose: as long as no callback overrides it, Keras need not wait for the
    # logs of every step.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Find out where this run goes on."""
        self._guarded(self._catch_up)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Follow the optimizer's own count, where it is ahead of ours."""
        self._guarded(self._catch_up)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Swap in the sampled step, if this one is to be sampled."""
        span = int(getattr(self.model, "steps_per_execution", 1) or 1)
        step, self._next_step = self._next_step, self._next_step + span
        if not self._stopped and self._schedule.samples(step, span):
            self._guarded(lambda: self._swap_in(step + span - 1))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Write the diagnosis into the log, and say it."""
        if not self._stopped and self._log.is_open:
            self._guarded(lambda: self._log.conclude(self._next_step - 1, say=self.summary))

    # -- how it is done ----------------------------------------------------------------------------------------------

    def _guarded(self, action: Callable[[], None]) -> None:
        before = len(self._trouble.texts)
        with self._trouble.instead_of_raising("recording stops, training goes on"):
            action()
        if len(self._trouble.texts) > before and self._trouble.texts[-1].startswith("recording stops"):
            self._stopped = True

    def _catch_up(self) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            self._next_step = max(self._next_step, int(optimizer.iterations.numpy()))

    def _swap_in(self, step: int) -> None:
        """Put a train function in place that samples one step; it takes itself out again before it runs."""
        model = self.model
        own = model.train_function
        if own is None:
            return
        if self._step is None or not self._step.fits(model, own):
            self._step = SampledStep(model, own, self._trouble)
        sampled = self._step

        def sample_once(iterator: Any) -> Any:
            model.train_function = own
            outputs, measured = sampled.run(iterator)
            started = time.perf_counter()
            if measured is None:
                self._stopped = self._stopped or sampled.failed
            else:
                self._guarded(lambda: self._write(step, sampled, measured, started))
            return outputs

        model.train_function = sample_once

    def _write(self, step: int, sampled: SampledStep, measured: Any, started: float) -> None:
        self._schedule.sampled(step)
        keep = self._schedule.keeps_histograms(step)
        self._log.write(step, sampled, measured, keep_histograms=keep, settings={"every": self.every}, started=started)
