"""How much do initial weights matter? A shallow network forgives nearly any, a deep one does not.

First the convolutional network of the well-known TensorFlow tutorial, with all weights from a truncated normal of
standard deviation w and all biases w, for nine values of w: one accuracy curve per w, and the gain of each layer.
Then depth as second axis, for ReLU, logistic and tanh, from the plain initial weights (w = 0.1) to He's or Xavier's,
with batch normalisation, and with skip connections: a map of what can be trained, beside gradscope's verdicts.

    python examples/init_sweep.py                # both, on scikit-learn's digits, into logs/init_sweep
    python examples/init_sweep.py --small        # fewer steps, one repeat, two depths: a minute or two
    python examples/init_sweep.py --data mnist   # the tutorial's own data and network (downloads MNIST)
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import keras
import numpy as np
from data.images import CLASSES, Images, load
from depth_map import ACTIVATIONS, VARIANTS, Cell, agreement, draw_map, map_table, train_cell
from experiment import Every, accuracy, progress, quick_start, train, verdict
from rich import box
from rich.console import Console
from rich.table import Table

import gradscope
from gradscope.diagnosis.evidence import Evidence

WEIGHTS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
LAYERS = ("conv_1", "conv_2", "dense", "output")


@dataclass(frozen=True)
class Plan:
    """How much is trained."""

    steps: int
    repeats: int
    learning_rate: float
    depths: tuple[int, ...]
    activations: tuple[str, ...]
    map_steps: int


PLANS = {
    "mnist": Plan(10_000, 3, 1e-4, (2, 3, 5, 10, 20, 30), tuple(ACTIVATIONS), 1_200),
    # A tenth of the tutorial's batches with ten times its learning rate.
    "digits": Plan(1_000, 3, 1e-3, (2, 3, 5, 10, 20, 30), tuple(ACTIVATIONS), 1_000),
    "small": Plan(200, 1, 1e-3, (2, 8), ("relu", "logistic"), 150),
}


@dataclass(frozen=True)
class Swept:
    """What became of one w."""

    w: float
    steps: list[int]
    accuracy: list[list[float]]  # test accuracy, repeats x steps
    gains: dict[str, float]  # layer -> gain at initialisation, of the first repeat
    healthy: bool
    verdict: str

    @property
    def curve(self) -> np.ndarray:
        return np.mean(self.accuracy, axis=0)


def tutorial_network(w: float, images: Images, seed: int) -> keras.Model:
    """Two convolutions with pooling, a dense layer, dropout, softmax; smaller for the 8 x 8 digits."""
    large = images.x.shape[1] > 8
    field, filters, units = (5, (32, 64), 1024) if large else (3, (16, 32), 128)

    def start(number: int) -> dict[str, object]:
        return {
            "kernel_initializer": keras.initializers.TruncatedNormal(0.0, w, seed=10 * seed + number),
            "bias_initializer": keras.initializers.Constant(w),
        }

    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input(images.x.shape[1:]),
            keras.layers.Conv2D(filters[0], field, padding="same", activation="relu", name="conv_1", **start(1)),
            keras.layers.MaxPooling2D(name="pool_1"),
            keras.layers.Conv2D(filters[1], field, padding="same", activation="relu", name="conv_2", **start(2)),
            keras.layers.MaxPooling2D(name="pool_2"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(units, activation="relu", name="dense", **start(3)),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(CLASSES, activation="softmax", name="output", **start(4)),
        ]
    )


def sweep_one(w: float, images: Images, plan: Plan, log_dir: Path, seed: int) -> Swept:
    """Train one w as often as planned; each repeat is recorded."""
    interval = plan.steps // 25
    curves = []
    for repeat in range(plan.repeats):
        model = tutorial_network(w, images, seed + repeat)
        model.compile(keras.optimizers.Adam(plan.learning_rate), "sparse_categorical_crossentropy")
        curve: list[float] = []
        watch = Every(interval, lambda m=model, c=curve: c.append(accuracy(m, images.test_x, images.test_y)))
        run_dir = log_dir / f"w_{w:g}" / f"repeat_{repeat}"
        train(model, images, run_dir, steps=plan.steps, seed=seed + repeat, callbacks=(watch,))
        curves.append(curve)
        keras.backend.clear_session()
    run = gradscope.read_run(log_dir / f"w_{w:g}" / "repeat_0")
    diagnosis = gradscope.diagnose(run)
    gains = {gain.layer.name: gain.initial for gain in Evidence(run)["gains"]}
    steps = [interval * (n + 1) for n in range(len(curves[0]))]
    return Swept(w, steps, curves, gains, diagnosis.healthy, verdict(diagnosis))


def sweep_table(swept: list[Swept]) -> Table:
    table = Table(
        title="Gain of each layer at initialisation (about 1 keeps the signal), and what became of it",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for heading in ("w", *LAYERS, "test\naccuracy", "steps to\n90 %"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=6)
    table.add_column("gradscope")
    for one in swept:
        reached = [step for step, value in zip(one.steps, one.curve, strict=True) if value >= 0.9]
        gains = (f"{one.gains[layer]:.2g}" for layer in LAYERS)
        table.add_row(
            f"{one.w:g}", *gains, f"{one.curve[-1]:.3f}", f"{reached[0]:,}" if reached else "never", one.verdict
        )
    return table


def draw_sweep(swept: list[Swept], path: Path) -> None:
    """The document's plot: test accuracy over batches, one curve per w."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7.0, 4.0))
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.95, len(swept)))
    for one, colour in zip(swept, colours, strict=True):
        axis.plot(one.steps, one.curve, color=colour, label=f"{one.w:g}", linewidth=1.4)
    axis.set(xlabel="batches of 50", ylabel="test accuracy", ylim=(0.0, 1.0))
    axis.grid(alpha=0.3)
    axis.legend(title="w", fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def run_sweep(images: Images, plan: Plan, log_dir: Path, seed: int, console: Console) -> list[Swept]:
    swept = []
    with progress() as bar:
        task = bar.add_task("initial weights", total=len(WEIGHTS))
        for w in WEIGHTS:
            swept.append(sweep_one(w, images, plan, log_dir, seed))
            (log_dir / "sweep.json").write_text(json.dumps([asdict(one) for one in swept], indent=1))
            bar.advance(task)
    console.print(sweep_table(swept))
    draw_sweep(swept, log_dir / "figures" / "accuracy.png")
    return swept


def run_map(images: Images, plan: Plan, log_dir: Path, seed: int, console: Console) -> list[Cell]:
    """Shallow cells first: what is learnt early can be looked at while the deep ones still train."""
    places = [(d, a, v) for d in plan.depths for a in plan.activations for v in VARIANTS]
    cells, flat = [], images.flat()
    with progress() as bar:
        task = bar.add_task("depth", total=len(places))
        for place in places:
            cells.append(train_cell(place, flat, log_dir, steps=plan.map_steps, seed=seed))
            (log_dir / "map.json").write_text(json.dumps([asdict(cell) for cell in cells], indent=1))
            bar.advance(task)
    console.print(map_table(cells))
    console.print(agreement(cells))
    draw_map(cells, log_dir / "figures" / "map.png")
    return cells


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=click.Choice(["digits", "mnist"]), default="digits", show_default=True)
@click.option("--part", type=click.Choice(["both", "sweep", "map"]), default="both", show_default=True)
@click.option("--small", is_flag=True, help="Fewer steps, one repeat, two depths.")
@click.option("--depth", "depths", type=click.IntRange(min=2), multiple=True, help="Of the map; repeatable.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--log-dir", type=click.Path(path_type=Path), default=Path("logs/init_sweep"), show_default=True)
def main(*, data: str, part: str, depths: tuple[int, ...], small: bool, seed: int, log_dir: Path) -> None:
    quick_start()
    console, images = Console(width=max(100, Console().width)), load(data)
    plan = PLANS["small" if small else data]
    if depths:
        plan = replace(plan, depths=tuple(sorted(depths)))
    (log_dir / "figures").mkdir(parents=True, exist_ok=True)
    if part in ("both", "sweep"):
        run_sweep(images, plan, log_dir, seed, console)
    if part in ("both", "map"):
        run_map(images, plan, log_dir, seed, console)
    console.print(f"Figures:     {log_dir / 'figures'}")
    console.print(f"TensorBoard: python -m tensorboard.main --logdir {log_dir}")


if __name__ == "__main__":
    main()
