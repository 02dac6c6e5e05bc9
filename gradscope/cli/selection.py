"""Rules by the names a user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradscope.diagnosis.rule import Rule

__all__ = ["rule_named", "selected_rules"]


def rule_named(name: str) -> Rule:
    """The rule of that name.

    Raises:
        RuleError: there is none; the message has the closest name.
    """
    from gradscope.diagnosis.rules import all_rules

    known = {rule.name: rule for rule in all_rules()}
    if name not in known:
        _fail(name, list(known))
    return known[name]


def selected_rules(only: str | None, ignored: str | None) -> tuple[Rule, ...] | None:
    """The rules to judge by, in order of name; None for all.

    Args:
        only: comma-separated names; None: every rule.
        ignored: comma-separated names to leave out; None: none.

    Raises:
        RuleError: a name is unknown, or no rule is left.
    """
    from gradscope.diagnosis.rules import all_rules
    from gradscope.errors import RuleError

    if only is None and ignored is None:
        return None
    known = {rule.name: rule for rule in all_rules()}
    wanted = set(known) if only is None else set(_names(only, list(known)))
    unwanted = set() if ignored is None else set(_names(ignored, list(known)))
    chosen = tuple(rule for name, rule in known.items() if name in wanted - unwanted)
    if not chosen:
        raise RuleError("--rules and --ignore leave no rule to judge by; gradscope rules lists them")
    return chosen


def _names(text: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            _fail(name, known)
    return names


def _fail(name: str, known: list[str]) -> None:
    import difflib

    from gradscope.errors import RuleError

    closest = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {closest[0]}? " if closest else ""
    raise RuleError(f"no rule is called {name!r}; {hint}gradscope rules lists them")
