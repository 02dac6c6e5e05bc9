"""What the experiments share: one recorded training run, and the few numbers of it that their tables show."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages, before it is imported

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from data.images import Images
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import gradscope

SAMPLES = 25
"""Sampled steps per run: enough for a verdict, few enough that recording does not set the pace."""

Measure = Callable[[], None]


def progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
    )


def quick_start() -> None:
    """Leave TensorFlow's graph optimizer off: dozens of small networks take longer to optimise than to train."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


class Every(keras.callbacks.Callback):
    """Calls a function after every n-th step."""

    def __init__(self, interval: int, measure: Measure) -> None:
        super().__init__()
        self._interval, self._measure = interval, measure

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if (batch + 1) % self._interval == 0:
            self._measure()


def train(
    model: keras.Model,
    images: Images,
    log_dir: Path | None,
    *,
    steps: int,
    batch: int = 50,
    seed: int = 0,
    targets: npt.NDArray[Any] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    epochs: int = 1,
    validated: bool = False,
) -> None:
    """Train a compiled model for so many steps on batches of one size, recorded into ``log_dir`` if there is one.

    Batches of one size, because a partial batch at the end of an epoch would have both steps traced again.
    """
    labels = images.y if targets is None else targets
    order = tf.data.Dataset.from_tensor_slices((images.x, labels)).shuffle(len(images.x), seed=seed)
    batches = order.repeat().batch(batch, drop_remainder=True)
    recorders = []
    if log_dir is not None:
        shutil.rmtree(log_dir, ignore_errors=True)  # a run is made anew, not gone on with
        recorders = [gradscope.Recorder(log_dir, every=max(1, steps // SAMPLES), summary=False)]
    model.fit(
        batches,
        steps_per_epoch=steps // epochs,
        epochs=epochs,
        validation_data=(images.test_x, images.test_y) if validated else None,
        shuffle=False,  # the batches are already
        verbose=0,
        callbacks=[*recorders, *callbacks],
    )


def accuracy(model: keras.Model, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> float:
    """Share of right answers."""
    parts = (model(x[start : start + 2000], training=False).numpy() for start in range(0, len(x), 2000))
    return float(np.mean(np.concatenate([part.argmax(axis=1) for part in parts]) == y))


def verdict(diagnosis: gradscope.Diagnosis) -> str:
    """``clear``, or how grave the first cause is, and what is at its root."""
    if not diagnosis.causes:
        return "clear"
    cause = diagnosis.causes[0]
    return f"{cause.severity.label}: {cause.root.title}"
