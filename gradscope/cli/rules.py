"""``gradscope rules``: what there is to judge by."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.cli.output import write
from gradscope.errors import GradscopeError

__all__ = ["rules"]


@click.command()
@click.option("--docs", metavar="DIR", help="Write a Markdown page per rule, and an index, to DIR instead.")
def rules(docs: str | None) -> int:
    """List the rules: name and what each detects."""
    from gradscope.diagnosis.rules import all_rules
    from gradscope.reports.explanation import to_terminal_rules
    from gradscope.reports.rule_page import rule_pages

    found = all_rules()
    if docs is None:
        write(to_terminal_rules(found))
        return 0
    _make(Path(docs))
    for name, text in rule_pages(found).items():
        write(text, str(Path(docs, name)))
    return 0


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradscopeError(f"cannot make {folder}: {error.strerror}; give a place that can be written") from error
