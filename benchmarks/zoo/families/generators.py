"""Networks that make or rate examples: an autoencoder with a prior."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit

family = Family("generators", half="think")


def _digits_from_codes(seed: int, *, brightest: float = 16.0) -> Fit:
    """The variational autoencoder of the tutorials: eight codes, and the entropy of pixels."""
    keras.utils.set_random_seed(seed)
    pixels = data.digits()[0] * 16 / brightest

    class Autoencoder(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = keras.layers.Dense(64, "relu", name="encoder")
            self.mean, self.log_var = (keras.layers.Dense(8, name=name) for name in ("mean", "log_var"))
            self.decoder = keras.layers.Dense(64, "relu", name="decoder")
            self.pixels = keras.layers.Dense(64, "sigmoid", name="pixels")

        def call(self, x: Any, training: Any = None) -> Any:
            h = self.encoder(x)
            mean, log_var = self.mean(h), self.log_var(h)
            divergence = -0.5 * tf.reduce_sum(1 + log_var - mean**2 - tf.exp(log_var), -1)
            self.add_loss(tf.reduce_mean(divergence) / 64)
            if training:
                mean += tf.exp(log_var / 2) * tf.random.normal(tf.shape(mean), seed=seed)
            return self.pixels(self.decoder(mean))

    model = Autoencoder()
    model(pixels[:2])

    def score(truth: np.ndarray, made: np.ndarray) -> float:
        return skill.fit_of(truth / truth.max(), made)

    return Fit(
        model, pixels, pixels, keras.optimizers.Adam(3e-3), "binary_crossentropy", score, steps=450, batch_size=64
    )


family.pair(
    "digits-from-codes",
    _digits_from_codes,
    sickness="pixels-0-to-16-for-an-entropy",
    sick={"brightest": 1.0},
    causes=["badly-scaled-target", "mismatched-loss", "diverging-loss"],
    level=0.4,
)
