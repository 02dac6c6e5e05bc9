"""Recurrent networks: simple ones, LSTM, GRU."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("recurrent", half="think")


def _sequence(
    seed: int,
    *,
    cell: str = "LSTM",
    units: int = 24,
    depth: int = 1,
    length: int = 12,
    task: str = "sum",
    optimizer: str = "adam",
    rate: float = 1e-2,
    clipnorm: float | None = None,
    scale: float = 1.0,
    output_weights: Any = "glorot_uniform",
    output_options: dict[str, Any] | None = None,
    steps: int = 320,
    **cell_options: Any,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.linear_sum(seed, length=length)
    classes = task == "sign"
    y = (y[:, 0] > 0).astype("i4") if classes else y
    cell_options = {name: normal(v) if isinstance(v, float) else v for name, v in cell_options.items()}
    model = keras.Sequential([keras.Input(x.shape[1:])])
    for number in range(1, depth + 1):
        made = getattr(layers, cell)
        model.add(made(units, return_sequences=number < depth, name=f"rnn_{number}", **cell_options))
    last = layers.Dense(2 if classes else 1, kernel_initializer=output_weights, name="output", **(output_options or {}))
    model.add(last)
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
    return Fit(
        model, x * scale, y, optimizers[optimizer](rate, clipnorm=clipnorm),
        cross_entropy() if classes else "mse", skill.classes if classes else skill.fit_of, steps=steps,
    )  # fmt: skip


family.pair(
    "sum-lstm",
    _sequence,
    sickness="rate-too-high",
    healthy={"clipnorm": 1.0},
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "sum-simple",
    _sequence,
    sickness="huge-recurrent-weights",
    healthy={"cell": "SimpleRNN", "activation": "tanh", "rate": 3e-3, "length": 10, "clipnorm": 1.0},
    sick={"recurrent_initializer": 1.0},
    causes=["gain-mismatch:too-large", "saturated-activation", "exploding-gradient"],
    layers=("rnn_1",),
    level=0.4,
)
family.pair(
    "sum-relu",
    _sequence,
    sickness="relu-explodes-over-time",
    healthy={
        "cell": "SimpleRNN",
        "activation": "relu",
        "recurrent_initializer": "identity",
        "optimizer": "sgd",
        "rate": 0.01,
        "length": 10,
        "steps": 480,
    },
    sick={"recurrent_initializer": 0.6},
    causes=["exploding-gradient", "gain-mismatch:too-large", "nonfinite-values"],
    layers=("rnn_1", "output"),
    level=0.2,
)
family.pair(
    "sign-gru",
    _sequence,
    sickness="inputs-times-1000",
    healthy={"cell": "GRU", "task": "sign", "rate": 1e-2},
    sick={"scale": 1000.0},
    causes=["badly-scaled-input"],
    layers=("rnn_1", "input"),
    level=0.6,
)
family.pair(
    "sum-gru",
    _sequence,
    sickness="rate-too-low",
    healthy={"cell": "GRU", "length": 10, "rate": 1e-2},
    sick={"rate": 1e-6},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "sum-stacked",
    _sequence,
    sickness="tiny-weights",
    healthy={
        "depth": 3,
        "length": 8,
        "units": 16,
        "cell": "SimpleRNN",
        "activation": "tanh",
        "optimizer": "sgd",
        "rate": 0.1,
        "clipnorm": 1.0,
        "steps": 480,
    },
    sick={"kernel_initializer": 1e-4},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=("rnn_1", "rnn_2", "rnn_3"),
    level=0.3,
)
family.pair(
    "sign-lstm",
    _sequence,
    sickness="zero-weights",
    healthy={"task": "sign", "length": 10, "rate": 1e-2},
    sick={"kernel_initializer": "zeros", "recurrent_initializer": "zeros", "output_weights": "zeros"},
    causes=["symmetric-weights", "gain-mismatch:too-small"],
    layers=("rnn_1", "output"),
    level=0.6,
)
family.pair(
    "sum-bounded",
    _sequence,
    sickness="sigmoid-output-for-signed-targets",
    healthy={"length": 8, "cell": "GRU", "rate": 1e-2},
    sick={"output_options": {"activation": "sigmoid"}},
    causes=["mismatched-loss"],
    layers=("output",),
    level=0.6,
)
