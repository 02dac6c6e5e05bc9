"""Small images with ten classes: scikit-learn's digits, which ship with the library, and Keras' MNIST.

scikit-learn is needed for the digits: pip install scikit-learn
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Training and test images, float32 in [0, 1], of shape ``[images, height, width, 1]``, and their labels."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    test_x: npt.NDArray[np.float32]
    test_y: npt.NDArray[np.int64]

    def flat(self) -> Images:
        """The same as rows of pixels, for dense layers."""
        return replace(self, x=self.x.reshape(len(self.x), -1), test_x=self.test_x.reshape(len(self.test_x), -1))

    def standardised(self) -> Images:
        """The same with mean 0 and standard deviation 1 per pixel of the training images."""
        mean, std = self.x.mean(axis=0), self.x.std(axis=0) + np.float32(1e-2)
        return replace(self, x=(self.x - mean) / std, test_x=(self.test_x - mean) / std)

    def first(self, count: int) -> Images:
        """The same with the first ``count`` training images alone."""
        return replace(self, x=self.x[:count], y=self.y[:count])

    def of_classes(self, classes: range) -> Images:
        """The images of some classes alone; the labels stay as they are."""
        kept, test_kept = np.isin(self.y, classes), np.isin(self.test_y, classes)
        return Images(self.x[kept], self.y[kept], self.test_x[test_kept], self.test_y[test_kept])


def load(name: str) -> Images:
    """``digits``: 1,400 training and 397 test images of 8 x 8. ``mnist``: 60,000 and 10,000 of 28 x 28, downloaded.

    Raises:
        click.ClickException: MNIST is not at hand and cannot be downloaded.
    """
    return _mnist() if name == "mnist" else _digits()


def _digits() -> Images:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))  # the same split whatever the seed of an experiment
    x, y = (images[order] / 16.0).reshape(-1, 8, 8, 1).astype(np.float32), labels[order].astype(np.int64)
    return Images(x[:1400], y[:1400], x[1400:], y[1400:])


def _mnist() -> Images:
    import keras

    try:
        (x, y), (test_x, test_y) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception where it cannot download
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras"), "datasets")
        raise click.ClickException(
            f"MNIST cannot be had ({error}): put mnist.npz into {folder}, or use --data digits"
        ) from error
    scaled, test_scaled = ((part[..., None] / 255.0).astype(np.float32) for part in (x, test_x))
    return Images(scaled, y.astype(np.int64), test_scaled, test_y.astype(np.int64))
