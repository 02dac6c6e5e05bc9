"""Trouble: says once what could not be recorded, and keeps it for the log. Never raises, never warns as an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gradscope.errors import GradscopeError

__all__ = ["Trouble", "describe_error"]

_logger = logging.getLogger("gradscope")


class Trouble:
    """Reports each kind of trouble once, through the ``gradscope`` logger, and hands it to ``write``."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.write: Callable[[str], None] | None = None
        """Puts a text into the log; set while there is one."""

    def report(self, text: str) -> None:
        """Report a trouble, unless the same was reported before."""
        if text in self.texts:
            return
        self.texts.append(text)
        _logger.warning("gradscope: %s", text)
        if self.write is not None:
            try:
                self.write(text)
            except (OSError, GradscopeError):
                self.write = None  # the log is what is in trouble

    @contextmanager
    def instead_of_raising(self, what: str) -> Iterator[None]:
        """Turn any exception of the block into a report that begins with ``what``."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
            self.report(f"{what}: {describe_error(error)}")


def describe_error(error: BaseException) -> str:
    """The kind of an exception and the first line of its text, at most 200 characters."""
    kind, lines = type(error).__name__, str(error).strip().splitlines()
    if lines and lines[0] == "in user code:":  # where autograph puts the traceback into the text, the error comes last
        lines = [lines[-1].strip().removeprefix(f"{kind}: ")]
    return f"{kind}{': ' + lines[0][:200] if lines else ''}"
