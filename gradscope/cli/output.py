"""Where a report goes: standard output or a file, in whatever state they are."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from gradscope.errors import GradscopeError

__all__ = ["report_width", "write"]

_WIDEST = 110
_NO_TERMINAL = 80


def report_width() -> int:
    """Columns for a report on standard output: the terminal's, at most 110; 80 where there is none."""
    # As shutil has it, whose import takes 5 ms.
    given = os.environ.get("COLUMNS", "")
    columns = int(given) if given.isdecimal() else 0
    if not columns and sys.__stdout__ is not None:
        with contextlib.suppress(AttributeError, ValueError, OSError):
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns
    return min(columns or _NO_TERMINAL, _WIDEST)


def write(text: str, path: str | None = None) -> None:
    """Write ``text`` to the file, replacing it, or to standard output; a reader that has gone is no error.

    Raises:
        GradscopeError: the file or standard output cannot be written.
    """
    try:
        if path is None:
            _print(text)
        else:
            Path(path).write_text(text, encoding="utf-8")
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        if path is None:
            _drop_output()
        where = path if path is not None else "standard output"
        raise GradscopeError(f"cannot write {where}: {error.strerror}; give a place that can be written") from error


def _print(text: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), nl=False)
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_output() -> None:
    # What is still buffered would fail once more when the interpreter closes the stream.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
