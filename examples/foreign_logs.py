"""Judge what other tools logged: a TensorFlow 1 session, Keras' TensorBoard callback, and a loop with tf.summary.

    python examples/foreign_logs.py [directory]

Each training is short; what is written is then judged as ``gradscope check`` does it.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf

import gradscope
from gradscope.reports.terminal import to_terminal


def session_log(directory: Path, *, layers: int, steps: int = 3000) -> None:
    """The autoencoder whose three-layer form does not learn, with a histogram of each variable and its gradient."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(1)
        initial = v1.random_normal_initializer(0, 1e-3)
        signal = given = v1.placeholder(tf.float32, [None, 1])
        sizes = [1, *[16] * (layers - 1), 1]
        for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            suffix = str(number) if number else ""
            weights = v1.get_variable(f"W{suffix}", [fan_in, fan_out], initializer=initial)
            biases = v1.get_variable(f"b{suffix}", [fan_out], initializer=initial)
            signal = tf.matmul(signal, weights) + biases
            if number < layers - 1:
                signal = tf.nn.relu(signal)
        loss = tf.reduce_sum(tf.square(given - 2.0 * signal))
        optimizer = v1.train.GradientDescentOptimizer(1e-3)
        pairs = optimizer.compute_gradients(loss)
        train = optimizer.apply_gradients([(tf.clip_by_value(g, -4.5, 4.5), v) for g, v in pairs])
        for gradient, variable in pairs:
            v1.summary.histogram(variable.name, variable)
            v1.summary.histogram(variable.name + "_grad", gradient)
        v1.summary.scalar("loss", loss)
        merged = v1.summary.merge_all()
        session.run(v1.global_variables_initializer())
        random = np.random.default_rng(1)
        writer = v1.summary.FileWriter(str(directory), session.graph)
        for step in range(steps):
            example = {given: random.uniform(-1, 1, (1, 1))}
            if step % 10:
                session.run(train, example)
            else:
                writer.add_summary(session.run([train, merged], example)[1], step)
        writer.close()


def _network(deviation: float) -> tf.keras.Model:
    initial = tf.keras.initializers.RandomNormal(stddev=deviation)
    hidden = [tf.keras.layers.Dense(32, "relu", kernel_initializer=initial) for _ in range(3)]
    return tf.keras.Sequential([tf.keras.Input((8,)), *hidden, tf.keras.layers.Dense(1, kernel_initializer=initial)])


def _data() -> tuple[np.ndarray, np.ndarray]:
    inputs = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
    return inputs, inputs[:, :1] * inputs[:, 1:2]


def keras_log(directory: Path) -> None:
    """Keras' TensorBoard callback: weights, once an epoch."""
    model = _network(1e-3)
    model.compile("sgd", "mse")
    callback = tf.keras.callbacks.TensorBoard(str(directory), histogram_freq=1)
    model.fit(*_data(), epochs=20, verbose=0, callbacks=[callback])


def summary_log(directory: Path) -> None:
    """A loop of one's own with `tf.summary.histogram` under ``weights/``, ``grads/`` and ``activations/``."""
    model = _network(1e-3)
    inputs, targets = _data()
    optimizer = tf.keras.optimizers.SGD(0.01)
    with tf.summary.create_file_writer(str(directory)).as_default():
        for step in range(100):
            with tf.GradientTape() as tape:
                signal, activations = inputs, {}
                for layer in model.layers:
                    signal = activations[layer.name] = layer(signal)
                loss = tf.reduce_mean(tf.square(signal - targets))
            gradients = tape.gradient(loss, model.trainable_variables)
            tf.summary.scalar("train/loss", loss, step)
            for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
                tf.summary.histogram(f"weights/{variable.path}", variable, step)
                tf.summary.histogram(f"grads/{variable.path}", gradient, step)
            for name, activation in activations.items():
                tf.summary.histogram(f"activations/{name}", activation, step)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


def main() -> None:
    """Write the logs and judge them."""
    base = Path(sys.argv[1] if len(sys.argv) > 1 else "logs/foreign")
    session_log(base / "session_two_layers", layers=2)
    session_log(base / "session_three_layers", layers=3)
    keras_log(base / "keras")
    summary_log(base / "summary")
    for place in gradscope.find_runs(base):
        print(to_terminal(gradscope.diagnose(gradscope.read_run(place))))


if __name__ == "__main__":
    main()
