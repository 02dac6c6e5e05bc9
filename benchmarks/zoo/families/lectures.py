"""Multi-layer networks on tables and pictures, as a lecture's notebooks have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack, normal
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("lectures", half="think")


def _cultivars(seed: int, *, left_out: int = 0) -> Fit:
    """Columns are standardised from a given one on; batches of 8, labels smoothed."""
    keras.utils.set_random_seed(seed)
    raw, kind = data.wine()
    x = data.standardised(raw)
    if left_out:
        x[:, -left_out:] = raw[:, -left_out:]
    inputs = keras.Input((13,))
    hidden = dense_stack(inputs, 24, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="output")(hidden))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, np.eye(3, dtype="f4")[kind], optimizer, loss, skill.classes, steps=230, batch_size=8)


def _spiral_arms(seed: int, *, activation: str | None = "gelu") -> Fit:
    """Three layers of GELU on the plane; the rate decays to nothing by a cosine."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    inputs = keras.Input((2,))
    hidden = dense_stack(inputs, 48, 3, activation=activation)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 480)
    return Fit(model, x, y, keras.optimizers.Nadam(rate), cross_entropy(), skill.classes, steps=480)


def _smooth_surface(seed: int, *, limit: float = 0.17) -> Fit:
    """Eight layers of tanh, weights uniform."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed, count=8192)
    inputs = keras.Input((6,))
    start = keras.initializers.RandomUniform(-limit, limit)
    hidden = dense_stack(inputs, 96, 8, activation="tanh", kernel_initializer=start)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(1e-3), "mse", skill.fit_of, steps=400, batch_size=64)


def _standardised_price(seed: int, *, loss: str = "mse") -> Fit:
    """Prices are standardised: half of them lie below zero."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed + 20)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(64, "relu", name="hidden_1")(inputs)
    hidden = keras.layers.Dropout(0.1, name="dropout")(hidden)
    hidden = keras.layers.Dense(32, "relu", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.RMSprop(3e-3), loss, skill.fit_of, steps=450)


def _held_weights(seed: int, *, longest: float = 3.0) -> Fit:
    """Digits; the third of five layers has its weights held to a length."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = inputs
    for number in range(1, 6):
        held = keras.constraints.MaxNorm(longest) if number == 3 else None
        layer = keras.layers.Dense(40, "relu", kernel_constraint=held, bias_constraint=held, name=f"hidden_{number}")
        hidden = layer(hidden)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=400)


def _tall_tanh(seed: int, *, initializer: Any = "glorot_normal") -> Fit:
    """Sixteen layers of tanh on digits."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 32, 16, activation="tanh", kernel_initializer=initializer)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    return Fit(model, x - 0.5, y, keras.optimizers.AdamW(1e-3), cross_entropy(), skill.classes, steps=400)


def _entropy_by_hand(seed: int, *, floor: float = 1e-7) -> Loop:
    """The course's own cross-entropy, on pixels of 0 to 16; the loss goes to nothing."""
    keras.utils.set_random_seed(seed)
    x, kind = data.digits()
    x, y = x * 16, np.eye(10, dtype="f4")[kind]
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 64, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="output")(hidden))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        chosen = draw.integers(0, len(x), 32)
        return x[chosen], y[chosen]

    def forward(pictures: Any, truth: Any) -> Any:
        return -tf.reduce_mean(tf.reduce_sum(truth * tf.math.log(model(pictures, training=True) + floor), -1))

    def score() -> float:
        return skill.classes(kind, model.predict(x, verbose=0))

    return Loop(model, keras.optimizers.Adam(1e-2), batches, forward, score, steps=1000, seed=seed)


def _meter_readings(seed: int, *, unit: float = 1.0) -> Fit:
    """A regression by Adagrad over 1,000 readings, the first few of which are in another unit."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed + 40)
    x[:6] *= unit
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 64, 2, activation="swish")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    optimizer = keras.optimizers.Adagrad(0.05)
    return Fit(model, x, y, optimizer, keras.losses.Huber(), _but_six, steps=500)


def _but_six(y: Any, predicted: Any) -> float:
    return skill.fit_of(y[6:], predicted[6:])


family.pair(
    "cultivars",
    _cultivars,
    sickness="last-column-forgotten-by-the-scaler",
    sick={"left_out": 1},
    causes=["badly-scaled-input"],
    level=0.9,
)
family.pair(
    "spiral-arms",
    _spiral_arms,
    sickness="activation-forgotten",
    sick={"activation": None},
    causes=["linear-units"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.8,
)
family.pair(
    "smooth-surface",
    _smooth_surface,
    sickness="uniform-from-minus-1-to-1",
    sick={"limit": 1.0},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    layers=tuple(f"hidden_{number}" for number in range(1, 9)),
    level=0.6,
)
family.pair(
    "standardised-price",
    _standardised_price,
    sickness="logarithmic-error-of-negative-targets",
    sick={"loss": "mean_squared_logarithmic_error"},
    causes=["mismatched-loss"],
    level=0.75,
    every=10,
)
family.pair(
    "held-weights",
    _held_weights,
    sickness="one-layer-held-to-a-hundredth",
    sick={"longest": 0.01},
    causes=["shrunken-weights", "gain-mismatch:too-small", "vanishing-gradient"],
    layers=("hidden_3",),
    level=0.9,
)
family.pair(
    "tall-tanh",
    _tall_tanh,
    sickness="normal-of-a-fiftieth",
    sick={"initializer": normal(0.02)},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.85,
)
family.pair(
    "entropy-by-hand",
    _entropy_by_hand,
    sickness="logarithm-without-a-floor",
    sick={"floor": 0.0},
    causes=["nonfinite-values"],
    level=0.9,
)
family.pair(
    "meter-readings",
    _meter_readings,
    sickness="six-readings-in-another-unit",
    sick={"unit": 1e4},
    causes=["badly-scaled-input", "stale-optimizer"],
    level=0.7,
)
