"""The rules, one file each. A new file here with one `Rule` subclass is all it takes to add one."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import is_dataclass
from importlib import import_module
from types import ModuleType

from gradscope.diagnosis.evidence import EVIDENCE
from gradscope.diagnosis.rule import Rule
from gradscope.errors import RuleError

__all__ = ["all_rules", "check_contract"]


def all_rules() -> tuple[Rule, ...]:
    """One instance of every rule with its default limits, ordered by name.

    Raises:
        RuleError: a file of this folder breaks the rule contract; the message says how.
    """
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    rules = tuple(_rule_of(module) for module in modules)
    for rule in rules:
        check_contract(rule)
    return tuple(sorted(rules, key=lambda rule: rule.name))


def check_contract(rule: Rule) -> None:
    """Hold a rule to what the engine relies on: a kebab-case name like its class, and evidence that exists.

    Raises:
        RuleError: the rule breaks the contract.
    """
    cls = type(rule)
    expected = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
    name = getattr(cls, "name", None)
    if name != expected:
        raise RuleError(f"rule {cls.__name__} has the name {name!r}; give it the name of its class, {expected!r}")
    if not is_dataclass(cls):
        raise RuleError(f"rule {name} is no dataclass; decorate {cls.__name__} with @dataclass(frozen=True)")
    for need in rule.evidence():
        if need not in EVIDENCE:
            raise RuleError(f"rule {name} asks for the evidence {need!r}; there is {', '.join(sorted(EVIDENCE))}")


def _rule_of(module: ModuleType) -> Rule:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__
    ]
    stem = module.__name__.rpartition(".")[2]
    if len(found) != 1:
        raise RuleError(f"the file {stem}.py holds {len(found)} rules; define exactly one subclass of Rule in it")
    rule = found[0]()
    if getattr(rule, "name", "").replace("-", "_") != stem:
        raise RuleError(f"the file {stem}.py holds the rule {getattr(rule, 'name', None)!r}; name both alike")
    return rule
