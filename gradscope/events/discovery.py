"""Which files and directories hold event files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gradscope.errors import RunNotFoundError, UnreadableRunError
from gradscope.events.remote import find_remote_runs, is_remote, remote_event_files

__all__ = ["event_files", "find_runs"]

_MARK = "tfevents"


def find_runs(path: str | os.PathLike[str]) -> list[str]:
    """The directories at or below ``path`` that hold event files, of gradscope or not, sorted.

    Links to directories are followed, and each directory is listed once. Directories that may not be opened are left
    out. For an event file the answer is the file itself. Of a URL the answers are URLs.

    Raises:
        RunNotFoundError: there is nothing at ``path``.
    """
    top = os.fspath(path)
    if is_remote(top):
        return find_remote_runs(top, _MARK)
    if not stat.S_ISDIR(_mode(top)):
        return [top]
    found = []
    seen: set[tuple[int, int]] = set()
    for directory, children, names in os.walk(top, followlinks=True):
        identity = _identity(directory)
        if identity is None or identity in seen:
            children.clear()
            continue
        seen.add(identity)
        # Links come last, so that a directory is listed by its own name where it has one.
        links = {name for name in children if Path(directory, name).is_symlink()}
        children[:] = [*sorted(set(children) - links), *sorted(links)]
        if any(_MARK in name and Path(directory, name).is_file() for name in names):
            found.append(directory)
    return sorted(found)


def event_files(path: str | os.PathLike[str]) -> list[str]:
    """The event files that make up one run: those directly in a directory, in order of name, or the file given.

    Raises:
        RunNotFoundError: there is nothing at ``path``, or a directory without event files.
        UnreadableRunError: the directory may not be listed, or ``path`` is a pipe, a device or the like.
    """
    top = os.fspath(path)
    if is_remote(top):
        return remote_event_files(top, _MARK)
    mode = _mode(top)
    if stat.S_ISREG(mode):
        return [top]
    if not stat.S_ISDIR(mode):
        raise UnreadableRunError(f"{top}: neither a directory nor a regular file; give a run directory or event file")
    try:
        names = sorted(os.listdir(top))  # noqa: PTH208  names sort in the order TensorBoard reads them in
    except OSError as error:
        raise UnreadableRunError(f"{top}: cannot be listed ({error.strerror}); check its permissions") from error
    files = [str(Path(top, name)) for name in names if _MARK in name and Path(top, name).is_file()]
    if not files:
        raise RunNotFoundError(_nothing_here(top, empty=not names))
    return files


def _nothing_here(top: str, *, empty: bool) -> str:
    below = find_runs(top)
    if below:
        runs = f"{len(below)} directories below do" if len(below) > 1 else "a directory below does"
        return f"{top}: holds no event file itself, but {runs}; give one of them, such as {below[0]}"
    what = "the directory is empty" if empty else f"no event file (a name with {_MARK!r}) here or below"
    return f"{top}: {what}; give the directory that was passed to gradscope.Recorder"


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode  # noqa: PTH116  Path("") would be the working directory
    except (OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise UnreadableRunError(f"{path}: no permission to look inside; check its directories") from error
        raise RunNotFoundError(f"{path!r}: no such file or directory; give a run directory or event file") from error


def _identity(directory: str) -> tuple[int, int] | None:
    try:
        status = Path(directory).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
