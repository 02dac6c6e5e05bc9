"""What recording costs: steps with and without it, interleaved in one run.

For each model, five ways of training take turns, a block of steps at a time:

    plain       fit() as it is
    default     gradscope.Recorder(log_dir)
    every step  gradscope.Recorder(log_dir, every=1)
    summary     tf.summary.histogram of weights, gradients and activations in train_step, at every step
    keras       keras.callbacks.TensorBoard(histogram_freq=1), once an epoch, weights only

Printed: medians over the blocks of (time of the block / time of the plain block of the same round), and their range.

    python benchmarks/overhead.py [--models mlp resnet transformer lstm] [--rounds 5] [--steps 40] [--xla]
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich import box
from rich.console import Console
from rich.table import Table

import gradscope

layers = keras.layers


def mlp():
    return keras.Sequential([keras.Input((784,)), *(layers.Dense(1024, "relu") for _ in range(4)), layers.Dense(10)]), (
        784,
    )


def resnet():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(2):
            step = stride if block == 0 else 1
            y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(width, 3, step, padding="same")(x)))
            y = layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same")(y))
            skip = x if block or width == 16 else layers.Conv2D(width, 1, step)(x)
            x = layers.ReLU()(layers.Add()([y, skip]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x))), (32, 32, 3)


def transformer(blocks=4):
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(1000, 64)(inputs)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 16)(y, y)])
        y = layers.Dense(256, "gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(64)(y)])
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x))), (64,)


def lstm():
    return keras.Sequential([keras.Input((32, 32)), layers.LSTM(128), layers.Dense(10)]), (32, 32)


MODELS = {"mlp": mlp, "resnet": resnet, "transformer": transformer, "lstm": lstm}
WAYS = ("plain", "default", "every step", "summary", "keras")


class Summarising(keras.Model):
    """The usual do-it-yourself: tf.summary.histogram of everything, inside train_step."""

    writer = None

    def train_step(self, data):
        x, y = data
        tapped = keras.Model(self.inputs, [layer.output for layer in self.layers[1:]])
        with tf.GradientTape() as tape:
            outputs = tapped(x, training=True)
            loss = self.compute_loss(x, y, outputs[-1])
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        step = tf.cast(self.optimizer.iterations, tf.int64)
        with self.writer.as_default():
            for variable, gradient in zip(variables, gradients, strict=True):
                tf.summary.histogram(f"weights/{variable.path}", variable.value, step=step)
                tf.summary.histogram(f"gradients/{variable.path}", tf.convert_to_tensor(gradient), step=step)
            for layer, output in zip(self.layers[1:], outputs, strict=True):
                tf.summary.histogram(f"activations/{layer.name}", output, step=step)
        return {"loss": loss}


class Epoch(keras.callbacks.Callback):
    """Times the steps of an epoch, without what comes before the first and after the last."""

    def on_epoch_begin(self, epoch, logs=None):
        self.seconds = -time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.perf_counter()


class Way:
    """One way of training one model, a block of steps at a time."""

    def __init__(self, way, build, options, folder):
        keras.utils.set_random_seed(0)
        model, shape = build()
        self.callbacks = []
        self.log_dir = folder / way.replace(" ", "_")
        if way == "summary":
            model = Summarising(model.inputs, model.outputs)
            model.writer = tf.summary.create_file_writer(str(self.log_dir))
        elif way == "keras":
            self.callbacks = [keras.callbacks.TensorBoard(self.log_dir, histogram_freq=1, write_graph=False)]
        elif way != "plain":
            every = 1 if way == "every step" else None
            self.callbacks = [gradscope.Recorder(self.log_dir, every=every, summary=False)]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=options.xla)
        random = np.random.default_rng(0)
        count = options.batch * options.steps
        embedded = model.inputs[0].dtype == "int32"
        x = random.integers(0, 1000, (count, *shape)) if embedded else random.normal(size=(count, *shape)).astype("f4")
        self.data = tf.data.Dataset.from_tensor_slices((x, random.integers(0, 10, count))).batch(options.batch).cache()
        self.model = model
        self.seconds = []
        self.first = self.block(first=True)

    def block(self, *, first=False):
        data = self.data.take(1) if first else self.data
        epoch = Epoch()
        self.model.fit(data, shuffle=False, verbose=0, callbacks=[*self.callbacks, epoch])
        if not first:
            self.seconds.append(epoch.seconds)
        return epoch.seconds

    def bytes_written(self):
        return sum(path.stat().st_size for path in self.log_dir.rglob("*") if path.is_file())


def measure(name, options):
    folder = Path(tempfile.mkdtemp())
    ways = {way: Way(way, MODELS[name], options, folder) for way in options.ways}
    for way in ways.values():
        way.block()
        way.seconds.clear()  # the first block warms up, and lets a default schedule leave its dense start
    for _ in range(options.rounds):
        for way in ways.values():
            way.block()
    rows = []
    for label, way in ways.items():
        ratios = [mine / plain for mine, plain in zip(way.seconds, ways["plain"].seconds, strict=True)]
        steps = options.steps * (options.rounds + 1)
        rows.append(
            (
                name,
                label,
                f"{1e3 * statistics.median(way.seconds) / options.steps:.1f}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
                f"{way.first / ways['plain'].first:.1f}",
                f"{way.bytes_written() / steps / 1e3:,.1f}",
            )
        )
    shutil.rmtree(folder)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="per block")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--xla", action="store_true")
    options = parser.parse_args()
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("model", "way", "ms per step", "ratio", "range", "first step", "kB per step"):
        table.add_column(heading, justify="left" if heading in ("model", "way") else "right")
    for name in options.models:
        for row in measure(name, options):
            table.add_row(*row)
    console = Console(width=100)
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    console.print(f"{os.cpu_count()} CPUs, TensorFlow {tf.__version__}, Keras {keras.__version__}, peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
