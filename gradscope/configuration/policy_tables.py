"""``[rules.<name>]`` and ``[[suppress]]``: how strictly to judge."""

from __future__ import annotations

from math import isfinite
from typing import Any

from gradscope.diagnosis.policy import Policy, Suppression
from gradscope.diagnosis.rule import Rule
from gradscope.diagnosis.verdict import Severity
from gradscope.errors import ConfigurationError

__all__ = ["read_policy"]

_OFF = "off"
_SEVERITIES = (*(severity.label for severity in Severity), _OFF)


def read_policy(rules: Any, suppressions: Any) -> Policy:
    """The tables ``[rules.<name>]`` and the entries of ``[[suppress]]``.

    Raises:
        ConfigurationError: a rule or limit is unknown, a value is of the wrong type or out of range, or a suppression
            has no reason.
    """
    if not isinstance(rules, dict):
        raise ConfigurationError(f"rules is {rules!r}; write a table [rules.<name>] for each rule")
    if not isinstance(suppressions, list):
        raise ConfigurationError("suppress is no list; write each as a table [[suppress]]")
    if not rules and not suppressions:
        return Policy()
    from gradscope.diagnosis.rules import all_rules  # importing all of them is for those who name one

    known = {rule.name: rule for rule in all_rules()}
    severities = {name: _severity(name, table) for name, table in rules.items() if _rule(name, table, known)}
    return Policy(
        limits={name: _limits(known[name], table) for name, table in rules.items()},
        caps={name: Severity[word.upper()] for name, word in severities.items() if word and word != _OFF},
        off=frozenset(name for name, word in severities.items() if word == _OFF),
        suppressions=tuple(_suppression(entry, known) for entry in suppressions),
    )


def _rule(name: str, table: Any, known: dict[str, Rule]) -> Rule:
    if name not in known:
        raise ConfigurationError(f"[rules.{name}]: {_no_rule(name, known)}")
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"rules.{name} is {table!r}; write a table [rules.{name}] with {_allowed(known[name])}"
        )
    return known[name]


def _severity(name: str, table: dict[str, Any]) -> str:
    word = table.get("severity", "")
    if "severity" in table and word not in _SEVERITIES:
        raise ConfigurationError(f"[rules.{name}]: severity is {word!r}; give one of {', '.join(_SEVERITIES)}")
    return str(word)


def _limits(rule: Rule, table: dict[str, Any]) -> dict[str, float]:
    given = {key: value for key, value in table.items() if key != "severity"}
    names = [limit.name for limit in rule.limits()]
    for key, value in given.items():
        if key not in names:
            hint = _closest(key, names)
            raise ConfigurationError(f"[rules.{rule.name}]: there is no {key!r}; {hint}there is {_allowed(rule)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise ConfigurationError(f"[rules.{rule.name}]: {key} is {value!r}; give a finite number")
        if key.endswith("_fraction") and not 0 <= value <= 1:
            raise ConfigurationError(f"[rules.{rule.name}]: {key} is {value!r}; give a share from 0 to 1")
    return {key: float(value) for key, value in given.items()}


def _suppression(entry: Any, known: dict[str, Rule]) -> Suppression:
    if not isinstance(entry, dict) or not set(entry) <= {"rule", "layers", "reason"}:
        got = ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
        raise ConfigurationError(f"a [[suppress]] has {got}; it needs rule and reason, and may have layers")
    rule, reason, layers = entry.get("rule"), entry.get("reason"), entry.get("layers", [])
    if not isinstance(rule, str):
        raise ConfigurationError("a [[suppress]] names no rule; give its name as text: rule = …")
    if rule.partition(":")[0] not in known:
        raise ConfigurationError(f"[[suppress]] of {rule}: {_no_rule(rule, known)}")
    if not isinstance(reason, str) or not reason.strip():
        raise ConfigurationError(f"[[suppress]] of {rule} gives no reason; say why it is accepted: reason = …")
    if not isinstance(layers, list) or not all(isinstance(layer, str) and layer for layer in layers):
        raise ConfigurationError(f'[[suppress]] of {rule}: layers is {layers!r}; give a list of patterns: ["embed*"]')
    return Suppression(rule, reason.strip(), tuple(layers))


def _no_rule(name: str, known: dict[str, Rule]) -> str:
    return f"no rule is called {name!r}; {_closest(name, list(known))}gradscope rules lists them"


def _closest(name: str, names: list[str]) -> str:
    from difflib import get_close_matches  # only where something is misspelt

    found = get_close_matches(name, names, 1)
    return f"did you mean {found[0]}? " if found else ""


def _allowed(rule: Rule) -> str:
    return ", ".join(["severity", *(limit.name for limit in rule.limits())])
