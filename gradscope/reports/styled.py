"""Styled text in lines of a given width, counted in the cells of a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["Part", "cells", "in_color", "wrapped"]

Part = str | tuple[str, str]
"""A text, or a text and its style: words such as ``bold`` and ``red``."""

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "magenta": 35}
_JOINTS = "/_-.:"
_EMOJI = "\ufe0f"  # makes a picture of the character before it, which is wider


def cells(text: str) -> int:
    """How many cells of a terminal the text fills."""
    return len(text) if text.isascii() else sum(map(_width, text))


def in_color(text: str, style: str) -> str:
    """The text with the control characters of the style around it."""
    codes = ";".join(str(_CODES[word]) for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def wrapped(parts: Sequence[Part], width: int) -> list[list[tuple[str, str]]]:
    """Lines of at most ``width`` cells, broken at blanks, and within words only where these are longer.

    A longer word is broken behind one of ``/ _ - . :`` where it has one.

    Each line is its parts, (text, style), without the blanks it was broken at.
    """
    known = [part if isinstance(part, tuple) else (part, "") for part in parts]
    text = "".join(part for part, _ in known)
    return [list(_cut(known, start, end)) for start, end in _lines(text, width)]


def _lines(text: str, width: int) -> Iterator[tuple[int, int]]:
    """Where the lines begin and end."""
    begin = end = filled = 0
    for word in re.finditer(r"(\s*)(\S+)", text):
        blank, length = cells(word[1]), cells(word[2])
        if filled and filled + blank + length > width:
            yield begin, end
            begin, filled, blank = word.start(2), 0, 0
        end, filled = word.end(), filled + blank + length
        while filled > width:
            cut = begin + _fitting(text[begin:end], width)
            yield begin, cut
            begin, filled = cut, cells(text[cut:end])
    if end > begin or not end:
        yield begin, end


def _fitting(text: str, width: int) -> int:
    """How many characters fit, at least one; rather fewer than to leave a joint of the word."""
    filled = 0
    for position, character in enumerate(text):
        filled += _width(character)
        if filled > width and position:
            joint = max(text.rfind(sign, 0, position) for sign in _JOINTS) + 1
            return joint if joint > position / 2 else position
    return len(text)


def _cut(parts: Sequence[tuple[str, str]], start: int, end: int) -> Iterator[tuple[str, str]]:
    offset = 0
    for text, style in parts:
        piece = text[max(start - offset, 0) : max(end - offset, 0)]
        if piece:
            yield piece, style
        offset += len(text)


def _width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return int(character == _EMOJI)
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
