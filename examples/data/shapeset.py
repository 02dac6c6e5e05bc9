"""Shapeset-3x2, an endless set of generated images, after the description in Glorot & Bengio (2010).

An image is 32 x 32, black, and shows one or two shapes out of triangle, parallelogram and ellipse, of random
proportions, size, rotation, place and grey. Of two, the second lies before the first and leaves at least half of it to
be seen. The class is what the image shows, whichever lies in front: three single shapes, three unlike pairs, three like
pairs.

    python examples/data/shapeset.py   # draws a sheet of examples, and says how fast they are made
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 32
SHAPES = ("triangle", "parallelogram", "ellipse")
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
CLASSES = (*SHAPES, *(f"{SHAPES[a]} + {SHAPES[b]}" for a, b in PAIRS))

FloatArray = npt.NDArray[np.float32]

_MOST_HIDDEN = 0.5  # share of the shape behind that the one in front may cover
_LEAST_PIXELS = 20
_TRIES = 16  # beyond them the front shape moves aside, so that a batch always ends
_CONTRAST = 0.2


@dataclass(frozen=True)
class Shapeset:
    """Batches of labelled images without end.

    Args:
        seed: the same seed gives the same images.
        batch: images per batch.
    """

    seed: int = 0
    batch: int = 10

    def __iter__(self) -> Iterator[tuple[FloatArray, npt.NDArray[np.int32]]]:
        """Endless ``(x, y)``: float32 ``[batch, 32, 32]`` in [0, 1], int32 ``[batch]`` in 0 … 8, as `CLASSES`."""
        random = np.random.default_rng(self.seed)
        block = max(256 // self.batch, 1) * self.batch
        while True:
            images, labels = draw(block, random)
            for first in range(0, block, self.batch):
                yield images[first : first + self.batch], labels[first : first + self.batch]


def draw(count: int, random: np.random.Generator) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """``count`` images, float32 ``[count, 32, 32]``, and their classes, int32 ``[count]``; classes equally likely."""
    labels = random.integers(0, len(CLASSES), count).astype(np.int32)
    behind = labels.copy()
    front = np.full(count, -1)
    paired = np.flatnonzero(labels >= len(SHAPES))
    pair = np.array(PAIRS)[labels[paired] - len(SHAPES)]
    swapped = random.integers(0, 2, len(paired))[:, None]
    pair = np.where(swapped, pair[:, ::-1], pair)
    behind[paired], front[paired] = pair.T

    first, second = _greys(count, random)
    mask = _masks(behind, random)
    images = mask * first[:, None, None]
    cover = _fronts(front[paired], mask[paired], random)
    images[paired] = np.where(cover, second[paired, None, None], images[paired])
    return images, labels


def _greys(count: int, random: np.random.Generator) -> FloatArray:
    """Greys of two shapes, at least 0.2 from each other and from the black behind them; float32 ``[2, count]``."""
    levels = np.sort(random.uniform(_CONTRAST, 1.0 - _CONTRAST, (count, 2)), axis=1) + _CONTRAST * np.arange(2)
    return random.permuted(levels, axis=1).T.astype(np.float32)


def _masks(shapes: npt.NDArray[np.integer], random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which pixels each shape covers, ``[len(shapes), 32, 32]``; a shape that shows too little is drawn anew."""
    masks = _drawn(shapes, random)
    for _ in range(_TRIES):
        small = np.flatnonzero(masks.sum(axis=(1, 2)) < _LEAST_PIXELS)
        if not len(small):
            break
        masks[small] = _drawn(shapes[small], random)
    return masks


def _fronts(
    shapes: npt.NDArray[np.integer], behind: npt.NDArray[np.bool_], random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Masks of the shapes in front; neither hides more than half of what is behind it."""
    masks = _masks(shapes, random)
    for _ in range(_TRIES):
        covered = (masks & behind).sum(axis=(1, 2)) / behind.sum(axis=(1, 2))
        wrong = np.flatnonzero(covered > _MOST_HIDDEN)
        if not len(wrong):
            break
        masks[wrong] = _masks(shapes[wrong], random)
    return masks


def _drawn(shapes: npt.NDArray[np.integer], random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Each shape is an affine image of a simple one, so a pixel is taken back to that and tested there."""
    count = len(shapes)
    turn = random.uniform(0.0, 2 * np.pi, count)
    corner = random.uniform(np.radians(50), np.radians(130), count)  # between the two sides
    length = random.uniform(5.0, 11.0, (2, count)) * np.where(
        shapes == 0, 1.8, 1.0
    )  # a triangle fills less of its sides
    corner[shapes == 2] = np.pi / 2
    sides = length * np.exp(1j * np.stack([turn, turn + corner]))
    place = random.uniform(0.28 * SIZE, 0.72 * SIZE, (2, count))
    (ax, bx), (ay, by) = sides.real, sides.imag
    area = ax * by - ay * bx
    along = np.stack([by, -bx, -ay, ax]) / area  # (u, v) = inverse of [[ax, bx], [ay, by]] times (x, y)
    along = along.astype(np.float32)[:, :, None]
    pixels = np.arange(SIZE, dtype=np.float32) + 0.5
    x, y = pixels - place.astype(np.float32)[:, :, None]
    u = (along[0] * x)[:, None, :] + (along[1] * y)[:, :, None]
    v = (along[2] * x)[:, None, :] + (along[3] * y)[:, :, None]
    masks = np.empty(u.shape, bool)
    for shape, inside in enumerate((_in_triangle, _in_square, _in_circle)):
        mine = shapes == shape
        masks[mine] = inside(u[mine], v[mine])
    return masks


def _in_triangle(u: FloatArray, v: FloatArray) -> npt.NDArray[np.bool_]:
    third = np.float32(1 / 3)  # its centre of gravity lies at 0
    return (u >= -third) & (v >= -third) & (u + v <= third)


def _in_square(u: FloatArray, v: FloatArray) -> npt.NDArray[np.bool_]:
    return (np.abs(u) <= 1) & (np.abs(v) <= 1)


def _in_circle(u: FloatArray, v: FloatArray) -> npt.NDArray[np.bool_]:
    return u * u + v * v <= 1


def sheet(path: Path, seed: int = 0, rows: int = 3) -> None:
    """A picture of examples, a column per class."""
    from matplotlib.figure import Figure

    images, labels = draw(400, np.random.default_rng(seed))
    figure = Figure(figsize=(9.0, 1.1 * rows + 0.6), layout="constrained")
    axes: Any = figure.subplots(rows, len(CLASSES))
    for column, name in enumerate(CLASSES):
        for row, image in enumerate(images[labels == column][:rows]):
            axes[row, column].imshow(image, cmap="gray", vmin=0, vmax=1)
            axes[row, column].set_axis_off()
        axes[0, column].set_title(name.replace(" + ", " +\n"), fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    import time

    random = np.random.default_rng(0)
    draw(256, random)
    started = time.process_time()
    for _ in range(40):
        draw(256, random)
    print(f"{40 * 256 / (time.process_time() - started):,.0f} images per second of processor time")
    sheet(Path("shapeset.png"))
    print("shapeset.png")


if __name__ == "__main__":
    main()
