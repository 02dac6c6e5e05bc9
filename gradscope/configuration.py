"""What a project sets for itself: ``gradscope.toml``, or ``[tool.gradscope]`` in ``pyproject.toml``.

Example of a ``gradscope.toml``::

    [[tags]]
    pattern = "opt/(?P<name>.+)/g"
    means = "gradient"

In ``pyproject.toml`` the table is ``[[tool.gradscope.tags]]``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradscope.errors import ConfigurationError
from gradscope.events.mapping import TagRule

__all__ = ["Configuration", "find_configuration", "read_configuration"]

_KEYS = {"pattern", "means", "layer"}


@dataclass(frozen=True)
class Configuration:
    """The settings of one project."""

    tags: tuple[TagRule, ...] = ()
    """What other tools' tags mean, ahead of the built-in table."""


def find_configuration(start: str | Path = ".") -> Configuration:
    """The settings of the nearest file at or above ``start``; those by default if there is none.

    A ``pyproject.toml`` without ``[tool.gradscope]`` does not end the search.

    Raises:
        ConfigurationError: the file cannot be read or understood.
    """
    top = Path(start).absolute()
    for folder in (top, *top.parents):
        for name in ("gradscope.toml", "pyproject.toml"):
            file = folder / name
            if file.is_file() and (found := read_configuration(file)) is not None:
                return found
    return Configuration()


def read_configuration(file: str | Path) -> Configuration | None:
    """The settings of one file; None for a ``pyproject.toml`` that has none.

    Raises:
        ConfigurationError: the file cannot be read or understood.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); it must be a UTF-8 text") from error
    if path.name == "pyproject.toml" and "gradscope" not in text:
        return None  # most have nothing for us, and need not be parsed
    data = _parsed(path, text)
    if path.name == "pyproject.toml":
        tools = data.get("tool", {})
        if not isinstance(tools, dict) or "gradscope" not in tools:
            return None
        data = tools["gradscope"]
    return _configuration(path, data)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: no valid TOML: {error}") from error


def _configuration(path: Path, data: Any) -> Configuration:
    if not isinstance(data, dict) or set(data) - {"tags"}:
        known = "tags"
        raise ConfigurationError(f"{path}: has {', '.join(map(str, data))}; there is only {known}")
    entries = data.get("tags", [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path}: tags is no list; write each as a table [[tags]]")
    return Configuration(tuple(_tag_rule(path, entry) for entry in entries))


def _tag_rule(path: Path, entry: Any) -> TagRule:
    if not isinstance(entry, dict) or not {"pattern", "means"} <= set(entry) <= _KEYS:
        got = ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
        raise ConfigurationError(f"{path}: a tag has {got}; it needs pattern and means, and may have layer")
    if not all(isinstance(value, str) for value in entry.values()):
        raise ConfigurationError(f"{path}: pattern, means and layer of a tag are texts, got {entry}")
    try:
        return TagRule(**entry)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
