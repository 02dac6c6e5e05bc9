"""The autoencoder that stops learning, and its fix: three small networks trained, recorded, compared and diagnosed.

A number x in [-1, 1] goes in, and the network is to give it back: estimate = 2 * output, loss = (x - estimate)^2, one
sample per step, SGD with learning rate 1e-3, each gradient clipped to +-4.5. With one hidden layer it learns, although
all weights start at N(0, 1e-3). With two hidden layers it gives the same answer whatever x is. Glorot's initial weights
and biases of +0.1 repair it.

    python examples/autoencoder.py                    # the three networks, into logs/demo
    python examples/autoencoder.py --variant adam     # the same with Adam, into logs/demo_adam
    python examples/autoencoder.py --variant batched  # 32 inputs per step, all of them reconstructed
    python examples/autoencoder.py --variant lr       # ten times the learning rate
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages, before it is imported

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import gradscope
from gradscope.reports.terminal import to_terminal

STEPS = 10_000
LEARNING_RATE = 1e-3
CLIP = 4.5
NETWORKS = ("two_layer", "three_layer", "three_layer_fixed")
VARIANTS = ("none", "adam", "batched", "lr")


@dataclass(frozen=True)
class Result:
    """What came out of one network."""

    name: str
    early_gradient: float  # mean |gradient| of the first kernel, first tenth of the run
    late_gradient: float  # the same, last tenth
    final_loss: float  # mean over x in [-1, 1] after training
    spread: float  # greatest minus least estimate over x in [-1, 1]
    diagnosis: gradscope.Diagnosis


def small_normal(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, 1e-3, seed=seed)


def build(name: str, seed: int) -> keras.Model:
    """One of `NETWORKS`; layers of the same name start with the same weights in each of them."""
    hidden = ["hidden_1"] if name == "two_layer" else ["hidden_1", "hidden_2"]
    stack = [keras.Input((1,), name="x")]
    for number, layer in enumerate([*hidden, "output"]):
        own = 100 * seed + (9 if layer == "output" else number)
        fixed = name == "three_layer_fixed"
        stack.append(
            keras.layers.Dense(
                1 if layer == "output" else 16,
                activation=None if layer == "output" else "relu",
                kernel_initializer=keras.initializers.GlorotUniform(seed=own) if fixed else small_normal(own),
                bias_initializer=keras.initializers.Constant(0.1) if fixed else small_normal(own + 50),
                name=layer,
            )
        )
    stack.append(keras.layers.Rescaling(2.0, name="estimate"))
    return keras.Sequential(stack, name=name)


def optimizer_of(variant: str) -> keras.optimizers.Optimizer:
    if variant == "adam":
        return keras.optimizers.Adam(LEARNING_RATE, clipvalue=CLIP)
    return keras.optimizers.SGD(10 * LEARNING_RATE if variant == "lr" else LEARNING_RATE, clipvalue=CLIP)


def train(name: str, log_dir: Path, options: argparse.Namespace) -> Result:
    shutil.rmtree(log_dir, ignore_errors=True)  # a run is made anew, not gone on with
    batch = 32 if options.variant == "batched" else 1
    x = np.random.default_rng(options.seed).uniform(-1.0, 1.0, (options.steps * batch, 1)).astype(np.float32)
    model = build(name, options.seed)
    model.compile(optimizer_of(options.variant), loss="mse")
    recorder = gradscope.Recorder(log_dir, every=options.every, summary=False)
    model.fit(x, x, batch_size=batch, shuffle=False, verbose=0, callbacks=[recorder])

    grid = np.linspace(-1.0, 1.0, 201, dtype=np.float32)[:, None]
    estimate = model.predict(grid, verbose=0)
    run = gradscope.read_run(log_dir)
    gradient = run.series("gradient", "hidden_1/kernel", "abs_mean")
    return Result(
        name=name,
        early_gradient=float(gradient[run.steps < options.steps / 10].mean()),
        late_gradient=float(gradient[run.steps >= options.steps * 9 / 10].mean()),
        final_loss=float(np.mean((grid - estimate) ** 2)),
        spread=float(np.ptp(estimate)),
        diagnosis=gradscope.diagnose(run),
    )


def picture(log_dir: Path, names: list[str], path: Path) -> None:
    """The first kernel's gradient and weights over the steps, as bands of quantiles, one column per network."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(names), figsize=(4.2 * len(names), 6.4), sharex=True, squeeze=False)
    bands = (("min", "max", 0.15), ("quantile_05", "quantile_95", 0.25), ("quantile_25", "quantile_75", 0.45))
    for column, name in enumerate(names):
        run = gradscope.read_run(log_dir / name)
        for row, (kind, colour) in enumerate((("gradient", "tab:red"), ("weight", "tab:blue"))):
            axis = axes[row, column]
            for low, high, alpha in bands:
                edges = [run.series(kind, "hidden_1/kernel", statistic) for statistic in (low, high)]
                axis.fill_between(run.steps, *edges, color=colour, alpha=alpha, linewidth=0)
            axis.plot(run.steps, run.series(kind, "hidden_1/kernel", "quantile_50"), color=colour, linewidth=0.8)
            axis.grid(alpha=0.3)
            axis.ticklabel_format(axis="y", scilimits=(-2, 2))
            if row == 0:
                size = float(np.mean(run.series(kind, "hidden_1/kernel", "abs_mean")))
                axis.set_title(f"{name.replace('_', ' ')}\nmean |gradient| {size:.1e}")
            if column == 0:
                axis.set_ylabel(f"{kind} of hidden_1/kernel")
        axes[1, column].set_xlabel("step")
    figure.suptitle("Mind the scales: what reaches the first layer, and what becomes of its weights")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def show(results: list[Result], log_dir: Path, console: Console) -> None:
    table = Table(
        title="First layer's gradient, and what the network learned", box=box.SIMPLE_HEAD, title_justify="left"
    )
    table.add_column("network", no_wrap=True)
    for heading in ("gradient,\nfirst tenth", "gradient,\nlast tenth", "final\nloss", "spread of\nestimate"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for result in results:
        numbers = (result.early_gradient, result.late_gradient, result.final_loss, result.spread)
        verdict = "healthy" if result.diagnosis.healthy else "sick"
        table.add_row(result.name, *(f"{number:.2g}" for number in numbers), verdict)
    console.print(table)
    by_name = {result.name: result for result in results}
    if {"two_layer", "three_layer"} <= set(by_name):
        ratio = by_name["two_layer"].early_gradient / by_name["three_layer"].early_gradient
        console.print(f"The two-layer network's gradient is {ratio:,.0f} times the three-layer network's.\n")
    for result in results:
        if not result.diagnosis.healthy:
            console.print(f"gradscope check {log_dir / result.name}", style="bold")
            console.file.write(to_terminal(result.diagnosis, width=min(console.width, 100), color=console.is_terminal))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=VARIANTS, default="none", help="the document's further advice")
    parser.add_argument("--log-dir", type=Path, help="default: logs/demo, or logs/demo_<variant>")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--every", type=int, default=10, help="record every n-th step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-picture", action="store_true", help="do not draw gradients.png")
    options = parser.parse_args()
    suffix = "" if options.variant == "none" else f"_{options.variant}"
    options.log_dir = options.log_dir or Path("logs") / f"demo{suffix}"
    return options


def main() -> None:
    options = parse()
    console = Console()
    results = []
    for name in options.networks:
        console.print(f"training {name}: {options.steps:,} steps …", end=" ")
        started = time.perf_counter()
        results.append(train(name, options.log_dir / name, options))
        console.print(f"{time.perf_counter() - started:.0f} s")
    show(results, options.log_dir, console)
    if not options.no_picture:
        path = options.log_dir / "gradients.png"
        picture(options.log_dir, options.networks, path)
        console.print(f"Picture:     {path}")
    console.print(f"TensorBoard: python -m tensorboard.main --logdir {options.log_dir}")


if __name__ == "__main__":
    main()
