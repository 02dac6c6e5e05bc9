"""Loops with a tape: a generator and its judge, codes that are compared, two optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("duels", half="think")


def _net(name: str, entries: int, width: int, outputs: int, last: str | None = None) -> Any:
    layers = [keras.Input((entries,))]
    layers += [keras.layers.Dense(width, "leaky_relu", name=f"{name}_{number}") for number in (1, 2)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs, last, name=f"{name}_output")], name=name)


def _ring(seed: int, *, unit: float = 1.0) -> Fit:
    """Least squares between a generator that ends in tanh and its judge; the points are to lie within -1 to 1."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    angle = draw.uniform(0, 2 * np.pi, 1000)
    ring = 0.7 * np.stack([np.cos(angle), np.sin(angle)], 1) + draw.normal(0, 0.05, (1000, 2))
    noise = draw.normal(size=(1000, 4)).astype("f4")

    class Duel(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker, self.judge = _net("maker", 4, 32, 2, "tanh"), _net("judge", 2, 48, 1)
            self.judge_optimizer = keras.optimizers.RMSprop(1e-3)

        def call(self, noise: Any) -> Any:
            return self.maker(noise)

        def compute_loss(self, x: Any = None, *_: Any, **__: Any) -> Any:
            return tf.reduce_mean((self.judge(self.maker(x)) - 1) ** 2)

        def train_step(self, batch: Any) -> dict[str, Any]:
            noise, real = batch
            with tf.GradientTape() as tape:
                judged = tf.reduce_mean((self.judge(real) - 1) ** 2) + tf.reduce_mean(
                    self.judge(self.maker(noise)) ** 2
                )
            variables = self.judge.trainable_variables
            self.judge_optimizer.apply(tape.gradient(judged, variables), variables)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(noise)
            variables = self.maker.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss, "judge_loss": judged}

    real = (unit * ring).astype("f4")
    optimizer = keras.optimizers.RMSprop(1e-3)
    return Fit(Duel(), noise, real, optimizer, "mse", skill.likeness, steps=800, batch_size=64)


def _wide_deep(seed: int, *, right: bool = True) -> Loop:
    """A linear part with an optimizer of its own beside a deep part with another."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    inputs = keras.Input((6,))
    wide = keras.layers.Dense(1, name="wide")(inputs)
    deep = keras.layers.Dense(32, "relu", name="deep_1")(inputs)
    deep = keras.layers.Dense(32, "relu", name="deep_2")(deep)
    model = keras.Model(inputs, wide + keras.layers.Dense(1, name="deep_output")(deep))
    for_wide, for_deep = keras.optimizers.Ftrl(0.05), keras.optimizers.Adam(5e-3)
    of_wide = model.get_layer("wide").trainable_variables
    of_deep = [v for v in model.trainable_variables if "deep" in v.path]
    for_wide.build(of_wide)

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean((model(x) - y) ** 2)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            loss = forward(x, y)
        for_wide.apply_gradients(zip(tape.gradient(loss, of_wide), of_wide, strict=True))
        chosen = of_deep if right else of_deep[-2:]
        for_deep.apply_gradients(zip(tape.gradient(loss, chosen), chosen, strict=True))
        return loss

    def batches(draw: np.random.Generator) -> Any:
        rows = draw.integers(0, len(x), 32)
        return x[rows], y[rows]

    return Loop(model, for_deep, batches, forward, lambda: skill.fit_of(y, model(x)), steps=500, seed=seed, step=step)


def _divided(seed: int, *, again: float = 1.0) -> Loop:
    """The loss is reduced by hand, as where a batch is split over devices."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential([keras.Input((64,))])
    model.add(keras.layers.Dense(48, "relu", name="hidden_1"))
    model.add(keras.layers.Dense(48, "relu", name="hidden_2"))
    model.add(keras.layers.Dense(10, name="output"))
    loss = cross_entropy(reduction="none")

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_sum(loss(y, model(x))) / 64.0 / again

    def batches(draw: np.random.Generator) -> Any:
        rows = draw.integers(0, len(x), 64)
        return x[rows], y[rows]

    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    return Loop(model, optimizer, batches, forward, lambda: skill.classes(y, model(x)), steps=300, seed=seed)


def _hashes(seed: int, *, hard: bool = False) -> Fit:
    """Digits by a code of eight signs, trained by their smooth stand-in."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    code = keras.layers.Dense(48, "relu", name="hidden")(inputs)
    code = keras.layers.Dense(8, name="code")(code)
    code = keras.ops.sign(code) if hard else keras.ops.tanh(3 * code)
    code = keras.layers.Dense(32, "relu", name="decoder")(code)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(code))
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), cross_entropy(), skill.classes, steps=400)


def _alike(seed: int, *, apart: float = 1.0) -> Loop:
    """Two noisy views of a digit are to be near each other, and all digits spread over the sphere."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x, y = x[:1000], y[:1000]
    model = _net("encoder", 64, 48, 8)

    def unit(codes: Any) -> Any:
        return codes / (tf.norm(codes, axis=1, keepdims=True) + 1e-6)

    def forward(x: Any, noise: Any) -> Any:
        one, other = unit(model(x + noise[0])), unit(model(x + noise[1]))
        near = tf.reduce_mean(tf.reduce_sum((one - other) ** 2, 1))
        gaps = tf.reduce_sum((one[:, None] - one[None]) ** 2, -1)
        return near + apart * tf.math.log(tf.reduce_mean(tf.exp(-2 * gaps)))

    def batches(draw: np.random.Generator) -> Any:
        return x[draw.integers(0, 1000, 64)], draw.normal(0, 0.2, (2, 64, 64)).astype("f4")

    def score() -> float:
        """Digits by the nearest mean of codes that are known to a tenth."""
        codes = unit(model(x)).numpy() + np.random.default_rng(0).normal(0, 0.1, (1000, 8))
        means = np.stack([codes[y == digit].mean(0) for digit in range(10)])
        return skill.classes(y, -np.linalg.norm(codes[:, None] - means, axis=-1))

    return Loop(model, keras.optimizers.Adam(2e-3), batches, forward, score, steps=400, seed=seed)


family.pair(
    "ring",
    _ring,
    sickness="points-in-percent",
    sick={"unit": 100.0},
    causes=["badly-scaled-target", "badly-scaled-input", "saturated-activation"],
    layers=("maker_output", "judge_1"),
    level=0.5,
)
family.pair(
    "wide-and-deep",
    _wide_deep,
    sickness="of-the-deep-part-only-the-last-layer",
    sick={"right": False},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("deep_1", "deep_2"),
    level=0.7,
)
family.pair(
    "divided",
    _divided,
    sickness="divided-by-the-batch-twice",
    sick={"again": 64.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
)
family.pair(
    "hashes",
    _hashes,
    sickness="true-signs-while-training",
    sick={"hard": True},
    causes=["disconnected-variable", "unchanged-weights", "vanishing-gradient"],
    layers=("hidden", "code"),
    level=0.8,
)
family.pair(
    "alike",
    _alike,
    sickness="nothing-keeps-them-apart",
    sick={"apart": 0.0},
    causes=["collapsed-representation"],
    layers=("encoder_1", "encoder_2", "encoder_output"),
    level=0.5,
)
