"""Layers, losses and callbacks of one's own, and networks of several inputs or several answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("own-parts", half="think")


def _centres(seed: int, *, narrow: float = 0.05) -> Fit:
    """Radial functions about centres that are learned, and a linear layer over them."""
    keras.utils.set_random_seed(seed)
    x, y = data.wine()

    class Radial(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(30, shape[-1]), initializer="random_normal", name="kernel")

        def call(self, x: Any) -> Any:
            return tf.exp(-narrow * tf.reduce_sum((x[:, None] - self.kernel) ** 2, -1))

    model = keras.Sequential([keras.Input((13,)), Radial(name="radial"), keras.layers.Dense(3, name="output")])
    loss = cross_entropy()
    return Fit(model, data.standardised(x), y, keras.optimizers.Adam(2e-2), loss, skill.classes, steps=250)


def _log_cosh(seed: int, *, by_formula: bool = False) -> Fit:
    """Errors by the logarithm of their hyperbolic cosine, on a target of hundreds that starts near its mean."""
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(32, "swish", name="hidden_1")])
    model.add(keras.layers.Dense(32, "swish", name="hidden_2"))
    model.add(keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(150.0), name="output"))

    def log_cosh(truth: Any, guess: Any) -> Any:
        error = guess - truth
        if by_formula:
            return tf.reduce_mean(tf.math.log(tf.cosh(error)), -1)
        return tf.reduce_mean(error + tf.math.softplus(-2.0 * error) - np.log(2.0), -1)

    return Fit(model, x, y, keras.optimizers.Adam(1e-2), log_cosh, skill.fit_of, steps=300)


def _answers(seed: int, *, penalty: float = 0.0) -> Fit:
    """Of one digit: which it is, whether it is even, and how much ink; each by a head of two layers."""
    keras.utils.set_random_seed(seed)
    x, digit = data.digits()
    ink = data.standardised(x.sum(1, keepdims=True))
    even = (digit % 2 == 0).astype("f4")[:, None]
    inputs = keras.Input((64,))
    trunk = keras.layers.Dense(64, "relu", name="trunk")(inputs)
    weigh = keras.regularizers.L2(penalty) if penalty else None
    parity = keras.layers.Dense(24, "relu", kernel_regularizer=weigh, name="even_1")(trunk)
    outputs = {
        "which": keras.layers.Dense(10, name="which")(keras.layers.Dense(24, "relu", name="which_1")(trunk)),
        "even": keras.layers.Dense(1, "sigmoid", kernel_regularizer=weigh, name="even")(parity),
        "ink": keras.layers.Dense(1, name="ink")(keras.layers.Dense(24, "relu", name="ink_1")(trunk)),
    }
    losses = {"which": cross_entropy(), "even": "binary_crossentropy", "ink": "huber"}

    def worst(y: Any, made: Any) -> float:
        of_class = skill.classes(y["which"], made["which"])
        return min(of_class, skill.binary(y["even"], made["even"]), skill.fit_of(y["ink"], made["ink"]))

    y = {"which": digit, "even": even, "ink": ink}
    model = keras.Model(inputs, outputs)
    weights = {"loss_weights": {"which": 1.0, "even": 1.0, "ink": 1.0}}
    return Fit(model, x, y, keras.optimizers.Adam(4e-3), losses, worst, steps=400, compile_options=weights)


def _projection(seed: int, *, tracked: bool = True) -> Fit:
    """A layer of one's own, whose matrix is made by `add_weight` or by `tf.Variable`."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)

    class Projection(keras.layers.Layer):
        def __init__(self, width: int, **options: Any) -> None:
            super().__init__(**options)
            self.width = width

        def build(self, shape: Any) -> None:
            if tracked:
                self.matrix = self.add_weight(shape=(shape[-1], self.width), name="kernel")
            else:
                limit = (6 / (shape[-1] + self.width)) ** 0.5
                self.matrix = tf.Variable(tf.random.uniform((shape[-1], self.width), -limit, limit))
            self.offset = self.add_weight(shape=(self.width,), initializer="zeros", name="bias")

        def call(self, x: Any) -> Any:
            return tf.tanh(tf.matmul(x, self.matrix) + self.offset)

    layers = [Projection(12, name=f"projection_{number}") for number in (1, 2, 3)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(3, name="output")])
    return Fit(model, x, y, keras.optimizers.Adam(1e-2), cross_entropy(), skill.classes, steps=600, batch_size=64)


