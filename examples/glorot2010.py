"""Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, done again.

Networks of four hidden layers learn to tell nine classes of generated images (data/shapeset.py) from minibatches of
ten: sigmoid, tanh and softsign, each with the standard initialisation U(±1/√n) and with the normalised one,
U(±√6/√(n + m)). Each is probed before training and recorded while it trains, on the same 300 images throughout; figures
2, 3, 4, 6, 7 and 8 of the paper are drawn from the logs and from nothing else.

    python examples/glorot2010.py          # 1,000 units per layer, as in the paper: a quarter of an hour
    python examples/glorot2010.py --small  # 200 units per layer: about a minute
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages, before it is imported

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from data.shapeset import CLASSES, SIZE, Shapeset, draw
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import gradscope
from gradscope import plots

ACTIVATIONS = ("sigmoid", "tanh", "softsign")
INITIALISATIONS = ("standard", "normalised")
NETWORKS = tuple(f"{activation}_{initial}" for activation in ACTIVATIONS for initial in INITIALISATIONS)
MEAN, SCALE = 0.15, 2.0  # bring the pixels to mean 0 and standard deviation 0.5 or so
LEARNING_RATES = {"sigmoid": 0.5, "tanh": 0.1, "softsign": 0.1}
WATCHED = 300
BATCH = 10


@dataclass(frozen=True)
class Plan:
    """How large the networks are, and how long they train."""

    width: int = 1000
    depth: int = 4
    steps: int = 10_000
    learning_rate: float | None = None
    samples: int = 50
    tested: int = 5000
    seed: int = 1


SMALL = Plan(width=200, steps=2_000, samples=25, tested=2000)


@dataclass(frozen=True)
class Result:
    """What came out of one network."""

    name: str
    error_rate: float  # on fresh images
    least_singular_value: float  # mean of a layer's Jacobian before training: of the hidden layer with the least …
    largest_singular_value: float  # … and the one with the largest mean
    gradient_ratio: float  # ‖∂loss/∂a‖ of the first hidden layer over that of the last, before training
    saturated: float  # share of the last hidden layer's entries at the end
    verdict: str


def prepared(images: np.ndarray) -> np.ndarray:
    """Flat, around 0, and small enough that the first layer does not saturate from the start."""
    return (images.reshape(-1, SIZE * SIZE) - MEAN) * SCALE


def batches(plan: Plan) -> tf.data.Dataset:
    """The same images in the same order for every network."""

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for images, labels in Shapeset(seed=plan.seed, batch=BATCH):
            yield prepared(images), labels

    signature = (tf.TensorSpec((BATCH, SIZE * SIZE), tf.float32), tf.TensorSpec((BATCH,), tf.int32))
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(16)


def build(name: str, plan: Plan) -> keras.Model:
    """One of `NETWORKS`; the biases start at zero."""
    activation, initial = name.split("_")

    def initializer(number: int) -> keras.initializers.Initializer:
        seed = 100 * plan.seed + number
        if initial == "normalised":
            return keras.initializers.GlorotUniform(seed=seed)
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)  # U(±1/√n)

    stack = [
        keras.layers.Dense(
            plan.width, activation=activation, kernel_initializer=initializer(number), name=f"layer_{number}"
        )
        for number in range(1, plan.depth + 1)
    ]
    output = keras.layers.Dense(len(CLASSES), activation="softmax", kernel_initializer=initializer(9), name="output")
    model = keras.Sequential([keras.Input((SIZE * SIZE,), name="image"), *stack, output], name=name)
    rate = LEARNING_RATES[activation] if plan.learning_rate is None else plan.learning_rate
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Advance(keras.callbacks.Callback):
    """Moves a progress bar on, a hundred steps at a time."""

    def __init__(self, progress: Progress, name: str, plan: Plan) -> None:
        super().__init__()
        self.progress = progress
        self.task = progress.add_task(name, total=plan.steps)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        if batch % 100 == 99:
            self.progress.update(self.task, completed=batch + 1)


def train(name: str, log_dir: Path, plan: Plan, progress: Progress) -> Result:
    """Probe a network, train it under a recorder, and test it on fresh images."""
    shutil.rmtree(log_dir / name, ignore_errors=True)  # a run is made anew, not gone on with
    keras.utils.set_random_seed(plan.seed)
    model = build(name, plan)
    images, labels = draw(WATCHED, np.random.default_rng(plan.seed + 10**6))
    watched = (prepared(images), labels)
    before = gradscope.probe(model, *watched, log_dir=log_dir / name / "before", examples=2, seed=plan.seed)
    recorder = gradscope.Recorder(
        log_dir / name / "training", every=max(plan.steps // plan.samples, 1), probe=watched, summary=False
    )
    callbacks = [recorder, Advance(progress, name, plan)]
    model.fit(batches(plan), steps_per_epoch=plan.steps, shuffle=False, verbose=0, callbacks=callbacks)

    images, labels = draw(plan.tested, np.random.default_rng(plan.seed + 2 * 10**6))
    accuracy = model.evaluate(prepared(images), labels, batch_size=500, verbose=0, return_dict=True)["accuracy"]
    run = gradscope.read_run(log_dir / name / "training")
    means = before.frame["mean_singular_value"][: plan.depth]
    return Result(
        name=name,
        error_rate=1.0 - accuracy,
        least_singular_value=float(means.min()),
        largest_singular_value=float(means.max()),
        gradient_ratio=gradient_ratio(gradscope.read_run(log_dir / name / "before"), plan),
        saturated=float(run.series("probe_activation", f"layer_{plan.depth}", "saturation_fraction")[-1]),
        verdict=gradscope.diagnose(run).sentence,
    )


def gradient_ratio(before: gradscope.Run, plan: Plan) -> float:
    """How much of the gradient at the last hidden layer reaches the first."""
    first, last = (
        float(before.series("activation_gradient", f"layer_{number}", "norm")[0]) for number in (1, plan.depth)
    )
    return first / last


def draw_figures(log_dir: Path, names: Sequence[str], folder: Path) -> list[Path]:
    """The paper's figures, as far as the networks they need were trained."""
    folder.mkdir(parents=True, exist_ok=True)

    def runs(when: str, *wanted: str) -> dict[str, gradscope.Run]:
        return {name.replace("_", ", "): gradscope.read_run(log_dir / name / when) for name in wanted if name in names}

    both = ("tanh_standard", "tanh_normalised")
    ends = ("tanh_standard", "softsign_standard")
    pictures = {
        "figure_2": (plots.trajectory, runs("training", "sigmoid_standard"), {"kind": "probe_activation"}),
        "figure_3": (plots.trajectory, runs("training", *ends), {"kind": "probe_activation", "centred": True}),
        "figure_4": (plots.layer_histograms, runs("training", *ends), {"kind": "probe_activation", "reach": 1.0}),
        "figure_6": (plots.layer_histograms, runs("before", *both), {"kind": "activation", "reach": 1.0}),
        "figure_7": (plots.layer_histograms, runs("before", *both), {"kind": "activation_gradient"}),
        "figure_8": (plots.layer_histograms, runs("before", *both), {"kind": "gradient"}),
    }
    written = []
    for name, (picture, shown, options) in pictures.items():
        if shown:
            written.append(folder / f"{name}.png")
            picture(shown, **options).savefig(written[-1], dpi=90)
    return written


