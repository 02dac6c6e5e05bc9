"""Variational autoencoders with a training step of their own."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit

family = Family("variational", half="think")


def _variational(encoder: Any, decoder: Any, *, spread: str, averaged: bool) -> Any:
    """The autoencoder; the second output of the encoder is a log variance or a variance."""

    class Variational(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = encoder, decoder
            self.loss_tracker = keras.metrics.Mean(name="loss")

        def call(self, x: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002  as Keras calls it
            return self.decoder(self.encoder(x, training=training)[0], training=training)

        def train_step(self, batch: Any) -> Any:
            x, _ = batch
            with tf.GradientTape() as tape:
                mean, second = self.encoder(x, training=True)
                sigma = tf.exp(second / 2) if spread == "log_variance" else tf.sqrt(second)
                log_variance = second if spread == "log_variance" else tf.math.log(second)
                made = self.decoder(mean + sigma * tf.random.normal(tf.shape(mean)), training=True)
                error = (made - x) ** 2 / 0.1
                error = tf.reduce_mean(error, -1) if averaged else tf.reduce_sum(error, -1)
                divergence = 0.5 * tf.reduce_sum(mean**2 + sigma**2 - 1 - log_variance, -1)
                loss = tf.reduce_mean(error + divergence)
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

    return Variational()


def _digits(
    seed: int, *, averaged: bool = False, spread: str = "log_variance", activation: str | None = None, codes: int = 6
) -> Fit:
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs = keras.Input((64,))
    seen = keras.layers.Dense(64, "relu", name="see")(inputs)
    mean = keras.layers.Dense(codes, name="mean")(seen)
    second = keras.layers.Dense(codes, activation, name=spread)(seen)
    code = keras.Input((codes,))
    drawn = keras.layers.Dense(64, "relu", name="draw")(code)
    encoder = keras.Model(inputs, [mean, second], name="encoder")
    decoder = keras.Model(code, keras.layers.Dense(64, "sigmoid", name="pixels")(drawn), name="decoder")
    model = _variational(encoder, decoder, spread=spread, averaged=averaged)
    return Fit(model, x, x, keras.optimizers.Adam(2e-3), "mse", skill.fit_of, steps=700, batch_size=48)


family.pair(
    "digits-balance",
    _digits,
    sickness="error-averaged-but-divergence-summed",
    sick={"averaged": True},
    causes=["collapsed-representation", "constant-output"],
    level=0.4,
)
family.pair(
    "digits-variance",
    _digits,
    sickness="root-of-a-linear-output",
    healthy={"spread": "variance", "activation": "softplus"},
    sick={"activation": None},
    causes=["nonfinite-values"],
    layers=("variance",),
    level=0.4,
)
