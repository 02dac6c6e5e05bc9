"""``gradscope rules``: what there is to judge by."""

from __future__ import annotations

import click

from gradscope.cli.output import write

__all__ = ["rules"]


@click.command()
def rules() -> int:
    """List the rules: name and what each detects."""
    from gradscope.diagnosis.rules import all_rules
    from gradscope.reports.explanation import to_terminal_rules

    write(to_terminal_rules(all_rules()))
    return 0
