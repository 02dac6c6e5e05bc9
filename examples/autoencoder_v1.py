"""The autoencoder that stops learning, as a TF1 graph run by a session: recorded, compared and diagnosed.

The same three networks as in autoencoder.py, in the style of the scripts that people still have: variables made by
hand, `compute_gradients`, clipping, `apply_gradients`, and a loop of `session.run`. What gradscope adds to such a
script are three calls: GraphRecorder, observe, and run in place of ``session.run``.

    python examples/autoencoder_v1.py                 # the three networks, into logs/demo_v1
    python examples/autoencoder_v1.py --steps 2000 --every 5
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages, before it is imported

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from autoencoder import CLIP, LEARNING_RATE, NETWORKS, STEPS, Result, show
from rich.console import Console

import gradscope
from gradscope.recording.graph_v1 import GraphRecorder


def dense(inputs: tf.Tensor, units: int, suffix: str, *, fixed: bool, seed: int) -> tf.Tensor:
    """inputs · W + b, with both near zero, or with Glorot's weights and biases of +0.1."""
    small = tf.random_normal_initializer(0.0, 1e-3, seed=seed)
    kernel_initializer = tf.glorot_uniform_initializer(seed=seed) if fixed else small
    bias_initializer = (
        tf.constant_initializer(0.1) if fixed else tf.random_normal_initializer(0.0, 1e-3, seed=seed + 50)
    )
    kernel = tf.get_variable(f"W{suffix}", [inputs.shape[-1], units], initializer=kernel_initializer)
    bias = tf.get_variable(f"b{suffix}", [units], initializer=bias_initializer)
    return tf.matmul(inputs, kernel) + bias


def build(name: str, seed: int) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The placeholder for x, and the outputs of the layers by name, of one of `NETWORKS`."""
    fixed = name == "three_layer_fixed"
    x = signal = tf.placeholder(tf.float32, [None, 1], name="x")
    layers = {}
    for number in range(1 if name == "two_layer" else 2):
        signal = tf.nn.relu(dense(signal, 16, f"{number or ''}", fixed=fixed, seed=100 * seed + number))
        layers[f"hidden_{number + 1}"] = signal
    layers["output"] = dense(signal, 1, "2", fixed=fixed, seed=100 * seed + 9)
    layers["estimate"] = 2.0 * layers["output"]
    return x, layers


def train(name: str, log_dir: Path, options: argparse.Namespace) -> Result:
    shutil.rmtree(log_dir, ignore_errors=True)  # a run is made anew, not gone on with
    numbers = np.random.default_rng(options.seed).uniform(-1.0, 1.0, (options.steps, 1, 1))
    grid = np.linspace(-1.0, 1.0, 201)[:, None]
    with tf.Graph().as_default(), GraphRecorder(log_dir, every=options.every, summary=False) as recorder:
        x, layers = build(name, options.seed)
        loss = tf.square(x[0, 0] - layers["estimate"][0, 0])
        optimizer = tf.train.GradientDescentOptimizer(LEARNING_RATE)
        grads_and_vars = optimizer.compute_gradients(loss)
        clipped = [(tf.clip_by_value(gradient, -CLIP, CLIP), variable) for gradient, variable in grads_and_vars]
        train_op = optimizer.apply_gradients(clipped)
        recorder.observe(
            grads_and_vars=grads_and_vars,
            clipped_grads_and_vars=clipped,
            activations=layers,
            inputs={"x": x},
            targets={"x": x},
            loss=loss,
            learning_rate=LEARNING_RATE,
        )
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for step, number in enumerate(numbers):
                recorder.run(session, train_op, {x: number}, step=step)
            estimate: Any = session.run(layers["estimate"], {x: grid})

    run = gradscope.read_run(log_dir)
    gradient = run.series("gradient", "hidden_1/W", "abs_mean")
    return Result(
        name=name,
        early_gradient=float(gradient[run.steps < options.steps / 10].mean()),
        late_gradient=float(gradient[run.steps >= options.steps * 9 / 10].mean()),
        final_loss=float(np.mean((grid - estimate) ** 2)),
        spread=float(np.ptp(estimate)),
        diagnosis=gradscope.diagnose(run),
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log-dir", type=Path, default=Path("logs") / "demo_v1")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--every", type=int, default=10, help="record every n-th step")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


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
    console.print(f"TensorBoard: python -m tensorboard.main --logdir {options.log_dir}")


if __name__ == "__main__":
    main()
