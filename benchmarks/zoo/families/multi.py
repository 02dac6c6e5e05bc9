"""Several inputs, several outputs, shared layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("multi", half="think")


def _two_inputs(
    seed: int, *, factor: float = 1.0, offset: float = 0.0, optimizer: str = "SGD", rate: float = 0.05, steps: int = 320
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.waves(seed)
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    a = layers.Dense(24, "relu", name="left_hidden")(left)
    b = layers.Dense(24, "relu", name="right_hidden")(right)
    joined = layers.Dense(24, "relu", name="joined")(layers.Concatenate()([a, b]))
    model = keras.Model([left, right], layers.Dense(1, name="output")(joined))
    parts = [x[:, [0, 3, 5]], x[:, [1, 2, 4]] * factor + offset]
    return Fit(model, parts, y, getattr(keras.optimizers, optimizer)(rate), "mse", skill.fit_of, steps=steps)


def _two_outputs(
    seed: int, *, detach: bool = False, second_weight: float = 1.0, rate: float = 3e-3, steps: int = 300
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, kind = data.digits()
    inputs = keras.Input((64,))
    trunk = layers.Dense(64, "relu", name="trunk")(inputs)
    first = layers.Dense(10, name="digit")(layers.Dense(32, "relu", name="digit_hidden")(trunk))
    branch = layers.Dense(32, "relu", name="size_hidden")(trunk)
    branch = layers.Lambda(tf.stop_gradient, name="detach")(branch) if detach else branch
    second = layers.Dense(1, "sigmoid", name="size")(branch)
    large = (kind >= 5).astype("f4")[:, None]

    def score(truth: Any, predicted: Any) -> float:
        return min(skill.classes(truth["digit"], predicted["digit"]), skill.binary(truth["size"], predicted["size"]))

    return Fit(
        keras.Model(inputs, {"digit": first, "size": second}), x, {"digit": kind, "size": large},
        keras.optimizers.Adam(rate), {"digit": cross_entropy(), "size": "binary_crossentropy"}, score,
        steps=steps, compile_options={"loss_weights": {"digit": 1.0, "size": second_weight}},
    )  # fmt: skip


def _siamese(
    seed: int,
    *,
    epsilon: float = 1e-6,
    positives_only: bool = False,
    squared: bool = True,
    rate: float = 3e-3,
    dead_bias: float = 0.0,
    steps: int = 300,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    pictures, kind = data.digits()
    draw = np.random.default_rng(seed)
    first = draw.integers(0, len(kind), 1500)
    same = draw.random(1500) < (1.1 if positives_only else 0.5)
    alike = [draw.choice(np.flatnonzero(kind == kind[i])) for i in first]
    other = draw.integers(0, len(kind), 1500)
    second = np.where(same, alike, other)
    second[:60] = first[:60]  # a picture is sometimes paired with itself
    truth = (kind[first] == kind[second]).astype("f4")[:, None]
    bias = keras.initializers.Constant(dead_bias)
    twin = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(48, "relu", bias_initializer=bias, name="shared_hidden"),
            layers.Dense(8, name="shared_code"),
        ],
        name="twin",
    )
    a, b = keras.Input((64,)), keras.Input((64,))

    def distance(pair: Any) -> Any:
        return tf.sqrt(tf.reduce_sum(tf.square(pair[0] - pair[1]), -1, keepdims=True) + epsilon)

    model = keras.Model([a, b], layers.Lambda(distance, output_shape=(1,), name="distance")([twin(a), twin(b)]))

    def contrast(y: Any, d: Any) -> Any:
        y = tf.cast(y, d.dtype)
        return y * (tf.square(d) if squared else d) + (1 - y) * tf.square(tf.maximum(1.0 - d, 0.0))

    held = draw.integers(0, len(kind), (2, 1000))

    def score(_truth: Any, _predicted: Any) -> float:
        d = model.predict([pictures[held[0]], pictures[held[1]]], verbose=0, batch_size=500)
        if not np.isfinite(d).all():
            return float("nan")
        apart = d.ravel()[kind[held[0]] != kind[held[1]]].mean()
        together = d.ravel()[kind[held[0]] == kind[held[1]]].mean()
        return float(1 - together / apart) if apart > 0.05 else 0.0

    return Fit(
        model, [pictures[first], pictures[second]], truth, keras.optimizers.Adam(rate), contrast, score, steps=steps
    )


family.pair(
    "two-inputs",
    _two_inputs,
    sickness="one-input-unscaled",
    healthy={},
    sick={"factor": 1000.0},
    causes=["badly-scaled-input"],
    layers=("right", "right_hidden", "input", "input_1"),
    level=0.4,
)
family.pair(
    "siamese-root",
    _siamese,
    sickness="gradient-of-sqrt-of-zero",
    healthy={"squared": False},
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
    layers=("distance", "twin/shared_code", "twin/shared_hidden", "twin", "shared_code", "shared_hidden"),
    level=0.4,
)
family.pair(
    "two-outputs",
    _two_outputs,
    sickness="one-loss-weighs-nothing",
    healthy={},
    sick={"second_weight": 0.0},
    causes=["disconnected-variable", "unchanged-weights"],
    layers=("size", "size_hidden"),
    level=0.6,
)
family.pair(
    "siamese-pairs",
    _siamese,
    sickness="no-negative-pairs",
    healthy={"rate": 2e-3},
    sick={"positives_only": True},
    causes=["collapsed-representation", "constant-output"],
    level=0.4,
)
family.pair(
    "two-inputs-stamp",
    _two_inputs,
    sickness="one-input-is-a-time-stamp",
    healthy={"optimizer": "Adam", "rate": 5e-3},
    sick={"offset": 1.7e6},
    causes=["badly-scaled-input"],
    layers=("right", "right_hidden", "input", "input_1"),
    level=0.4,
)
family.pair(
    "siamese-dead",
    _siamese,
    sickness="negative-biases",
    healthy={"rate": 3e-3},
    sick={"dead_bias": -8.0},
    causes=["dead-units"],
    layers=("twin/shared_hidden", "shared_hidden"),
    level=0.4,
)
