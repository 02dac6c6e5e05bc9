"""``[[tags]]``: what other tools' tags mean."""

from __future__ import annotations

from typing import Any

from gradscope.errors import ConfigurationError
from gradscope.events.mapping import TagRule

__all__ = ["read_tags"]

_KEYS = {"pattern", "means", "layer"}


def read_tags(entries: Any) -> tuple[TagRule, ...]:
    """The entries of ``[[tags]]``.

    Raises:
        ConfigurationError: an entry is not understood.
    """
    if not isinstance(entries, list):
        raise ConfigurationError("tags is no list; write each as a table [[tags]]")
    return tuple(_tag_rule(entry) for entry in entries)


def _tag_rule(entry: Any) -> TagRule:
    if not isinstance(entry, dict) or not {"pattern", "means"} <= set(entry) <= _KEYS:
        got = ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
        raise ConfigurationError(f"a tag has {got}; it needs pattern and means, and may have layer")
    if not all(isinstance(value, str) for value in entry.values()):
        raise ConfigurationError(f"pattern, means and layer of a tag are texts, got {entry}")
    return TagRule(**entry)