def _plateau(seed: int, *, gain: float = 1e-4) -> Fit:
    """The rate is cut to a tenth where the loss has not become better by so much for two epochs."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    model = keras.Sequential([keras.Input((2,))])
    for number in (1, 2):
        model.add(keras.layers.Dense(32, "relu", name=f"hidden_{number}"))
    model.add(keras.layers.Dense(3, "softmax", name="output"))
    watch = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=2, min_delta=gain, min_lr=0.0)
    loss, fit = "sparse_categorical_crossentropy", {"callbacks": [watch]}
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), loss, skill.classes, steps=800, fit_options=fit)


def _rooms(seed: int, *, activation: str = "relu") -> Fit:
    """What a flat costs, by its plan (a digit stands for the plan) and by its table; the plan weighs more."""
    keras.utils.set_random_seed(seed)
    pixels, digit = data.digits()
    table = np.random.default_rng(seed).normal(size=(len(digit), 5)).astype("f4")
    price = np.random.default_rng(1).normal(size=10)[digit] + 0.5 * table[:, 0] - 0.3 * table[:, 1]
    plan_input, table_input = keras.Input((64,), name="plan"), keras.Input((5,), name="table")
    plan = plan_input
    for number in range(1, 7):
        plan = keras.layers.Dense(40, activation, name=f"plan_{number}")(plan)
    facts = keras.layers.Dense(16, "relu", name="facts")(table_input)
    joined = keras.layers.Dense(24, "relu", name="joined")(keras.layers.Concatenate(name="both")([plan, facts]))
    model = keras.Model([plan_input, table_input], keras.layers.Dense(1, name="price")(joined))
    x, y = {"plan": pixels, "table": table}, price.astype("f4")[:, None]
    return Fit(model, x, y, keras.optimizers.SGD(0.02, momentum=0.9), "mse", skill.fit_of, steps=450, batch_size=40)


def _two_views(seed: int, *, bias: float = 0.0) -> Fit:
    """Upper and lower half of a digit in two branches that are multiplied, the lower a gate for the upper."""
    keras.utils.set_random_seed(seed)
    pixels, digit = data.digits()
    upper, lower = keras.Input((32,), name="upper"), keras.Input((32,), name="lower")
    told = keras.layers.Dense(48, "relu", name="told")(upper)
    start = keras.initializers.Constant(bias)
    gate = keras.layers.Dense(48, "sigmoid", bias_initializer=start, name="gate")(lower)
    both = keras.layers.Multiply(name="both")([told, gate])
    both = keras.layers.Dense(32, "relu", name="dense")(both)
    model = keras.Model([upper, lower], keras.layers.Dense(10, name="output")(both))
    x = {"upper": pixels[:, :32], "lower": pixels[:, 32:]}
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    return Fit(model, x, digit, optimizer, cross_entropy(), skill.classes, steps=450)


family.pair(
    "centres",
    _centres,
    sickness="functions-too-narrow",
    sick={"narrow": 1.0},
    causes=["vanishing-gradient", "dead-units", "saturated-activation"],
    layers=("radial",),
    level=0.8,
)
family.pair(
    "log-cosh",
    _log_cosh,
    sickness="hyperbolic-cosine-overflows",
    sick={"by_formula": True},
    causes=["nonfinite-values"],
    level=0.35,
)
family.pair(
    "three-answers",
    _answers,
    sickness="l2-of-3-in-one-head",
    sick={"penalty": 3.0},
    causes=["shrunken-weights"],
    layers=("even_1", "even"),
    level=0.7,
)
family.pair(
    "projection",
    _projection,
    sickness="matrices-nobody-tracks",
    sick={"tracked": False},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("projection_1", "projection_2", "projection_3"),
    level=0.7,
)
family.pair(
    "plateau",
    _plateau,
    sickness="wants-a-half-of-progress",
    sick={"gain": 0.5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "stale-optimizer"],
    level=0.7,
)
family.pair(
    "flats",
    _rooms,
    sickness="sigmoids-in-the-branch-of-the-plan",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation"],
    layers=tuple(f"plan_{number}" for number in range(1, 7)),
    level=0.7,
)
family.pair(
    "halves",
    _two_views,
    sickness="gates-that-start-shut",
    sick={"bias": -5.0},
    causes=["saturated-activation", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("gate", "told"),
    level=0.8,
)
