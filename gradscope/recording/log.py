"""Log: the run's event file, opened with the first sample and concluded with the diagnosis."""

from __future__ import annotations

import sys
from typing import Any

from gradscope.events.writer import EventWriter
from gradscope.recording.assemble import DEAD_UNIT_WINDOW, Assembler
from gradscope.recording.collector import Measured
from gradscope.recording.sampled_step import SampledStep
from gradscope.recording.trouble import Trouble

__all__ = ["Log"]


class Log:
    """Writes what sampled steps measured; raises OSError where the disk refuses."""

    def __init__(self, log_dir: str, trouble: Trouble) -> None:
        self._log_dir = log_dir
        self._trouble = trouble
        self._assembler = Assembler()
        self._writer: EventWriter | None = None
        self._described: SampledStep | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything was written."""
        return self._writer is not None

    def write(
        self,
        step: int,
        sampled: SampledStep,
        measured: Measured,
        *,
        keep_histograms: bool,
        settings: dict[str, Any],
        started: float,
    ) -> None:
        """Write one sampled step, and the model card before the first of each model."""
        writer = self._open(step)
        if self._described is not sampled:
            card = sampled.model_card({**settings, "dead_unit_window": DEAD_UNIT_WINDOW})
            writer.write_model_card(card, step)
            self._described = sampled
        sample = self._assembler.assemble(measured, step, keep_histograms=keep_histograms, started=started)
        writer.write_sample(sample)

    def _open(self, step: int) -> EventWriter:
        if self._writer is None:
            writer = EventWriter(self._log_dir)
            self._writer = writer
            for text in self._trouble.texts:
                writer.write_trouble(text, step)
            self._trouble.write = lambda text: writer.write_trouble(text, step)
        return self._writer

    def conclude(self, step: int, *, say: bool) -> None:
        """Judge what was recorded so far, write the report for TensorBoard's Text tab, and print the verdict."""
        from gradscope.diagnosis.engine import diagnose
        from gradscope.events.reader import read_run
        from gradscope.reports.json_document import to_json
        from gradscope.reports.markdown import to_markdown

        if self._writer is None:
            return
        self._writer.close()  # until training goes on, if it does
        diagnosis = diagnose(read_run(self._log_dir))
        self._writer.write_findings(to_json(diagnosis), step)
        self._writer.write_report(to_markdown(diagnosis), step)
        self._writer.close()
        if say:
            sys.stdout.write(f"gradscope: {diagnosis.sentence}\n  The whole report: gradscope check {self._log_dir}\n")
