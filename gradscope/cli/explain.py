"""``gradscope explain RULE``: what a rule detects, from which evidence, and where its limits come from."""

from __future__ import annotations

import click

from gradscope.cli.output import report_width, write
from gradscope.cli.selection import rule_named

__all__ = ["explain"]


@click.command()
@click.argument("rule")
def explain(rule: str) -> int:
    """Explain a rule and where its limits come from.

    RULE is a name that ``gradscope rules`` lists. Shown are what it detects, why it matters, the evidence it judges by,
    an example, remedies, references, and each limit with its unit and source; a limit that the project sets stands with
    its default behind it. The exit code is 0, or 2 if there is no such rule.
    """
    from dataclasses import replace

    from gradscope.configuration import find_configuration
    from gradscope.reports.explanation import to_terminal_explanation

    found = rule_named(rule)
    limits = find_configuration().policy.limits.get(found.name, {})
    write(to_terminal_explanation(replace(found, **limits), width=report_width()))
    return 0
