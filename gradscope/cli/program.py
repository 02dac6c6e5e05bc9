"""Program: the click group that turns every failure into one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BAD_USAGE", "INTERRUPTED", "Program", "complain"]

BAD_USAGE = 2
"""Exit code where nothing could be judged, or the command was called wrongly."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

_DEBUG = "GRADSCOPE_DEBUG"


class Program(click.Group):
    """Its commands return their exit code; a failure is one line, or a traceback if ``GRADSCOPE_DEBUG`` is set."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]  # ends the process
        """Run the command that ``args`` names, and exit."""
        # BLAS would start a thread per core, which costs more than all our arithmetic; read when numpy is imported.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name or "gradscope", **extra)
        except click.UsageError as error:
            message = " ".join(error.format_message().split()).rstrip(".")
            complain(f"{message} ({_help_command(error)} shows how)")
            code = BAD_USAGE
        except click.ClickException as error:
            complain(error.format_message())
            code = BAD_USAGE
        except (click.Abort, KeyboardInterrupt):
            complain("interrupted")
            code = INTERRUPTED
        except Exception as error:
            # Left alone it would end with 1, which reads as "the run is sick".
            if os.environ.get(_DEBUG):
                raise
            complain(_explanation(error))
            code = BAD_USAGE
        sys.exit(code or 0)


def complain(message: str) -> None:
    """Write one line to standard error; what is not printable in it is escaped."""
    from gradscope.reports.wording import plain

    click.echo(f"gradscope: {plain(message)}", err=True)


def _help_command(error: click.UsageError) -> str:
    return f"{error.ctx.command_path if error.ctx else 'gradscope'} --help"


def _explanation(error: Exception) -> str:
    if isinstance(error, GradscopeError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("gradscope"):
        package = error.name.partition(".")[0]
        return f"this needs the package {package}, which is not installed; run `pip install {package}`"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"internal error, please report it: {type(error).__name__}: {error} ({_DEBUG}=1 shows where)"