def show(results: Sequence[Result], log_dir: Path, console: Console) -> None:
    table = Table(title="Before training, and after", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("network", no_wrap=True)
    for heading in ("singular\nvalues", "gradient\nfirst/last", "last layer\nsaturated", "error\nrate"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        singular = f"{result.least_singular_value:.2f} to {result.largest_singular_value:.2f}"
        cells = (singular, f"{result.gradient_ratio:.2g}", f"{result.saturated:.0%}", f"{result.error_rate:.1%}")
        table.add_row(result.name.replace("_", ", "), *cells)
    console.print(table)
    for result in results:
        console.print(f"{result.name}: {result.verdict}", highlight=False)
    console.print(f"\nThe whole reports: gradscope check {log_dir}", highlight=False)


@click.command(help=__doc__.replace("\n\n    ", "\n\n\b\n    "))
@click.option("--small", is_flag=True, help="200 units per layer and 2,000 steps; what other options say goes first.")
@click.option("--width", type=click.IntRange(2), help=f"Units per hidden layer.  [default: {Plan.width}]")
@click.option("--depth", type=click.IntRange(2, 8), help=f"Hidden layers.  [default: {Plan.depth}]")
@click.option("--steps", type=click.IntRange(1), help=f"Steps of {BATCH} images.  [default: {Plan.steps}]")
@click.option("--learning-rate", type=float, help="Of SGD, constant.  [default: 0.5 for sigmoid, else 0.1]")
@click.option("--seed", type=int, help=f"Of images and initial weights.  [default: {Plan.seed}]")
@click.option("--networks", multiple=True, type=click.Choice(NETWORKS), help="Only these; may be repeated.")
@click.option("--log-dir", type=click.Path(path_type=Path), default=Path("logs/glorot2010"), show_default=True)
def main(*, small: bool, networks: tuple[str, ...], log_dir: Path, **options: float | None) -> None:
    given = {name: value for name, value in options.items() if value is not None}
    plan = replace(SMALL if small else Plan(), **given)
    chosen = networks or NETWORKS
    console = Console()
    results: list[Result] = []
    with Progress(console=console) as progress:
        for name in chosen:
            results.append(train(name, log_dir, plan, progress))
            pd.DataFrame(map(asdict, results)).to_csv(log_dir / "results.csv", index=False)
    show(results, log_dir, console)
    for path in draw_figures(log_dir, chosen, log_dir / "figures"):
        console.print(f"Picture: {path}", highlight=False)


if __name__ == "__main__":
    main()
