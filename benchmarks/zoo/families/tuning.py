"""Optimizers, schedules and halves of a float: one network each, turned at one screw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("tuning", half="think")


def _clouds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return data.blobs(seed, count=960, features=16, kinds=6, spread=0.7)


def _by_lion(seed: int, *, rate: float = 3e-4) -> Fit:
    """A wide network on the parity of three bits, a twentieth of the labels wrong."""
    keras.utils.set_random_seed(seed)
    x, y = data.parity(seed)
    flipped = np.random.default_rng(seed).random(len(y)) < 0.05
    inputs = keras.Input((8,))
    hidden = dense_stack(inputs, 96, 3, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(hidden))
    optimizer = keras.optimizers.Lion(rate, weight_decay=0.01)
    return Fit(model, x, np.where(flipped, 1 - y, y), optimizer, cross_entropy(), skill.classes, steps=450)


def _halved(seed: int, *, compounded: bool = False) -> Fit:
    """The rate is to lose a fiftieth every epoch; the epoch's number and the last rate are both at hand."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed, count=256)
    inputs = keras.Input((2,))
    hidden = dense_stack(inputs, 64, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))

    def schedule(epoch: int, rate: float) -> float:
        return (rate if compounded else 0.02) * 0.98**epoch

    callbacks = [keras.callbacks.LearningRateScheduler(schedule)]
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=800, fit_options={"callbacks": callbacks})


def _cycles(seed: int, *, peak: float = 0.1) -> Fit:
    """The rate goes up and down in cycles, each higher than the one before, up to the peak."""
    keras.utils.set_random_seed(seed)
    x, y = _clouds(seed)

    class Cycles(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, "float32")
            height = peak ** (tf.floor(step / 80) / 4) * 0.01 ** (1 - tf.floor(step / 80) / 4)
            return height * (0.1 + 0.9 * (0.5 - 0.5 * tf.cos(2 * math.pi * step / 80)))

    inputs = keras.Input((16,))
    hidden = dense_stack(inputs, 48, 4, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(6, name="output")(hidden))
    optimizer = keras.optimizers.SGD(Cycles(), momentum=0.8)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=400)


def _by_adadelta(seed: int, *, rate: float = 1.0) -> Fit:
    """The optimizer of the paper, whose rate is 1."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "relu", name="hidden_1")(inputs)
    hidden = keras.layers.Dropout(0.4, name="dropout")(hidden)
    hidden = keras.layers.Dense(64, "relu", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="output")(hidden))
    optimizer = keras.optimizers.Adadelta(rate)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=340)


def _rare(seed: int, *, epsilon: float = 1e-7) -> Fit:
    """One in twenty-five is of the class that is looked for, and weighs more; Adam with its epsilon."""
    keras.utils.set_random_seed(seed)
    x, kind = data.blobs(seed, count=1200, features=16, kinds=25, spread=0.5)
    y = (kind == 3).astype("i4")
    inputs = keras.Input((16,))
    hidden = dense_stack(inputs, 32, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    optimizer = keras.optimizers.Adam(1e-3, epsilon=epsilon)
    options = {"class_weight": {0: 1.0, 1: 10.0}}
    return Fit(
        model, x, y, optimizer, "binary_crossentropy", skill.binary, steps=450, fit_options=options
    )  # fmt: skip


def _in_halves(seed: int, *, unit: float = 1.0) -> Fit:
    """Layers calculate in 16 bits; one column is an income, in thousands unless told otherwise."""
    keras.utils.set_random_seed(seed)
    x, y = _clouds(seed)
    income = np.random.default_rng(seed).lognormal(2.5, 0.6, (len(x), 1)).astype("f4")
    inputs = keras.Input((17,))
    hidden = dense_stack(inputs, 48, 2, activation="relu", dtype="mixed_float16")
    output = keras.layers.Dense(6, "softmax", dtype="float32", name="output")(hidden)
    model = keras.Model(inputs, output)
    optimizer = keras.optimizers.Adam(3e-3)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, np.concatenate([x, unit * income], 1), y, optimizer, loss, skill.classes, steps=300)


def _accumulated(seed: int, *, batches: int = 2) -> Fit:
    """Gradients of several batches are gathered before the weights move; the rate warms up."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 48, 3, activation="gelu")
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    rate = keras.optimizers.schedules.CosineDecay(0.0, 1000, warmup_target=3e-3, warmup_steps=10)
    optimizer = keras.optimizers.AdamW(rate, gradient_accumulation_steps=batches)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=400, batch_size=16)


def _pixel_errors(seed: int, *, scaled: bool = True) -> Loop:
    """Pictures rebuilt in mixed precision by a loop; the loss is a mean over pixels, weighed as one of several."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    half = "mixed_float16"
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(48, "relu", dtype=half, name="encoder_1")(inputs)
    hidden = keras.layers.Dense(12, dtype=half, name="encoder_2")(hidden)
    hidden = keras.layers.Dense(48, "relu", dtype=half, name="decoder_1")(hidden)
    hidden = keras.layers.Dense(64, dtype=half, name="decoder_2")(hidden)
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32", name="output")(hidden))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(3e-3))
    if not scaled:
        optimizer = optimizer.inner_optimizer

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (x[draw.integers(0, len(x), 64)],)

    def forward(pictures: Any) -> Any:
        return 1e-4 * tf.reduce_mean(tf.square(pictures - model(pictures, training=True)))

    def step(pictures: Any) -> Any:
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            loss = forward(pictures)
            scaled_loss = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, [variable.value for variable in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def score() -> float:
        return skill.fit_of(x, model.predict(x, verbose=0))

    return Loop(model, optimizer, batches, forward, score, steps=500, seed=seed, step=step)


family.pair(
    "by-lion",
    _by_lion,
    sickness="rate-of-two-hundredths",
    sick={"rate": 0.02},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.75,
)
family.pair(
    "halved",
    _halved,
    sickness="decay-compounded",
    sick={"compounded": True},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.85,
)
family.pair(
    "cycles",
    _cycles,
    sickness="peak-of-10",
    sick={"peak": 10.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "diverging-loss"],
    level=0.9,
)
family.pair(
    "by-adadelta",
    _by_adadelta,
    sickness="rate-by-default-of-the-library",
    sick={"rate": 1e-3},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.85,
)
family.pair(
    "rare",
    _rare,
    sickness="epsilon-of-one-as-in-a-paper",
    sick={"epsilon": 1.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
)
family.pair(
    "in-halves",
    _in_halves,
    sickness="income-not-in-thousands",
    sick={"unit": 1000.0},
    causes=["nonfinite-values", "badly-scaled-input"],
    level=0.9,
)
family.pair(
    "pixel-errors",
    _pixel_errors,
    sickness="loss-not-scaled",
    sick={"scaled": False},
    causes=["gradient-underflow", "vanishing-gradient"],
    level=0.5,
)
family.pair(
    "accumulated",
    _accumulated,
    sickness="over-fifty-batches",
    sick={"batches": 50},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
    level=0.85,
)
