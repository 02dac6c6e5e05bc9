"""Event files behind a URL: found and read through fsspec, by ranges.

fsspec and what it needs for a scheme are imported when a path has ``://`` in it, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from gradscope.errors import MissingDependencyError, RunNotFoundError, UnreadableRunError

__all__ = ["RemoteFile", "find_remote_runs", "is_remote", "remote_event_files"]

_AHEAD = 4 << 20  # bytes asked for at once
_Answer = TypeVar("_Answer")


def is_remote(path: str) -> bool:
    """True for a URL."""
    return "://" in path


class RemoteFile:
    """A file to be read in pieces; whatever its file system raises becomes an `OSError`."""

    size: int
    """Bytes, when it was opened."""

    def __init__(self, url: str) -> None:
        """Open it.

        Raises:
            OSError: it cannot be opened.
            RunNotFoundError: there is nothing.
            MissingDependencyError: a package for this kind of URL is not installed.
        """
        system = _file_system(url)
        self._stream = _ask(url, lambda: system.open(url, "rb", block_size=_AHEAD))
        size = getattr(self._stream, "size", None)
        if size is None:
            size = _ask(url, lambda: system.size(url))
        if size is None:
            raise UnreadableRunError(f"{url}: its server does not tell its size; copy it here and read that")
        self.size = int(size)

    def seek(self, offset: int) -> None:
        """Go to a byte."""
        self._stream.seek(offset)

    def read(self, count: int) -> bytes:
        """At most that many bytes."""
        try:
            data: bytes = self._stream.read(count)
        except OSError:
            raise
        except Exception as error:  # each file system has errors of its own
            raise OSError(0, f"{type(error).__name__}: {error}") from error
        return data

    def close(self) -> None:
        """Close it."""
        self._stream.close()


def remote_event_files(url: str, mark: str) -> list[str]:
    """The event files that make up one run: those directly at ``url``, in order of name, or the file itself.

    Raises:
        RunNotFoundError: nothing there, or no event file.
        UnreadableRunError: the file system refuses.
        MissingDependencyError: a package for this kind of URL is not installed.
    """
    system = _file_system(url)
    if _ask(url, lambda: system.isfile(url)):
        return [url]
    entries = _ask(url, lambda: system.ls(url, detail=True))
    names = [entry["name"] for entry in entries if entry["type"] == "file" and mark in _leaf(entry["name"])]
    if not names:
        raise RunNotFoundError(
            f"{url}: no event file (a name with {mark!r}) here; give the directory that was passed to "
            "gradscope.Recorder, or check the tree above it"
        )
    return [_url(system, name) for name in sorted(names)]


def find_remote_runs(url: str, mark: str) -> list[str]:
    """The directories at or below ``url`` that hold event files, sorted; for a file the file itself.

    Raises:
        RunNotFoundError: there is nothing.
        UnreadableRunError: the file system refuses.
        MissingDependencyError: a package for this kind of URL is not installed.
    """
    system = _file_system(url)
    if _ask(url, lambda: system.isfile(url)):
        return [url]
    names = _ask(url, lambda: system.find(url))
    if not names:
        raise RunNotFoundError(f"{url}: nothing there; give a run directory or event file")
    return [
        _url(system, folder) for folder in sorted({name.rpartition("/")[0] for name in names if mark in _leaf(name)})
    ]


@cache
def _system_of(scheme: str) -> Any:
    import fsspec

    return fsspec.filesystem(scheme, use_listings_cache=False)


def _file_system(url: str) -> Any:
    scheme = url.partition("://")[0]
    try:
        return _system_of(scheme)
    except ImportError as error:
        # fsspec words the error, and has that of the import itself behind it.
        name = error.name or getattr(error.__cause__, "name", None)
        package = "gradscope[remote]" if name == "fsspec" else name
        what = f"run `pip install {package}`" if package else "install it"
        raise MissingDependencyError(
            f"{url}: reading {scheme}:// needs a package that is not installed ({error}); {what}"
        ) from error
    except ValueError as error:
        raise UnreadableRunError(
            f"{url}: fsspec knows no {scheme}://; give a local path, or a URL such as s3://bucket/run"
        ) from error


def _ask(url: str, question: Callable[[], _Answer]) -> _Answer:
    try:
        return question()
    except FileNotFoundError as error:
        raise RunNotFoundError(f"{url}: nothing there; give a run directory or event file") from error
    except Exception as error:  # each file system has errors of its own
        what = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableRunError(f"{url}: cannot be read ({what}); check the address and your credentials") from error


def _leaf(name: str) -> str:
    return name.rpartition("/")[2]


def _url(system: Any, name: str) -> str:
    url: str = name if is_remote(name) else system.unstrip_protocol(name)
    return url
