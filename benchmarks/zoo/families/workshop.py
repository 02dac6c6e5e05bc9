"""From question boards: prices of flats, sorting by encoder and decoder, uncertain measures, late steps, two heads."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("workshop", half="think")


def _flats(seed: int, *, unit: float = 1e5) -> Fit:
    """Prices of flats from their district, which has an embedding, and five measures."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    district, x = draw.integers(0, 25, 1000), draw.normal(size=(1000, 5)).astype("f4")
    level = np.random.default_rng(99).normal(0, 8e4, 25)
    price = 3e5 + level[district] + 4e4 * x[:, 0] + 2e4 * x[:, 1] * x[:, 2] + draw.normal(0, 1e4, 1000)
    inputs = [keras.Input((), dtype="int32"), keras.Input((5,))]
    place = keras.layers.Embedding(25, 8, name="district")(inputs[0])
    hidden = keras.layers.Concatenate()([place, inputs[1]])
    for number in (1, 2):
        hidden = keras.layers.Dense(64, "relu", name=f"hidden_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="price")(hidden))
    y = (price / unit)[:, None].astype("f4")
    return Fit(model, [district, x], y, keras.optimizers.Adam(2e-3), "mse", skill.fit_of, steps=600)


def _sort(seed: int, *, told: bool = True) -> Fit:
    """Sorts seven numbers: the decoder starts from what the encoder remembers, and sees the numbers said so far."""
    keras.utils.set_random_seed(seed)

    class Sorter(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.words = keras.layers.Embedding(11, 16, name="words")
            self.encoder = keras.layers.GRU(48, return_state=True, name="encoder")
            self.decoder = keras.layers.GRU(48, return_sequences=True, name="decoder")
            self.output_layer = keras.layers.Dense(10, name="output")

        def call(self, x: Any) -> Any:
            asked, said = x
            _, state = self.encoder(self.words(asked))
            heard = self.decoder(self.words(said), initial_state=state if told else None)
            return self.output_layer(heard)

    asked = np.random.default_rng(seed).integers(0, 10, (900, 7))
    y = np.sort(asked, 1)
    said = np.concatenate([np.full((900, 1), 10), y[:, :-1]], 1)
    model = Sorter()
    model([asked[:1], said[:1]])
    return Fit(model, [asked, said], y, keras.optimizers.Adam(1e-2), cross_entropy(), skill.classes, steps=200)


def _uncertain(seed: int, *, spread: str = "softplus") -> Loop:
    """A mean and a spread for each input; the likelihood's logarithm may make the loss negative."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.uniform(-2, 2, (800, 1)).astype("f4")
    y = (np.sin(2 * x) + draw.normal(0, 0.02 + 0.1 * np.abs(x))).astype("f4")
    inputs = keras.Input((1,))
    hidden = keras.layers.Dense(48, "tanh", name="hidden_1")(inputs)
    hidden = keras.layers.Dense(48, "tanh", name="hidden_2")(hidden)
    mean = keras.layers.Dense(1, name="mean")(hidden)
    model = keras.Model(inputs, [mean, keras.layers.Dense(1, spread, name="spread")(hidden)])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        chosen = draw.integers(0, 800, 40)
        return x[chosen], y[chosen]

    def forward(x: Any, y: Any) -> Any:
        mean, spread = model(x, training=True)
        return tf.reduce_mean(tf.math.log(spread) + 0.5 * ((y - mean) / spread) ** 2)

    def score() -> float:
        return skill.fit_of(y, model(x)[0])

    return Loop(model, keras.optimizers.Adam(5e-3), batches, forward, score, steps=700, seed=seed)


def _late(seed: int, *, decay: float = 0.95) -> Fit:
    """Residual branches that start at zero, labels smoothed; the rate decays by and by."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(48, name="stem")(inputs)
    for number in range(1, 5):
        branch = keras.layers.Dense(48, "relu", name=f"up_{number}")(keras.layers.LayerNormalization()(hidden))
        hidden = hidden + keras.layers.Dense(48, kernel_initializer="zeros", name=f"down_{number}")(branch)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    falling = keras.optimizers.schedules.ExponentialDecay(0.05, 10, decay)
    optimizer = keras.optimizers.SGD(falling, momentum=0.9, nesterov=True)
    return Fit(model, x, np.eye(10, dtype="f4")[y], optimizer, loss, skill.classes, steps=400, batch_size=64)


def _two_heads(seed: int, *, activation: str | None = None) -> Fit:
    """Which wine, and how strong and how dark it is, standardised; heads of their own."""
    keras.utils.set_random_seed(seed)
    x, kind = data.wine()
    x = data.standardised(x)
    inputs = keras.Input((11,))
    hidden = keras.layers.Dense(32, "relu", name="trunk_1")(keras.layers.GaussianNoise(0.1)(inputs))
    hidden = keras.layers.Dense(32, "relu", name="trunk_2")(hidden)
    kinds = keras.layers.Dense(3, "softmax", name="kinds")(hidden)
    strength = keras.layers.Dense(16, "relu", name="strength_1")(hidden)
    strength = keras.layers.Dense(2, activation, name="strength_2")(strength)
    model = keras.Model(inputs, [kinds, strength])

    def score(y: Any, made: Any) -> float:
        return (skill.classes(y[0], made[0]) + 2 * skill.fit_of(y[1], made[1])) / 3

    optimizer = keras.optimizers.Adam(2e-3)
    losses = ["sparse_categorical_crossentropy", "mse"]
    return Fit(model, x[:, 1:12], [kind, x[:, [0, 12]]], optimizer, losses, score, steps=360, batch_size=16)


family.pair(
    "flats",
    _flats,
    sickness="prices-in-single-euros",
    sick={"unit": 1.0},
    causes=["badly-scaled-target"],
    level=0.7,
)
family.pair(
    "sort",
    _sort,
    sickness="decoder-never-told",
    sick={"told": False},
    causes=["disconnected-variable"],
    layers=("encoder",),
    level=0.6,
)
family.pair(
    "uncertain",
    _uncertain,
    sickness="spread-of-zero",
    sick={"spread": "relu"},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "late",
    _late,
    sickness="decay-above-1",
    sick={"decay": 1.07},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
    every=10,
)
family.pair(
    "two-heads",
    _two_heads,
    sickness="sigmoid-on-standardised-targets",
    sick={"activation": "sigmoid"},
    causes=["mismatched-loss", "badly-scaled-target", "saturated-activation"],
    layers=("strength_2",),
    level=0.6,
)
