"""Depth as second axis of `init_sweep.py`: which networks can be trained, and what gradscope says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from data.images import CLASSES, Images
from experiment import accuracy, train, verdict
from rich import box
from rich.table import Table

import gradscope

ACTIVATIONS = {"relu": "relu", "logistic": "sigmoid", "tanh": "tanh"}
VARIANTS = ("plain", "He or Xavier", "+ batch norm", "+ skips")
PLAIN = 0.1
UNITS = 48
CHANCE = 1 / CLASSES


@dataclass(frozen=True)
class Cell:
    """One network of the map."""

    depth: int  # layers with weights, the output included
    activation: str
    variant: str
    accuracy: float  # on the test images
    healthy: bool
    verdict: str
    log_dir: str


def network(depth: int, activation: str, variant: str, inputs: int, seed: int) -> keras.Model:
    """Dense layers of equal width; each variant keeps what the one before it has."""
    keras.utils.set_random_seed(seed)
    plain, normalised, skips = variant == "plain", variant in VARIANTS[2:], variant == "+ skips"
    function = ACTIVATIONS[activation]
    usual = "he_normal" if activation == "relu" else "glorot_normal"

    def dense(units: int, name: str, function: str | None) -> keras.layers.Dense:
        return keras.layers.Dense(
            units,
            activation=function,
            name=name,
            kernel_initializer=keras.initializers.TruncatedNormal(0.0, PLAIN) if plain else usual,
            bias_initializer=keras.initializers.Constant(PLAIN if plain else 0.0),
        )

    x = h = keras.Input((inputs,), name="pixels")
    for number in range(1, depth):
        before = h
        h = dense(UNITS, f"hidden_{number}", None if normalised else function)(h)
        if normalised:
            h = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(h)
            h = keras.layers.Activation(function, name=f"{activation}_{number}")(h)
        if skips and number > 1:
            h = keras.layers.Add(name=f"skip_{number}")([h, before])
    return keras.Model(x, dense(CLASSES, "output", "softmax")(h))


def train_cell(place: tuple[int, str, str], images: Images, log_dir: Path, *, steps: int, seed: int) -> Cell:
    """Train one network with Adam, recorded, and have it judged."""
    depth, activation, variant = place
    model = network(*place, images.x.shape[1], seed)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    slug = variant.replace("+ ", "").replace(" ", "_").lower()
    run_dir = log_dir / f"depth_{depth:02d}" / f"{activation}_{slug}"
    train(model, images, run_dir, steps=steps, seed=seed)
    diagnosis = gradscope.diagnose(gradscope.read_run(run_dir))
    reached = accuracy(model, images.test_x, images.test_y)
    keras.backend.clear_session()
    return Cell(depth, activation, variant, reached, diagnosis.healthy, verdict(diagnosis), str(run_dir))


def trainable(cell: Cell, cells: list[Cell]) -> bool:
    """Whether it came at least half the way from chance to the best network of the map."""
    best = max(other.accuracy for other in cells)
    return cell.accuracy >= (CHANCE + best) / 2


def agreement(cells: list[Cell]) -> str:
    """How often the verdict and what became of the network agree, and where they do not."""
    wrong = [cell for cell in cells if cell.healthy != trainable(cell, cells)]
    share = 1 - len(wrong) / len(cells)
    lines = [f"gradscope and what became of the network agree in {len(cells) - len(wrong)} of {len(cells)} cells"]
    lines[0] += f" ({share:.0%})."
    lines += [
        f"  {cell.depth} layers, {cell.activation}, {cell.variant}: accuracy {cell.accuracy:.2f}, {cell.verdict}"
        for cell in wrong
    ]
    return "\n".join(lines)


def map_table(cells: list[Cell]) -> Table:
    """Test accuracy and verdict per cell; what the verdict missed is marked."""
    table = Table(
        title="Test accuracy (✓ gradscope finds no error, ✗ it does, ! it is wrong)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("network", no_wrap=True)
    depths = sorted({cell.depth for cell in cells})
    for depth in depths:
        table.add_column(f"{depth}\nlayers", justify="right", no_wrap=True)
    at = {(cell.activation, cell.variant, cell.depth): cell for cell in cells}
    for activation, variant in dict.fromkeys((cell.activation, cell.variant) for cell in cells):
        row = [at[activation, variant, depth] for depth in depths if (activation, variant, depth) in at]
        table.add_row(f"{activation}, {variant}", *(_mark(cell, cells) for cell in row))
    return table


def _mark(cell: Cell, cells: list[Cell]) -> str:
    doubt = "" if cell.healthy == trainable(cell, cells) else "!"
    return f"{cell.accuracy:.2f} {'✓' if cell.healthy else '✗'}{doubt}"


def draw_map(cells: list[Cell], path: Path) -> None:
    """Accuracy as colour, one panel per activation; a cross where gradscope finds an error, a ring where wrong."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    depths = sorted({cell.depth for cell in cells})
    activations = list(dict.fromkeys(cell.activation for cell in cells))
    figure, axes = plt.subplots(
        1, len(activations), figsize=(3.1 * len(activations) + 1.2, 2.9), squeeze=False, layout="constrained"
    )
    for axis, activation in zip(axes[0], activations, strict=True):
        grid = np.full((len(VARIANTS), len(depths)), np.nan)
        for cell in (cell for cell in cells if cell.activation == activation):
            row, column = VARIANTS.index(cell.variant), depths.index(cell.depth)
            grid[row, column] = cell.accuracy
            if not cell.healthy:
                axis.plot(column, row, "x", color="white", markersize=9, markeredgewidth=2)
            if cell.healthy != trainable(cell, cells):
                axis.plot(column, row, "o", color="tab:red", markersize=16, markerfacecolor="none", markeredgewidth=2)
        image = axis.imshow(grid, vmin=0.0, vmax=1.0, cmap="viridis", aspect="auto")
        axis.set_xticks(range(len(depths)), [str(depth) for depth in depths])
        axis.set_yticks(range(len(VARIANTS)), VARIANTS if axis is axes[0, 0] else [""] * len(VARIANTS))
        axis.set(title=activation, xlabel="layers")
    figure.suptitle("Test accuracy; ×: gradscope finds an error; ring: verdict and outcome differ", fontsize=10)
    figure.colorbar(image, ax=axes[0].tolist(), pad=0.02)
    figure.savefig(path, dpi=100)
    plt.close(figure)
