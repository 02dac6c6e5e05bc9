"""A dig: sherds, strata, radiocarbon and soundings of the ground."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("archaeology", half="test")


def _sherds(seed: int, *, bias: float = 0.0) -> Fit:
    """Which vessel a sherd comes from, by its outline."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    start = keras.initializers.Constant(bias)
    hidden = dense_stack(inputs, 40, 3, activation="relu", kernel_initializer="he_uniform", bias_initializer=start)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="vessel")(hidden))
    optimizer = keras.optimizers.RMSprop(1e-3)
    loss = "categorical_crossentropy"
    return Fit(model, x, np.eye(10, dtype="f4")[y], optimizer, loss, skill.classes, steps=350)


def _strata(seed: int, *, activation: str | None = "relu") -> Fit:
    """The stratum of a find, from where it lay: layers that wind about each other."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed, arms=4)
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(64, activation, name="entry")(inputs)
    for number in (1, 2, 3):
        inner = keras.layers.Dense(64, activation, name=f"inner_{number}")(hidden)
        hidden = keras.layers.Add()([hidden, keras.layers.Dense(64, name=f"back_{number}")(inner)])
    model = keras.Model(inputs, keras.layers.Dense(4, name="stratum")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=640)


def _radiocarbon(seed: int, *, ending: str = "softplus") -> Loop:
    """Age and how sure it is, from the counts of a sample: the likelihood of a normal distribution."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed, count=900)
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 40, 2, activation="swish")
    age = keras.layers.Dense(1, name="age")(hidden)
    variance = keras.layers.Dense(1, ending, name="variance")(hidden)
    model = keras.Model(inputs, [age, variance])

    def forward(x: Any, y: Any) -> Any:
        mean, variance = model(x, training=True)
        return 0.5 * tf.reduce_mean(tf.math.log(variance) + (y - mean) ** 2 / variance)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 40)
        return x[rows], y[rows]

    return Loop(
        model, keras.optimizers.Adam(2e-3), batches, forward,
        lambda: skill.fit_of(y, model.predict(x, verbose=0)[0]), steps=450, seed=seed,
        change=lambda gradients: tf.clip_by_global_norm(gradients, 5.0)[0],
    )  # fmt: skip


def _soundings(seed: int, *, inner: str = "relu") -> Fit:
    """Whether a wall runs under the field, and which way, from a magnetic map."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed, count=600)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="map"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, inner, name="plan"),
            keras.layers.Dense(64, inner, name="walls"),
            keras.layers.Dense(4, "softmax", name="way"),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-3)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=150)


family.pair(
    "sherds",
    _sherds,
    sickness="biases-of-minus-one",
    sick={"bias": -1.0},
    causes=["dead-units"],
    level=0.7,
)
family.pair(
    "strata",
    _strata,
    sickness="activations-left-out",
    sick={"activation": None},
    causes=["linear-units"],
    level=0.7,
)
family.pair(
    "radiocarbon",
    _radiocarbon,
    sickness="variance-of-zero",
    sick={"ending": "relu"},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "soundings",
    _soundings,
    sickness="softmax-in-between",
    sick={"inner": "softmax"},
    causes=["misplaced-softmax"],
    layers=("plan", "walls"),
    level=0.6,
)
