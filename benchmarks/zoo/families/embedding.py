"""Word vectors averaged and classified, with sparse gradients."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("embedding", half="think")


def _bag(
    seed: int,
    *,
    words: int = 400,
    width: int = 16,
    vectors: Any = "uniform",
    trained: bool = True,
    divide_ids_by: int = 1,
    hidden: int = 24,
    hidden_bias: float = 0.0,
    output_weights: Any = "glorot_uniform",
    optimizer: str = "Adam",
    rate: float = 1e-2,
    batch_size: int = 32,
    steps: int = 300,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.texts(seed, words=words)
    made = normal(vectors) if isinstance(vectors, float) else vectors
    bias = keras.initializers.Constant(hidden_bias)
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],), dtype="int32"),
            layers.Embedding(words, width, embeddings_initializer=made, trainable=trained, name="embedding"),
            layers.GlobalAveragePooling1D(name="average"),
            layers.Dense(hidden, "relu", bias_initializer=bias, name="hidden"),
            layers.Dense(3, kernel_initializer=output_weights, name="output"),
        ]
    )
    made = getattr(keras.optimizers, optimizer)(rate)
    return Fit(
        model, x // divide_ids_by, y, made, cross_entropy(), skill.classes, steps=steps, batch_size=batch_size
    )  # fmt: skip


family.pair(
    "bag-adam",
    _bag,
    sickness="word-numbers-divided-to-zero",
    healthy={"rate": 1e-2},
    sick={"divide_ids_by": 1000},
    causes=["collapsed-representation", "constant-output", "badly-scaled-input"],
    level=0.7,
)
family.pair(
    "bag-rate",
    _bag,
    sickness="rate-too-high",
    healthy={"rate": 1e-2, "words": 300},
    sick={"rate": 10.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
family.pair(
    "bag-dead",
    _bag,
    sickness="negative-biases",
    healthy={"rate": 1e-2, "words": 200, "batch_size": 16},
    sick={"hidden_bias": -3.0, "rate": 3e-3},
    causes=["dead-units"],
    layers=("hidden",),
    level=0.7,
)
family.pair(
    "bag-sgd",
    _bag,
    sickness="rate-too-low",
    healthy={"optimizer": "RMSprop", "rate": 1e-2, "words": 1000, "steps": 400},
    sick={"optimizer": "SGD", "rate": 1e-3},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
