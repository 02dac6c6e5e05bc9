"""A theatre: its reviews, its house, its lights and its prompter."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("theatres", half="test")


def _reviews(seed: int, *, ending: str = "sigmoid") -> Fit:
    """Whether critics praise a play: words are pooled by attention."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed, kinds=2)
    inputs = keras.Input((16,), dtype="int32")
    words = keras.layers.Embedding(200, 24, embeddings_initializer=normal(0.3), name="words")(inputs)
    weights = keras.layers.Softmax(axis=1)(keras.layers.Dense(1, name="attention")(words))
    pooled = keras.layers.Flatten()(keras.layers.Dot(1)([weights, words]))
    hidden = keras.layers.Dense(24, "tanh", name="opinion")(pooled)
    model = keras.Model(inputs, keras.layers.Dense(1, ending, name="praise")(hidden))
    optimizer = keras.optimizers.Adagrad(0.05)
    return Fit(model, x, y, optimizer, "binary_crossentropy", skill.binary, steps=400)


def _house(seed: int, *, std: float | None = None) -> Fit:
    """How full the house will be, by ten layers of tanh."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    start = "glorot_normal" if std is None else normal(std)
    model = keras.Sequential([keras.Input((6,))])
    for number in range(1, 11):
        model.add(keras.layers.Dense(40, "tanh", kernel_initializer=start, name=f"row_{number}"))
    model.add(keras.layers.Dense(1, name="house"))
    return Fit(model, x, y, keras.optimizers.SGD(0.03, momentum=0.9), "mse", skill.fit_of, steps=700)


def _lights(seed: int, *, forgotten: bool = False) -> Loop:
    """Sixty-four lamps told by ten dials: an autoencoder in a loop, its two halves trained by one optimizer."""
    keras.utils.set_random_seed(seed)
    pixels, _ = data.digits()
    x = pixels - pixels.mean(0)

    class Desk(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dials = keras.layers.Dense(10, name="dials")
            self.lamps = keras.Sequential([keras.layers.Dense(48, "elu"), keras.layers.Dense(64)], name="lamps")

        def call(self, x: Any, *, training: bool = False) -> Any:
            return self.lamps(self.dials(x), training=training)

    model = Desk()
    model(x[:1])
    optimizer = keras.optimizers.Adam(3e-3)

    def forward(batch: Any) -> Any:
        return tf.reduce_mean((model(batch, training=True) - batch) ** 2)

    def step(batch: Any) -> Any:
        variables = model.lamps.trainable_variables + ([] if forgotten else model.dials.trainable_variables)
        with tf.GradientTape() as tape:
            loss = forward(batch)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return Loop(
        model, optimizer, lambda draw: (x[draw.integers(0, len(x), 64)],), forward,
        lambda: skill.fit_of(x, model.predict(x, verbose=0)), steps=500, seed=seed, step=step,
    )  # fmt: skip


def _prompter(seed: int, *, rate: float = 0.05) -> Fit:
    """The next of twelve cues from the last six, by attention in a residual block."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    step = draw.integers(1, 4, 1200)
    cues = (draw.integers(0, 12, (1200, 1)) + step[:, None] * np.arange(7)) % 12
    inputs = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(12, 32, name="cues")(inputs)
    places = keras.layers.Embedding(6, 32, name="places")(tf.range(6)[None])
    x = x + places
    looked = keras.layers.MultiHeadAttention(2, 16, name="attention")(x, x)
    x = keras.layers.LayerNormalization()(x + keras.layers.Dropout(rate)(looked))
    hidden = keras.layers.Dense(64, "gelu", name="mixing")(x)
    hidden = keras.layers.Dropout(rate)(keras.layers.Dense(32, name="back")(hidden))
    x = keras.layers.LayerNormalization()(x + hidden)
    x = keras.layers.Dropout(rate)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(12, name="next")(x))
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=0.01)
    x, y = cues[:, :6].astype("i4"), cues[:, 6].astype("i4")
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=300, batch_size=48)


family.pair(
    "reviews",
    _reviews,
    sickness="softmax-of-one-unit",
    sick={"ending": "softmax"},
    causes=["mismatched-loss", "constant-output"],
    layers=("praise",),
    level=0.6,
)
family.pair(
    "house",
    _house,
    sickness="weights-of-a-twentieth",
    sick={"std": 0.05},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    level=0.5,
)
family.pair(
    "lights",
    _lights,
    sickness="dials-forgotten",
    sick={"forgotten": True},
    causes=["omitted-variable"],
    layers=("dials",),
    level=0.6,
)
family.pair(
    "prompter",
    _prompter,
    sickness="share-to-keep-dropped-instead",
    sick={"rate": 0.95},
    causes=["excessive-dropout"],
    level=0.6,
)
