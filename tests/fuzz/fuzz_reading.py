"""Coverage-guided fuzzing of reading and judging: whatever the bytes, only gradscope's own errors, in bounded memory.

    pip install atheris
    python tests/fuzz/fuzz_reading.py tests/fuzz/corpus -max_total_time=60

libFuzzer mutates the small event files of the corpus. Since random changes hardly ever hit a right checksum, the input
is taken as a list of payloads, which are framed here; every 16th is read as the bytes of the file itself.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    import atheris

    # Only what is imported from here on reports its coverage.
    with atheris.instrument_imports(include=["gradscope"]):
        import gradscope.diagnosis.engine
        import gradscope.events.reader  # noqa: F401

from gradscope.diagnosis.engine import diagnose
from gradscope.errors import GradscopeError
from gradscope.events.frames import frame
from gradscope.events.reader import read_run

SEPARATOR = b"\x00gradscope-fuzz\x00"
"""Stands between the payloads in a corpus file."""

_FILE = Path(tempfile.mkdtemp()) / "events.out.tfevents.1"


def event_file(data: bytes) -> bytes:
    """The event file that an input stands for."""
    if data[:1] and data[0] % 16 == 0:
        return data[1:]
    return b"".join(map(frame, data.split(SEPARATOR)))


def test_one_input(data: bytes) -> None:
    """Read and judge; any error but gradscope's own is a bug."""
    _FILE.write_bytes(event_file(data))
    try:
        run = read_run(_FILE)
    except GradscopeError:
        return
    diagnosis = diagnose(run)
    broken = [verdict for verdict in diagnosis.verdicts if verdict.reason.startswith("internal error")]
    assert not broken, broken
    _ = run.histograms


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
