"""Autoencoders: plain, denoising, with codes from a book, variational, with a choice for a code."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("bottlenecks", half="think")


def _draws(x: np.ndarray, size: int) -> Any:
    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (x[draw.integers(0, len(x), size)],)

    return batches


def _pixels(seed: int, *, standardise: bool = False) -> Fit:
    """The first autoencoder of every tutorial: sigmoid at the end, cross-entropy of each pixel."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    if standardise:
        x = data.standardised(x)
    model = keras.Sequential([
        keras.Input((64,)),
        keras.layers.Dense(48, "relu", name="encoder_1"),
        keras.layers.Dense(16, "relu", name="code"),
        keras.layers.Dense(48, "relu", name="decoder_1"),
        keras.layers.Dense(64, "sigmoid", name="output"),
    ])  # fmt: skip
    return Fit(model, x, x, keras.optimizers.Adam(5e-3), "binary_crossentropy", skill.fit_of, steps=500, batch_size=64)


def _denoise(seed: int, *, activation: str = "elu") -> Fit:
    """Takes noise off digits, through ten layers."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    noisy = (x + np.random.default_rng(seed).normal(0, 0.15, x.shape)).astype("f4")
    inputs = keras.Input((64,))
    hidden = inputs
    for number, width in enumerate((56, 48, 40, 32, 24, 32, 40, 48, 56), 1):
        hidden = keras.layers.Dense(width, activation, name=f"layer_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(64, name="output")(hidden))
    return Fit(model, noisy, x, keras.optimizers.Adam(2e-3), "mse", skill.fit_of, steps=500, batch_size=64)


def _code_book(seed: int, *, straight_through: bool = True) -> Loop:
    """Codes rounded to seven steps; the gradient is to go past the rounding as if it were not there."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()

    class Rounded(keras.layers.Layer):
        def call(self, code: Any) -> Any:
            code *= 3.0
            rounded = tf.round(code)
            return code + tf.stop_gradient(rounded - code) if straight_through else rounded

    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "swish", name="encoder_1")(inputs)
    code = Rounded(name="rounded")(keras.layers.Dense(12, "tanh", name="encoder_2")(hidden))
    hidden = keras.layers.Dense(64, "swish", name="decoder_1")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, name="decoder_2")(hidden))

    def forward(x: Any) -> Any:
        return tf.reduce_mean(tf.reduce_sum((x - model(x, training=True)) ** 2, -1))

    def score() -> float:
        return skill.fit_of(x, model.predict(x, batch_size=600, verbose=0))

    return Loop(model, keras.optimizers.Adam(3e-3), _draws(x, 64), forward, score, steps=700, seed=seed)


def _annealed(seed: int, *, most: float = 1.0) -> Fit:
    """A variational autoencoder of three measures; the weight of the divergence grows to 1, then stays."""
    keras.utils.set_random_seed(seed)

    class Annealed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = keras.Sequential([
                keras.Input((12,)),
                keras.layers.Dense(32, "relu", name="encoder_1"),
                keras.layers.Dense(6, name="code"),
            ])  # fmt: skip
            self.decoder = keras.Sequential([
                keras.Input((3,)),
                keras.layers.Dense(32, "relu", name="decoder_1"),
                keras.layers.Dense(12, name="made"),
            ])  # fmt: skip
            self.noise = keras.random.SeedGenerator(seed)

        def call(self, x: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002  as Keras calls it
            mean, spread = tf.split(self.encoder(x), 2, -1)
            if training:
                mean += tf.exp(spread / 2) * keras.random.normal(tf.shape(mean), seed=self.noise)
            return self.decoder(mean)

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, _ = batch
            weight = tf.minimum(1e-3 * 1.015 ** tf.cast(self.optimizer.iterations, "float32"), most)
            with tf.GradientTape() as tape:
                mean, spread = tf.split(self.encoder(x), 2, -1)
                error = tf.reduce_sum((x - self(x, training=True)) ** 2, -1) / 0.1
                divergence = 0.5 * tf.reduce_sum(tf.exp(spread) + mean**2 - 1 - spread, -1)
                loss = tf.reduce_mean(error + weight * divergence)
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    draw = np.random.default_rng(seed)
    hidden = draw.normal(size=(1000, 3))
    x = (np.tanh(hidden @ draw.normal(0, 0.7, (3, 12))) + draw.normal(0, 0.1, (1000, 12))).astype("f4")
    return Fit(Annealed(), x, x, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=900, batch_size=50)


def _choice(seed: int, *, coldest: float = 0.5) -> Loop:
    """A code of eight choices out of six, made soft by Gumbel noise; the temperature falls step by step."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs, temperature = keras.Input((64,)), keras.Input((), batch_size=1)
    noise = keras.random.SeedGenerator(seed)

    class Choose(keras.layers.Layer):
        def call(self, scores: Any, temperature: Any) -> Any:
            scores = tf.reshape(scores, (-1, 8, 6))
            uniform = keras.random.uniform(tf.shape(scores), 1e-6, 1 - 1e-6, seed=noise)
            warm = tf.exp((scores - tf.math.log(-tf.math.log(uniform))) / temperature)
            return tf.reshape(warm / tf.reduce_sum(warm, -1, keepdims=True), (-1, 48))

    hidden = keras.layers.Dense(64, "relu", name="encoder_1")(inputs)
    scores = keras.layers.Dense(48, name="encoder_2")(hidden)
    hidden = keras.layers.Dense(64, "relu", name="decoder_1")(Choose(name="choose")(scores, temperature))
    model = keras.Model([inputs, temperature], keras.layers.Dense(64, "sigmoid", name="output")(hidden))
    drawn = _draws(x, 64)
    step = [0]

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        step[0] += 1
        return (*drawn(draw), np.array([max(coldest, 0.985 ** step[0])], "f4"))

    def forward(x: Any, temperature: Any) -> Any:
        return tf.reduce_mean((x - model([x, temperature], training=True)) ** 2)

    def score() -> float:
        return skill.fit_of(x, model([x, np.array([0.5], "f4")]))

    return Loop(model, keras.optimizers.RMSprop(3e-3), batches, forward, score, steps=600, seed=seed)


family.pair(
    "pixels",
    _pixels,
    sickness="standardised-pixels-for-a-sigmoid",
    sick={"standardise": True},
    causes=["badly-scaled-target", "mismatched-loss"],
    layers=("output",),
    level=0.5,
)
family.pair(
    "denoise",
    _denoise,
    sickness="ten-sigmoid-layers",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    level=0.5,
)
family.pair(
    "code-book",
    _code_book,
    sickness="no-gradient-past-the-rounding",
    sick={"straight_through": False},
    causes=["disconnected-variable", "vanishing-gradient"],
    layers=("encoder_1", "encoder_2", "rounded"),
    level=0.6,
)
family.pair(
    "annealed",
    _annealed,
    sickness="divergence-grows-for-ever",
    sick={"most": 1e9},
    causes=["collapsed-representation"],
    level=0.5,
)
family.pair(
    "choice",
    _choice,
    sickness="temperature-falls-to-nothing",
    sick={"coldest": 1e-30},
    causes=["nonfinite-values"],
    level=0.3,
    every=1,
)
