"""EventWriter: samples in, an event file out that both gradscope and TensorBoard read.

It runs inside the training process and imports no TensorFlow. A record is on disk when the call that wrote it returns,
so a killed run loses at most the step it was in.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import socket
import time
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

from gradscope.events.frames import frame
from gradscope.events.sample import Sample
from gradscope.events.stock import report_value, stock_values
from gradscope.events.summaries import array_value, metadata, text_value
from gradscope.histograms import BUCKETS
from gradscope.model_card import ModelCard
from gradscope.run import TensorKey
from gradscope.vocabulary import FORMAT_VERSION, PLUGIN_NAME, STATISTIC_NAMES, STEP_STATISTIC_NAMES, Tag

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EventWriter", "Sample"]

_REPEAT_NAMES = 32  # names are written again with every so many events of a tag, so that no single damage costs them

_file_numbers = itertools.count()


class EventWriter:
    """Writes one event file, ``events.out.tfevents.<seconds>.<host>.<pid>.<n>.gradscope``.

    Every method raises `OSError` as it comes (disk full, directory removed); the file then still ends with the last
    whole record, and writing may go on.

    Example:
        >>> import tempfile
        >>> from gradscope.events.writer import EventWriter
        >>> with EventWriter(tempfile.mkdtemp()) as writer:
        ...     writer.write_trouble("layer 'lambda' has no output to record", step=0)
    """

    path: str
    bytes_written: int
    histogram_bytes: int
    """Those of them that are events with histograms."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Create ``directory`` if it is missing, and the file in it."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        self.path, self._stream = _create(Path(directory))
        self.bytes_written = self.histogram_bytes = 0
        self._close_at_last()
        self._statistics = _Series(Tag.STATISTICS)
        self._step = _Series(Tag.STEP)
        self._histograms = _Series(Tag.HISTOGRAMS)
        self._troubles: list[str] = []
        self._write([Event(wall_time=time.time(), file_version="brain.Event:2")])

    def write_model_card(self, card: ModelCard, step: int) -> None:
        """Describe the model as it is from ``step`` on."""
        self._write_text(Tag.MODEL_CARD, json.dumps(card.to_json()), step)

    def write_sample(self, sample: Sample) -> None:
        """Write all that one sampled step gave: packed tensors, and what TensorBoard's own tabs show."""
        names = [name for name in STEP_STATISTIC_NAMES if name in sample.step_statistics]
        progress = np.array([sample.step_statistics[name] for name in names], np.float32)
        packed = [
            self._statistics.value(np.asarray(sample.values, np.float32), sample.tensors, STATISTIC_NAMES),
            self._step.value(progress, (), names),
        ]
        events = [_event(sample.step, sample.wall_time, packed)]
        if sample.histograms is not None:
            value = self._histograms.value(_non_empty(sample.histograms), sample.tensors, ())
            events.append(_event(sample.step, sample.wall_time, [value]))
        stock = list(stock_values(sample))
        if stock:
            events.append(_event(sample.step, sample.wall_time, stock))
        first, *rest = (frame(event.SerializeToString()) for event in events)
        self._write_frames([first, *rest])
        if sample.histograms is not None:
            self.histogram_bytes += sum(map(len, rest))

    def write_trouble(self, text: str, step: int) -> None:
        """Say what could not be recorded, and why; the event holds all troubles so far.

        TensorBoard keeps one event per tag and step, so a second trouble at a step has to repeat the first.
        """
        self._troubles.append(text)
        self._write_text(Tag.TROUBLE, json.dumps(self._troubles), step)

    def write_findings(self, document: str, step: int) -> None:
        """Write the diagnosis, a JSON document."""
        self._write_text(Tag.FINDINGS, document, step)

    def write_report(self, markdown: str, step: int) -> None:
        """Write the report for TensorBoard's Text tab."""
        self._write([_event(step, time.time(), [report_value(markdown)])])

    def flush(self) -> None:
        """Have the operating system put the file on the device; what was written is readable by others before."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; once is enough, twice does no harm, and a later write opens it again."""
        self._stream.close()

    def _close_at_last(self) -> None:
        # A training run that an exception ends never says that it is over.
        weakref.finalize(self, self._stream.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write_text(self, tag: str, text: str, step: int) -> None:
        about = metadata(PLUGIN_NAME, json.dumps({"format": FORMAT_VERSION}).encode())
        self._write([_event(step, time.time(), [text_value(tag, text, about)])])

    def _write(self, events: Iterable[Event]) -> None:
        self._write_frames(frame(event.SerializeToString()) for event in events)

    def _write_frames(self, frames: Iterable[bytes]) -> None:
        rest = memoryview(b"".join(frames))
        size = len(rest)
        if self._stream.closed:
            self._stream = io.FileIO(self.path, "r+b")
            self._stream.seek(self.bytes_written)
            self._close_at_last()
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError:
            # TensorBoard gives up on a file at the first broken record, so none may stay behind.
            with contextlib.suppress(OSError):
                self._stream.truncate(self.bytes_written)
                self._stream.seek(self.bytes_written)
            raise
        self.bytes_written += size


class _Series:
    """A packed tag, and the numbered tags that follow it when what its rows and columns mean changes.

    TensorBoard knows a tag's names from its first event only.
    """

    def __init__(self, tag: str) -> None:
        self._tag = tag
        # Lists, since comparing names with the very same ones takes no time, and hashing them does.
        self._names: list[tuple[Sequence[TensorKey], tuple[str, ...]]] = []
        self._written: list[int] = []

    def value(
        self, array: npt.NDArray[np.generic], tensors: Sequence[TensorKey], statistics: Sequence[str]
    ) -> Summary.Value:
        names = (tensors, tuple(statistics))
        if names not in self._names:
            self._names.append(names)
            self._written.append(0)
        number = self._names.index(names)
        tag = self._tag if number == 0 else f"{self._tag}#{number + 1}"
        about = _names(tensors, statistics) if self._written[number] % _REPEAT_NAMES == 0 else None
        self._written[number] += 1
        return array_value(tag, array, about)


def _names(tensors: Sequence[TensorKey], statistics: Sequence[str]) -> SummaryMetadata:
    content = {
        "format": FORMAT_VERSION,
        "tensors": [[key.kind, key.name, key.layer] for key in tensors],
        "statistics": list(statistics),
    }
    return metadata(PLUGIN_NAME, json.dumps(content).encode())


def _non_empty(histograms: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """``[n, 3]`` of (tensor, bucket, count); a count beyond int32 stays at its greatest value."""
    places = np.flatnonzero(histograms)
    result = np.empty((len(places), 3), np.int32)
    result[:, 0], result[:, 1] = np.divmod(places, BUCKETS)
    result[:, 2] = np.minimum(histograms.reshape(-1)[places], np.iinfo(np.int32).max)
    return result


def _event(step: int, wall_time: float, values: Sequence[Summary.Value]) -> Event:
    return Event(step=step, wall_time=wall_time, summary=Summary(value=values))


def _create(directory: Path) -> tuple[str, io.FileIO]:
    """A new, unbuffered file; its name sorts behind those of earlier writers."""
    while True:
        prefix = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        path = str(directory / f"{prefix}.{next(_file_numbers):03d}.gradscope")
        with contextlib.suppress(FileExistsError):
            return path, io.FileIO(path, "xb")
