"""What a project sets for itself: ``gradscope.toml``, or ``[tool.gradscope]`` in ``pyproject.toml``.

Example of a ``gradscope.toml``::

    [rules.vanishing-gradient]
    error_gradient_ratio = 1e-5
    severity = "warning"

    [[suppress]]
    rule = "dead-units"
    layers = ["embed*"]
    reason = "the vocabulary is larger than one batch shows"

    [[tags]]
    pattern = "opt/(?P<name>.+)/g"
    means = "gradient"

In ``pyproject.toml`` the tables are ``[tool.gradscope.rules.…]``, ``[[tool.gradscope.suppress]]`` and so on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradscope.configuration.policy_tables import read_policy
from gradscope.configuration.tag_tables import read_tags
from gradscope.diagnosis.policy import Policy
from gradscope.errors import ConfigurationError
from gradscope.events.mapping import TagRule

__all__ = ["Configuration", "find_configuration", "read_configuration"]

_KEYS = ("rules", "suppress", "tags")


@dataclass(frozen=True)
class Configuration:
    """The settings of one project."""

    tags: tuple[TagRule, ...] = ()
    """What other tools' tags mean, ahead of the built-in table."""
    policy: Policy = field(default_factory=Policy)
    """Limits, severities and suppressions."""


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
    try:
        return _configuration(data)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: no valid TOML: {error}") from error


def _configuration(data: Any) -> Configuration:
    if not isinstance(data, dict):
        raise ConfigurationError(f"gradscope is {data!r}; write a table with {', '.join(_KEYS)}")
    if unknown := [str(key) for key in data if key not in _KEYS]:
        raise ConfigurationError(f"has {', '.join(unknown)}; there is only {', '.join(_KEYS)}")
    return Configuration(read_tags(data.get("tags", [])), read_policy(data.get("rules", {}), data.get("suppress", [])))
