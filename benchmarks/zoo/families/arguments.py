"""Arguments of optimizers, constraints and penalties that do something else than was thought."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("arguments", half="think")


def _digits(
    seed: int, *, optimizer: str = "Adam", rate: float = 2e-3, activation: str = "relu", longest: float = 0.0,
    dtype: str = "float32", steps: int = 300, smooth: float = 0.0, norm: bool = False, **options: Any,
) -> Fit:  # fmt: skip
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    constraint = keras.constraints.MaxNorm(longest) if longest else None
    inputs = keras.Input((64,))
    hidden = dense_stack(
        inputs, 64, 3, activation=activation, kernel_constraint=constraint,
        between=lambda number: [keras.layers.BatchNormalization(name=f"norm_{number}")] if norm else [],
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    chosen = getattr(keras.optimizers, optimizer)(rate, **options)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smooth)
    if not smooth:
        return Fit(model, x, y, chosen, cross_entropy(), skill.classes, steps=steps)
    return Fit(model, x, keras.utils.to_categorical(y), chosen, loss, skill.classes, steps=steps)


def _sparse_code(seed: int, *, penalty: float = 1e-5) -> Fit:
    """An autoencoder whose code shall be sparse."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs = keras.Input((64,))
    code = keras.layers.Dense(48, "relu", activity_regularizer=keras.regularizers.L1(penalty), name="code")
    model = keras.Model(inputs, keras.layers.Dense(64, name="output")(code(inputs)))
    optimizer = keras.optimizers.Adamax(1e-2)
    return Fit(model, x, x, optimizer, "mse", skill.fit_of, steps=450)


family.pair(
    "average",
    _digits,
    sickness="average-written-back-every-step",
    healthy={"optimizer": "Lion", "rate": 3e-4, "use_ema": True, "ema_momentum": 0.99},
    sick={"ema_overwrite_frequency": 1},
    causes=["unchanged-weights", "learning-rate-too-low", "update-ratio-out-of-range:too-small", "stale-optimizer"],
    level=0.7,
)
family.pair(
    "accumulated",
    _digits,
    sickness="accumulates-longer-than-it-trains",
    healthy={"activation": "tanh", "rate": 5e-3, "steps": 400, "gradient_accumulation_steps": 4},
    sick={"gradient_accumulation_steps": 1000},
    causes=["unchanged-weights", "learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "longest",
    _digits,
    sickness="max-norm-of-a-fiftieth",
    healthy={"optimizer": "SGD", "momentum": 0.9, "rate": 0.05, "longest": 3.0, "smooth": 0.1},
    sick={"longest": 0.02},
    causes=["shrunken-weights", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.7,
)
family.pair(
    "code",
    _sparse_code,
    sickness="penalty-on-activity-of-1",
    sick={"penalty": 1.0},
    causes=["dead-units", "collapsed-representation"],
    layers=("code",),
    level=0.7,
)
family.pair(
    "clipped",
    _digits,
    sickness="clip-norm-of-a-thousandth",
    healthy={"optimizer": "SGD", "rate": 0.2, "global_clipnorm": 1.0, "smooth": 0.1},
    sick={"global_clipnorm": 2e-3},
    causes=["permanent-clipping", "learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
