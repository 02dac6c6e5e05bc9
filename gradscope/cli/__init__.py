"""The command line. Each command parses, calls the library, renders, and gives the exit code; one file per command.

Nothing heavy is imported before a command needs it: ``gradscope --help`` answers at once.
"""

from __future__ import annotations

import click

from gradscope._version import __version__
from gradscope.cli.check import check
from gradscope.cli.compare import compare
from gradscope.cli.explain import explain
from gradscope.cli.export import export
from gradscope.cli.plot import plot
from gradscope.cli.program import BAD_USAGE, Program
from gradscope.cli.report import report
from gradscope.cli.rules import rules
from gradscope.cli.watch import watch

__all__ = ["main"]


@click.group(
    name="gradscope", cls=Program, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="gradscope")
@click.pass_context
def main(context: click.Context) -> int:
    """Tell from a recorded training run whether the network learns, which layer does not, and what to change."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return BAD_USAGE
    return 0


main.add_command(check)
main.add_command(compare)
main.add_command(explain)
main.add_command(export)
main.add_command(plot)
main.add_command(report)
main.add_command(rules)
main.add_command(watch)
