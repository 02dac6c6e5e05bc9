"""The known troubles of deep networks and their remedies: each trick beside the network that needs it.

For every trick a sick (or lesser) network and the same with the trick are trained on scikit-learn's digits, recorded
and judged; one table shows what the trick does to the flow of gradients, and gradscope's verdict before and after. A
frozen layer, a schedule or a regulariser is no illness.

    python examples/remedies.py                  # all of them, into logs/remedies
    python examples/remedies.py --small          # fewer steps
    python examples/remedies.py --only freezing  # one family
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import click
from catalogue import activations, initialisation, optimizers, regularisation, transfer
from catalogue.bench import Bench, Measured, Trick
from catalogue.picture import draw
from data.images import load
from experiment import progress, quick_start
from rich import box
from rich.console import Console
from rich.table import Table

STEPS = 600
SMALL_STEPS = 200


def all_tricks() -> list[Trick]:
    return [
        trick
        for family in (initialisation, activations, transfer, optimizers, regularisation)
        for trick in family.tricks()
    ]


def _pair(before: float, after: float, form: str = ".2g") -> str:
    return " → ".join("–" if value != value else f"{value:{form}}" for value in (before, after))  # noqa: PLR0124  NaN


def _brief(measured: Measured) -> str:
    return measured.verdict.partition(":")[0]


def table_of(rows: list[tuple[Trick, Measured, Measured]]) -> Table:
    table = Table(title="Before → after", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("trick", no_wrap=True)
    for heading in ("gradient\nper layer", "dead or\nsaturated", "update to weight", "test accuracy"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=13)
    table.add_column("gradscope", no_wrap=True)
    family = ""
    for trick, before, after in rows:
        if trick.family != family:
            family = trick.family
            table.add_row(f"[bold]{family}[/bold]")
        table.add_row(
            f"  {trick.name}",
            _pair(before.decay, after.decay),
            _pair(before.ill_share, after.ill_share),
            _pair(before.update_ratio, after.update_ratio, ".1e"),
            _pair(before.accuracy, after.accuracy, ".2f"),
            f"{_brief(before)} → {_brief(after)}",
        )
    return table


def measure(tricks: list[Trick], bench: Bench) -> list[tuple[Trick, Measured, Measured]]:
    rows = []
    with progress() as bar:
        task = bar.add_task("remedies", total=len(tricks))
        for trick in tricks:
            rows.append((trick, bench.measure(trick.before), bench.measure(trick.after)))
            bar.advance(task)
    return rows


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--small", is_flag=True, help=f"{SMALL_STEPS} steps instead of {STEPS}.")
@click.option("--only", multiple=True, type=click.Choice(sorted({t.family for t in all_tricks()})), help="Repeatable.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--log-dir", type=click.Path(path_type=Path), default=Path("logs/remedies"), show_default=True)
def main(*, small: bool, only: tuple[str, ...], seed: int, log_dir: Path) -> None:
    quick_start()
    warnings.filterwarnings("ignore", "Gradients do not exist")  # meant, behind stop_gradient
    console = Console(width=max(132, Console().width))
    bench = Bench(load("digits").flat(), log_dir, SMALL_STEPS if small else STEPS, seed)
    rows = measure([trick for trick in all_tricks() if not only or trick.family in only], bench)
    console.print(table_of(rows))
    (log_dir / "figures").mkdir(parents=True, exist_ok=True)
    draw(rows, log_dir / "figures" / "remedies.png")
    found = [
        {"family": trick.family, "name": trick.name, "before": asdict(before), "after": asdict(after)}
        for trick, before, after in rows
    ]
    (log_dir / "remedies.json").write_text(json.dumps(found, indent=1))
    console.print(f"Figure:      {log_dir / 'figures' / 'remedies.png'}")
    console.print(f"TensorBoard: python -m tensorboard.main --logdir {log_dir}")


if __name__ == "__main__":
    main()
