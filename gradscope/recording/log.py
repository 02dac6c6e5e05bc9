"""Log: the run's event file, written by a thread of its own and concluded with the diagnosis."""

from __future__ import annotations

import atexit
import queue
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from gradscope.errors import RecordingError
from gradscope.events.writer import EventWriter
from gradscope.model_card import ModelCard
from gradscope.recording.assemble import Assembler
from gradscope.recording.collector import Measured
from gradscope.recording.log_budget import LogBudget
from gradscope.recording.trouble import Trouble, describe_error
from gradscope.recording.watch import Watch

__all__ = ["Log"]

_QUEUE_LENGTH = 16
"""Samples that may wait to be written; training waits for the disk only when it is this far behind."""
_PATIENCE_SECONDS = 30.0
"""How long training waits for a writer that does not answer before it goes on without."""


class Log:
    """Takes what sampled steps measured, and writes it off the training thread.

    A failure to write is reported once; `failed` is then True, and what comes later is dropped.
    """

    def __init__(self, log_dir: str, trouble: Trouble, budget: LogBudget, watch: Watch | None = None) -> None:
        self._log_dir = log_dir
        self._trouble = trouble
        self._budget = budget
        self._watch = watch
        self._assembler = Assembler()
        self._writer: EventWriter | None = None
        self._described: ModelCard | None = None
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(_QUEUE_LENGTH)
        self._thread: threading.Thread | None = None
        self.failed = False

    @property
    def is_open(self) -> bool:
        """Whether anything was handed over to be written."""
        return self._described is not None

    # -- on the training thread --------------------------------------------------------------------------------------

    def write(self, step: int, measured: Measured, card: ModelCard, *, keep_histograms: bool, seconds: float) -> None:
        """Hand over one sampled step; the card is written before the first sample of each model."""
        if self._budget.is_exceeded(step):
            said = f"the log has passed max_log_bytes={self._budget.max_bytes:g}: a larger every= keeps it smaller"
            self._trouble.report(said)
        is_new = card is not self._described
        self._described = card

        def work() -> None:
            writer = self._open(step)
            if is_new:
                writer.write_model_card(card, step)
            sample = self._assembler.assemble(measured, step, keep_histograms=keep_histograms, seconds=seconds)
            writer.write_sample(sample)
            self._budget.wrote(writer.bytes_written, histogram_bytes=writer.histogram_bytes)
            if self._watch is not None:
                self._watch.sampled(self._log_dir, sample)

        self._hand_over(work)

    def conclude(self, step: int, settings: dict[str, Any], *, say: bool) -> None:
        """Judge what was recorded so far, write the report for TensorBoard's Text tab, and print the verdict.

        Args:
            step: the last step.
            settings: what is known about the run only now; added to the model card.
            say: whether to print.
        """
        sentences: list[str] = []
        self._hand_over(lambda: sentences.append(self._judge(step, settings)))
        self._finish()
        if say and sentences:
            sys.stdout.write(f"gradscope: {sentences[0]}\n  The whole report: gradscope check {self._log_dir}\n")

    def _hand_over(self, work: Callable[[], None]) -> None:
        if self.failed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gradscope-log", daemon=True)
            self._thread.start()
            atexit.register(_finish_at_exit, weakref.ref(self))
        if not self._thread.is_alive():
            raise RecordingError("the thread that writes the log has died")
        try:
            self._work.put(work, timeout=_PATIENCE_SECONDS)
        except queue.Full:
            raise RecordingError(f"the log was not written for {_PATIENCE_SECONDS:.0f} s") from None

    def _finish(self) -> None:
        """Wait until all is written, and let the thread go; a later write starts another."""
        if self._thread is not None and self._thread.is_alive():
            self._work.put(None, timeout=_PATIENCE_SECONDS)
            self._thread.join(_PATIENCE_SECONDS)
        self._thread = None

    # -- on the log's own thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if self.failed:
                continue
            try:
                work()
            except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
                self.failed = True
                self._trouble.report(f"recording stops, training goes on: {describe_error(error)}")
        if self._writer is not None:
            self._writer.close()

    def _open(self, step: int) -> EventWriter:
        if self._writer is None:
            writer = EventWriter(self._log_dir)
            self._writer = writer
            for text in self._trouble.texts:
                writer.write_trouble(text, step)
            # A trouble is noted on the training thread, and may be about the log itself.
            self._trouble.write = lambda text: self._hand_over(lambda: writer.write_trouble(text, step))
        return self._writer

    def _judge(self, step: int, settings: dict[str, Any]) -> str:
        from gradscope.configuration.here import diagnose_here
        from gradscope.events.reader import read_run
        from gradscope.reports.json_document import to_json
        from gradscope.reports.markdown import to_markdown

        writer = self._open(step)
        if self._described is not None:
            writer.write_model_card(self._described.with_settings(settings), step)
        diagnosis = diagnose_here(read_run(self._log_dir))
        writer.write_findings(to_json(diagnosis), step)
        writer.write_report(to_markdown(diagnosis), step)
        return diagnosis.sentence


def _finish_at_exit(log: weakref.ref[Log]) -> None:
    if (alive := log()) is not None:
        alive._finish()  # noqa: SLF001  the same module
