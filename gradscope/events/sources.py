"""Opening event files, wherever they lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from gradscope.events.remote import RemoteFile, is_remote

__all__ = ["Source", "open_source"]


class Source(Protocol):
    """Bytes to be read in pieces."""

    def seek(self, offset: int, /) -> object:
        """Go to a byte."""

    def read(self, count: int, /) -> bytes:
        """At most that many bytes."""

    def close(self) -> None:
        """Close it."""


def open_source(path: str) -> tuple[Source, int]:
    """A file or the URL of one, and the size it has now, in bytes.

    Raises:
        OSError: it cannot be opened.
        RunError: it lies behind a URL, and cannot be opened.
        MissingDependencyError: a package for this kind of URL is not installed.
    """
    if is_remote(path):
        remote = RemoteFile(path)
        return remote, remote.size
    stream = Path(path).open("rb", buffering=0)  # noqa: SIM115  the caller closes it
    return stream, os.fstat(stream.fileno()).st_size
