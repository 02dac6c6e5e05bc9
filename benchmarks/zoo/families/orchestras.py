"""Orchestras: the colour of instruments, scores, tuning, and rehearsals."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("orchestras", half="test")


def _spectra(seed: int, count: int = 1000, bands: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Standardised spectra of notes, and from what kind of instrument and how loud each comes."""
    draw = np.random.default_rng(seed)
    fixed = np.random.default_rng(11)
    kind = draw.integers(0, 8, count)
    loud = draw.uniform(-1, 1, (count, 2))
    shapes = fixed.normal(size=(8, bands))
    tilts = fixed.normal(size=(2, bands))
    x = shapes[kind] * (1 + 0.3 * loud[:, :1]) + loud @ tilts + draw.normal(0, 0.15, (count, bands))
    return data.standardised(x), kind.astype("i4")


def _timbres(seed: int, *, straight: bool = True) -> Fit:
    """An autoencoder whose code is of six bits; the gradient passes straight through the rounding."""
    keras.utils.set_random_seed(seed)
    x, _ = _spectra(seed)

    class Rounded(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            bits = tf.round(inputs)
            return inputs + tf.stop_gradient(bits - inputs) if straight else bits

    inputs = keras.Input((40,))
    hidden = keras.layers.Dense(48, "relu", name="encoder_1")(inputs)
    hidden = keras.layers.Dense(6, "sigmoid", name="encoder_2")(hidden)
    hidden = Rounded(name="bits")(hidden)
    hidden = keras.layers.Dense(48, "relu", name="decoder_1")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(40, name="decoder_2")(hidden))
    optimizer = keras.optimizers.Adam(2e-3)
    return Fit(model, x, x, optimizer, "mse", skill.fit_of, steps=700, batch_size=25)


def _envelopes(seed: int, *, ending: str = "linear") -> Fit:
    """Standardised spectra through a bottleneck and back."""
    keras.utils.set_random_seed(seed)
    x, _ = _spectra(seed, bands=32)
    inputs = keras.Input((32,))
    hidden = keras.layers.Dense(40, "gelu", name="in_1")(inputs)
    code = keras.layers.Dense(10, name="code")(hidden)
    hidden = keras.layers.Dense(40, "gelu", name="out_1")(code)
    model = keras.Model(inputs, keras.layers.Dense(32, ending, name="spectrum")(hidden))
    optimizer = keras.optimizers.Lion(5e-4)
    return Fit(model, x, x, optimizer, "mse", skill.fit_of, steps=500)


def _scores(seed: int, *, clip: float = 1.0) -> Fit:
    """Which notes of a melody are stressed: a label at each of 16 steps, from both sides."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    notes = draw.integers(0, 12, (600, 16))
    before = np.roll(notes, 1, 1)
    after = np.roll(notes, -1, 1)
    before[:, 0], after[:, -1] = 0, 0
    stress = np.where((notes > before) & (notes > after), 2, np.where(notes < before, 1, 0)).astype("i4")
    melody = keras.Input((16,), dtype="int32")
    hidden = keras.layers.Embedding(12, 12, name="notes")(melody)
    reader = keras.layers.GRU(20, return_sequences=True, name="reader")
    hidden = keras.layers.Bidirectional(reader, name="both_ways")(hidden)
    model = keras.Model(melody, keras.layers.Dense(3, name="stress")(hidden))
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9, global_clipnorm=clip)
    return Fit(model, notes.astype("i4"), stress, optimizer, cross_entropy(), skill.classes, steps=350, batch_size=24)


def _rehearsal(seed: int, *, column: bool = True) -> Loop:
    """How long a rehearsal takes, by a tape and a squared error written out."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(900, 7)).astype("f4")
    hours = 0.8 * x[:, 0] + np.tanh(2 * x[:, 1]) * x[:, 2] + 0.4 * np.cos(2 * x[:, 3]) + draw.normal(0, 0.15, 900)
    hours = hours.astype("f4")
    target = hours[:, None] if column else hours
    inputs = keras.Input((7,))
    hidden = dense_stack(inputs, 32, 2, activation="leaky_relu", kernel_initializer="he_uniform")
    model = keras.Model(inputs, keras.layers.Dense(1, name="hours")(hidden))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 64)
        return x[rows], target[rows]

    return Loop(
        model,
        keras.optimizers.Adagrad(0.1),
        batches,
        lambda x, y: tf.reduce_mean(tf.square(y - model(x, training=True))),
        lambda: skill.fit_of(hours[:, None], model(x)),
        steps=500,
        seed=seed,
    )


def _alike(seed: int, *, strangers: float = 1.0) -> Fit:
    """Two takes of one note are drawn together, takes of other notes apart; judged by how codes tell instruments."""
    keras.utils.set_random_seed(seed)
    x, kind = _spectra(seed)

    class Alike(keras.Model):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
            one = self(x + 0.4 * tf.random.normal(tf.shape(x)), training=True)
            two = self(x + 0.4 * tf.random.normal(tf.shape(x)), training=True)
            near = tf.reduce_mean(tf.reduce_sum((one - two) ** 2, -1))
            others = tf.reduce_sum((one - tf.roll(two, 1, 0)) ** 2, -1)
            apart = tf.reduce_mean(tf.nn.relu(4.0 - others))
            return near + strangers * apart

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, _ = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inputs = keras.Input((40,))
    hidden = dense_stack(inputs, 48, 1, activation="elu", kernel_initializer="lecun_normal")
    model = Alike(inputs, keras.layers.Dense(8, name="code")(hidden))

    def score(y: Any, codes: Any) -> float:
        """How much of the codes' spread is between instruments rather than noise of a fixed size."""
        codes = np.asarray(codes, "f8")
        codes = codes + np.random.default_rng(0).normal(0, 0.1, codes.shape)
        centres = np.stack([codes[y == k].mean(0) for k in range(8)])
        nearest = ((codes[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
        return skill.classes(y, np.eye(8)[nearest])

    optimizer = keras.optimizers.RMSprop(2e-3)
    return Fit(model, x, kind, optimizer, "mse", score, steps=400, batch_size=50)


family.pair(
    "timbres",
    _timbres,
    sickness="rounded-without-a-gradient",
    sick={"straight": False},
    causes=["disconnected-variable"],
    layers=("encoder_1", "encoder_2"),
    level=0.4,
)
family.pair(
    "envelopes",
    _envelopes,
    sickness="spectrum-cut-off-at-zero",
    sick={"ending": "relu"},
    causes=["mismatched-loss"],
    layers=("spectrum",),
    level=0.6,
)
family.pair(
    "scores",
    _scores,
    sickness="clipped-at-a-thousandth",
    sick={"clip": 0.001},
    causes=["permanent-clipping"],
    level=0.6,
)
family.pair(
    "rehearsal",
    _rehearsal,
    sickness="a-row-less-a-column",
    sick={"column": False},
    causes=["mismatched-loss"],
    level=0.6,
)
family.pair(
    "alike",
    _alike,
    sickness="nobody-to-stay-apart-from",
    sick={"strangers": 0.0},
    causes=["collapsed-representation", "constant-output"],
    level=0.6,
)
