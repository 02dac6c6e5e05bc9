"""A page of text for the terminal: paragraphs, lists, tables and code, at a given width, with or without colour."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from gradscope.reports.styled import Part, cells, in_color, wrapped
from gradscope.reports.wording import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Page"]

_NARROWEST = 20
_NARROW = 60
"""Below this many columns a table becomes a list."""
_SHORT = 11  # a column whose cells may all be as short is never broken
_GUTTER = 2


class Page:
    """Text that grows from top to bottom; ``str(page)`` gives it.

    No text is ever read as markup. Lines fit the width, but for headlines and code, which are never broken.

    Args:
        width: columns; less than 20 counts as 20.
        color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.
    """

    def __init__(self, *, width: int, color: bool | None) -> None:
        self._color = _terminal_has_color() if color is None else color
        self.width = max(width, _NARROWEST)
        self._lines: list[str] = []

    def __str__(self) -> str:
        """The page so far, without blanks at line ends."""
        return "".join(re.sub(r"[ \t]+$", "", line) + "\n" for line in self._lines)

    def gap(self) -> None:
        """An empty line."""
        self._lines.append("")

    def paragraph(self, *parts: Part, indent: int = 0) -> None:
        """One paragraph; a part is a text, or a text and its style (``"bold"``, ``"red"``)."""
        for line in wrapped(parts, self.width - indent):
            self._lines.append(" " * indent + self._styled(line))

    def headline(self, *parts: Part) -> None:
        """One line that is never broken, so that a path in it can be copied."""
        self._lines.append(self._styled([part if isinstance(part, tuple) else (part, "") for part in parts]))

    def item(self, marker: str, *parts: Part, indent: int = 0) -> None:
        """A paragraph of a list: ``marker`` hangs in front of it."""
        hang = indent + cells(marker) + 1
        for number, line in enumerate(wrapped(parts, self.width - hang)):
            front = " " * hang if number else f"{' ' * indent}{marker} "
            self._lines.append(front + self._styled(line))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
        """A table without its empty columns; on a narrow page a list of its rows. Nothing if all cells are empty."""
        used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
        if not used:
            return
        if self.width - indent < _NARROW:
            for row in rows:
                texts = "; ".join(f"{columns[i]} {row[i]}" for i in used[1:] if row[i])
                self.item("-", f"{row[used[0]]}: {texts}", indent=indent)
            return
        widths = _column_widths([[columns[i], *(row[i] for row in rows)] for i in used], self.width - indent)
        self._row([columns[i] for i in used], widths, indent, "dim")
        for row in rows:
            self._row([row[i] for i in used], widths, indent)

    def code(self, code: str, *, indent: int = 0) -> None:
        """Lines of code as they are, each behind the same indent, never wrapped."""
        for line in code.expandtabs(4).strip("\n").split("\n"):
            self._lines.append(" " * indent + plain(line))

    def _styled(self, line: Sequence[tuple[str, str]]) -> str:
        return "".join(in_color(text, style) if self._color else text for text, style in line)

    def _row(self, texts: Sequence[str], widths: Sequence[int], indent: int, style: str = "") -> None:
        blocks = [wrapped([(text, style)], width) for text, width in zip(texts, widths, strict=True)]
        for number in range(max(map(len, blocks))):
            line = " " * indent
            for block, width in zip(blocks, widths, strict=True):
                parts = block[number] if number < len(block) else []
                line += self._styled(parts) + " " * (width + _GUTTER - sum(cells(text) for text, _ in parts))
            self._lines.append(line)


def _column_widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Cells for each column: as wide as its texts where there is room, else the widest are narrowed first.

    They are narrowed down to their longest word, and only where this does not do are words broken.
    """
    widths = [max(map(cells, texts)) for texts in columns]
    room = width - _GUTTER * (len(widths) - 1)
    yielding = [i for i, texts in enumerate(columns) if max(map(cells, texts[1:])) > _SHORT]
    words = [max((cells(word) for text in texts for word in text.split()), default=1) for texts in columns]
    for floors in (words, [1] * len(words)):
        while sum(widths) > room:
            widest = max((i for i in yielding if widths[i] > floors[i]), key=widths.__getitem__, default=None)
            if widest is None:
                break
            widths[widest] -= 1
    return widths


def _terminal_has_color() -> bool:
    dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
    return not dumb and sys.stdout is not None and sys.stdout.isatty()
