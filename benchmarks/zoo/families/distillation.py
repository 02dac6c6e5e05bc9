"""More than one teacher: a student of a network, and two tasks on one trunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("distillation", half="think")


def _student(seed: int, *, softmax: bool = True, temperature: float = 4.0) -> Fit:
    """A small network learns what a larger one says at a high temperature (Hinton et al. 2015)."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    large = keras.Sequential([keras.Input((64,)), keras.layers.Dense(128, "relu"), keras.layers.Dense(10)])
    large.compile(keras.optimizers.Adam(3e-3), cross_entropy())
    large.fit(x, y, epochs=6, batch_size=64, verbose=0)
    divergence = keras.losses.KLDivergence()

    class Student(keras.Model):
        def train_step(self, batch: Any) -> Any:
            x, _ = batch
            said = large(x, training=False) / temperature
            with tf.GradientTape() as tape:
                answer = self(x, training=True) / temperature
                if softmax:
                    loss = temperature**2 * divergence(tf.nn.softmax(said), tf.nn.softmax(answer))
                else:
                    loss = temperature**2 * divergence(said, answer)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(24, "relu", name="hidden")(inputs)
    model = Student(inputs, keras.layers.Dense(10, name="answer")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(4e-3), cross_entropy(), skill.classes, steps=280)


family.pair(
    "digits-student",
    _student,
    sickness="divergence-of-logits",
    sick={"softmax": False},
    causes=["mismatched-loss"],
    layers=("answer",),
    level=0.8,
)


def _two_tasks(seed: int, *, currency: float = 1.0) -> Fit:
    """The kind of a house and its price, from one trunk."""
    keras.utils.set_random_seed(seed)
    x, kind = data.blobs(seed, features=12, kinds=4, spread=1.2)
    price = np.tanh(x[:, 0]) + 0.5 * x[:, 1] + 0.3 * kind
    price = ((price - price.mean()) / price.std()).astype("f4")[:, None]
    if currency > 1:
        price = price * 0.4 * currency + currency
    inputs = keras.Input((12,))
    trunk = keras.layers.Dense(48, "relu", name="trunk_1")(inputs)
    trunk = keras.layers.Dense(48, "relu", name="trunk_2")(trunk)
    outputs = [keras.layers.Dense(4, name="kind")(trunk), keras.layers.Dense(1, name="price")(trunk)]

    def score(truth: Any, guess: Any) -> float:
        return (skill.classes(truth[0], guess[0]) + max(0.0, skill.fit_of(truth[1], guess[1]))) / 2

    return Fit(
        keras.Model(inputs, outputs), x, [kind, price], keras.optimizers.Adam(2e-3), [cross_entropy(), "mse"], score,
        steps=320,
    )  # fmt: skip


family.pair(
    "kind-and-price",
    _two_tasks,
    sickness="price-in-single-crowns",
    sick={"currency": 250_000.0},
    causes=["badly-scaled-target"],
    layers=("price",),
    level=0.7,
)
