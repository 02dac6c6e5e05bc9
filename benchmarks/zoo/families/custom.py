"""Layers and activations of one's own."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("custom", half="think")


def _activations() -> dict[str, Any]:
    return {
        "mish": lambda z: z * tf.tanh(tf.nn.softplus(z)),
        "step": lambda z: tf.cast(z > 0, z.dtype),
        "round": tf.round,
        "scaled_tanh": lambda z: 1.7159 * tf.tanh(2 / 3 * z),
        "narrow_tanh": lambda z: tf.tanh(200.0 * z),
        "square": lambda z: z * z,
        "steep_exp": lambda z: tf.exp(20.0 * z),
        "exp": tf.exp,
    }


def _custom(
    seed: int,
    *,
    source: str = "blobs",
    activation: str = "mish",
    at: tuple[int, ...] = (1, 2, 3),
    depth: int = 3,
    width: int = 48,
    own_layer: str = "",
    weights: Any = "glorot_uniform",
    optimizer: str = "Adam",
    rate: float = 3e-3,
    steps: int = 280,
) -> Fit:
    keras.utils.set_random_seed(seed)

    class Mixed(keras.layers.Layer):
        """A dense layer written by hand: sometimes with a mistake."""

        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = units

        def build(self, shape: Any) -> None:
            spread = (2 * shape[-1]) ** 0.5 if own_layer == "times-for-over" else (2 / shape[-1]) ** 0.5
            self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer=normal(spread), name="kernel")
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

        def call(self, x: Any) -> Any:
            z = tf.matmul(x, self.kernel) + self.bias
            if own_layer == "through-argmax":
                return tf.one_hot(tf.argmax(z, -1), self.units)
            return tf.nn.relu(z)

    x, y = data.blobs(seed) if source == "blobs" else data.digits()
    inputs = h = keras.Input((x.shape[1],))
    functions = _activations()
    for number in range(1, depth + 1):
        if own_layer and number == 2:
            h = Mixed(width, name="mixed")(h)
        else:
            own = functions[activation] if number in at else "relu"
            h = keras.layers.Dense(width, own, kernel_initializer=weights, name=f"hidden_{number}")(h)
    model = keras.Model(inputs, keras.layers.Dense(int(y.max()) + 1, name="output")(h))
    made = getattr(keras.optimizers, optimizer)(rate)
    return Fit(model, x, y, made, cross_entropy(), skill.classes, steps=steps)


family.pair(
    "blobs-mish",
    _custom,
    sickness="step-activation",
    healthy={"depth": 2, "width": 12},
    sick={"activation": "step"},
    causes=["disconnected-variable", "vanishing-gradient", "saturated-activation", "unchanged-weights"],
    layers=("hidden_1", "hidden_2"),
    level=0.8,
)
family.pair(
    "digits-tanh",
    _custom,
    sickness="tanh-200-times-too-steep",
    healthy={"source": "digits", "activation": "scaled_tanh", "optimizer": "SGD", "rate": 0.05},
    sick={"activation": "narrow_tanh"},
    causes=["saturated-activation", "exploding-gradient"],
    layers=("hidden_1", "hidden_2", "hidden_3"),
    level=0.7,
)
family.pair(
    "digits-layer",
    _custom,
    sickness="argmax-in-the-path",
    healthy={"source": "digits", "own_layer": "right", "at": (), "width": 10},
    sick={"own_layer": "through-argmax"},
    causes=["disconnected-variable", "unchanged-weights"],
    layers=("mixed", "hidden_1"),
    level=0.6,
)
family.pair(
    "blobs-exp",
    _custom,
    sickness="exponential-overflows",
    healthy={"activation": "scaled_tanh", "at": (3,)},
    sick={"activation": "steep_exp"},
    causes=["nonfinite-values", "exploding-gradient"],
    layers=("hidden_3", "output"),
    level=0.8,
)
family.pair(
    "blobs-layer",
    _custom,
    sickness="he-formula-times-for-over",
    healthy={"own_layer": "right", "at": (), "width": 200, "optimizer": "SGD", "rate": 0.02},
    sick={"own_layer": "times-for-over"},
    causes=["gain-mismatch:too-large"],
    layers=("mixed",),
    level=0.8,
)
family.pair(
    "digits-lecun",
    _custom,
    sickness="small-weights",
    healthy={
        "source": "digits",
        "activation": "scaled_tanh",
        "depth": 5,
        "at": (1, 2, 3, 4, 5),
        "weights": "lecun_normal",
        "optimizer": "SGD",
        "rate": 0.02,
    },
    sick={"weights": "random_normal"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=tuple(f"hidden_{n}" for n in range(1, 6)),
    level=0.7,
)
