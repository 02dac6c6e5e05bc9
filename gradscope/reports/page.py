"""A page of text for the terminal: paragraphs, lists, tables and code, at a given width, with or without colour."""

from __future__ import annotations

import os
import re
import sys
from io import StringIO
from typing import TYPE_CHECKING

from gradscope.errors import MissingDependencyError
from gradscope.reports.wording import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Page"]

_NARROWEST = 20
_NARROW = 60
"""Below this many columns a table becomes a list."""


class Page:
    """Text that grows from top to bottom; ``str(page)`` gives it.

    No text is ever read as markup. Lines fit the width, but for headlines and code, which are never broken.

    Args:
        width: columns; less than 20 counts as 20.
        color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.

    Raises:
        MissingDependencyError: rich is not installed.
    """

    def __init__(self, *, width: int, color: bool | None) -> None:
        try:
            from rich.console import Console
        except ImportError as error:
            raise MissingDependencyError(
                "a report for the terminal needs the package rich, which is not installed; "
                "run `pip install rich` or choose --format json"
            ) from error
        wanted = _terminal_has_color() if color is None else color
        self.width = max(width, _NARROWEST)
        self._out = StringIO()
        self._console = Console(
            file=self._out,
            width=self.width,
            force_terminal=wanted,
            color_system="standard" if wanted else None,
            no_color=not wanted,
            legacy_windows=False,
        )

    def __str__(self) -> str:
        """The page so far, without blanks at line ends."""
        return re.sub(r"[ \t]+$", "", self._out.getvalue(), flags=re.MULTILINE)

    def gap(self) -> None:
        """An empty line."""
        self._out.write("\n")

    def paragraph(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        """One paragraph; a part is a text, or a text and its style (``"bold"``, ``"red"``)."""
        from rich.padding import Padding
        from rich.text import Text

        self._console.print(Padding(Text.assemble(*parts), (0, 0, 0, indent)))

    def headline(self, *parts: str | tuple[str, str]) -> None:
        """One line that is never broken, so that a path in it can be copied."""
        from rich.text import Text

        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def item(self, marker: str, *parts: str | tuple[str, str], indent: int = 0) -> None:
        """A paragraph of a list: ``marker`` hangs in front of it."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(marker), Text.assemble(*parts))
        self._console.print(Padding(grid, (0, 0, 0, indent)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
        """A table without its empty columns; on a narrow page a list of its rows. Nothing if all cells are empty."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
        if not used:
            return
        if self.width - indent < _NARROW:
            for row in rows:
                cells = "; ".join(f"{columns[i]} {row[i]}" for i in used[1:] if row[i])
                self.item("-", f"{row[used[0]]}: {cells}", indent=indent)
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for i in used:
            shortest = max(len(row[i]) for row in rows) <= _NARROW // 6
            table.add_column(columns[i], overflow="fold", no_wrap=shortest)
        for row in rows:
            table.add_row(*(Text(row[i]) for i in used))
        self._console.print(Padding(table, (0, 0, 0, indent)))

    def code(self, code: str, *, indent: int = 0) -> None:
        """Lines of code as they are, each behind the same indent, never wrapped."""
        for line in code.expandtabs(4).strip("\n").split("\n"):
            self._out.write(f"{' ' * indent}{plain(line)}\n")


def _terminal_has_color() -> bool:
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return not dumb and sys.stdout is not None and sys.stdout.isatty()
