"""Session: what a Recorder keeps over a run, whatever the loop: the steps, the schedule, the log, the trouble."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gradscope.recording.assemble import DEAD_UNIT_WINDOW
from gradscope.recording.collector import Measured
from gradscope.recording.interval_loss import IntervalLoss
from gradscope.recording.log import Log
from gradscope.recording.replica import Worker
from gradscope.recording.sampled_step import SampledStep
from gradscope.recording.schedule import Schedule
from gradscope.recording.trouble import Trouble, describe_error
from gradscope.recording.watch import Watch

__all__ = ["Session"]


@dataclass
class Session:
    """Counts steps, decides which are sampled, runs those and hands what they measured to the log."""

    schedule: Schedule
    log: Log
    trouble: Trouble
    watch: Watch = field(default_factory=lambda: Watch(say=False, stop_on=()))
    probe: Callable[[SampledStep], Measured | None] | None = None
    """Measures a fixed batch after a sampled step."""
    interval_loss: IntervalLoss | None = None
    """Set in `fit`, where Keras keeps a running mean of the loss."""
    worker: Worker = field(default_factory=Worker)
    next_step: int = 0
    stopped: bool = False
    """Recording has stopped; training has not."""
    running: SampledStep | None = field(default=None, repr=False)
    """The sampled step that runs at this moment."""
    _sampled: SampledStep | None = field(default=None, repr=False)

    @property
    def stop_reason(self) -> str | None:
        """Why training is to end, if it is; never among several workers: one that ends leaves the others waiting."""
        return self.watch.stop_reason if self.worker.alone else None

    def join(self, worker: Worker) -> None:
        """Take part in a training of several workers, of which only the chief writes.

        Sampled steps exchange values, so from here on all workers must sample the same ones: neither a clock nor the
        fate of one worker's log may have a say in it.
        """
        self.worker = worker
        self.schedule.in_step = not worker.alone
        if self.watch.may_stop and not worker.alone:
            self.trouble.report("stop_on does nothing under a strategy of several workers")

    def begin_step(self, span: int = 1, *, ends: int = 0) -> int | None:
        """The next ``span`` steps begin; the number of the last if they are to be sampled, else None.

        If they are the last ones of a `fit`, ``ends`` is the number of steps it had.
        """
        self.schedule.clock.step_begins(time.perf_counter())
        first, self.next_step = self.next_step, self.next_step + span
        if self.stopped or (self.log.failed and self.worker.alone) or not self.schedule.samples(first, span, ends=ends):
            return None
        return first + span - 1

    def catch_up(self, iterations: int) -> None:
        """Follow an optimizer's own count, where it is ahead."""
        self.next_step = max(self.next_step, iterations)

    def sampled_step(self, model: Any, own: Callable[..., Any], make: Callable[[], SampledStep]) -> SampledStep:
        """The sampled form of a step: the one there is, or a new one where model or step have changed."""
        if self._sampled is None or not self._sampled.stands_for(model, own):
            self._sampled = make()
        return self._sampled

    def run(self, step: int, sampled: SampledStep, *args: Any, **kwargs: Any) -> Any:
        """Run a sampled step, hand on what it measured, and return what the step returned."""
        started, first = time.perf_counter(), sampled.is_new
        self.running = sampled
        try:
            outputs, measured = sampled.run(*args, **kwargs)
        finally:
            self.running = None
        if measured is None:
            self.stopped = self.stopped or sampled.failed
            return outputs
        with self.guarded():
            if self.probe is not None and (seen := self.probe(sampled)) is not None:
                measured = measured.joined(seen)
            if self.interval_loss is not None:
                loss = self.interval_loss.read(sampled.model, sampled.loss_metric)
                if loss is not None:
                    measured = measured.with_scalar(("step", "", "interval_loss"), loss)
            self.schedule.sampled(step)
            clock = self.schedule.clock
            before = clock.recording_seconds
            clock.sampled(time.perf_counter() - started, first=first)
            if self.worker.chief:
                self.log.write(
                    step,
                    measured,
                    sampled.model_card({"every": self.schedule.every, "dead_unit_window": DEAD_UNIT_WINDOW}),
                    keep_histograms=self.schedule.keeps_histograms(step),
                    seconds=clock.recording_seconds - before,
                )
        return outputs

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """A block whose failure stops recording, and not training."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
            if self.worker.alone:
                self.stopped = True
            else:
                self.log.failed = True  # the others wait for this worker in their next sampled step
            self.trouble.report(f"recording stops, training goes on: {describe_error(error)}")

    def conclude(self, *, say: bool) -> None:
        """Judge what was recorded, write it into the log and, if asked to, say it."""
        if self.stopped or self.log.failed or not self.log.is_open:
            return
        clock = self.schedule.clock
        clock.pause()
        settings = {
            "overhead": clock.overhead,
            "recording_seconds": clock.recording_seconds,
            "startup_seconds": clock.startup_seconds,
            "training_seconds": clock.training_seconds,
        }
        with self.guarded():
            self.log.conclude(self.next_step - 1, settings, say=say)
