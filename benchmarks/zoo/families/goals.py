"""What is wanted is said by distances, or by two tasks at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Loop

family = Family("goals", half="think")


def _net(name: str, entries: int, width: int, outputs: int) -> Any:
    return keras.Sequential(
        [
            keras.Input((entries,)),
            keras.layers.Dense(width, "relu", name=f"{name}_1"),
            keras.layers.Dense(width, "relu", name=f"{name}_2"),
            keras.layers.Dense(outputs, name=f"{name}_output"),
        ],
        name=name,
    )


def _signatures(seed: int, *, hardest: bool = False, rate: float = 3e-3) -> Loop:
    """Codes of pen strokes: those of one hand near, those of another at least 1 further."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    hands = np.random.default_rng(5).normal(size=(8, 30))
    hand = draw.integers(0, 8, 640)
    strokes = (hands[hand] + draw.normal(0, 2.2, (640, 30))).astype("f4")
    model = _net("code", 30, 48, 8)

    def distances(codes: Any) -> Any:
        square = tf.reduce_sum((codes[:, None] - codes[None]) ** 2, -1)
        return tf.sqrt(square + 1e-9)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, 640, 48)
        return strokes[rows], hand[rows]

    def forward(x: Any, who: Any) -> Any:
        apart = distances(model(x, training=True))
        same = tf.cast(who[:, None] == who[None], "float32")
        if hardest:
            far = tf.reduce_max(apart * same, 1)
            near = tf.reduce_min(apart + 1e6 * same, 1)
            return tf.reduce_mean(tf.nn.relu(far - near + 1.0))
        valid = same[:, :, None] * (1 - same)[:, None, :]
        losses = tf.nn.relu(apart[:, :, None] - apart[:, None, :] + 1.0) * valid
        return tf.reduce_sum(losses) / tf.reduce_sum(valid)

    def score() -> float:
        codes = model(strokes).numpy()
        apart = np.linalg.norm(codes[:, None] - codes[None], axis=-1)
        who = np.random.default_rng(seed).integers(0, 640, (4000, 3))
        hands = hand[who]
        who = who[(hands[:, 0] == hands[:, 1]) & (hands[:, 0] != hands[:, 2])]
        return float(np.mean(apart[who[:, 0], who[:, 1]] + 0.5 < apart[who[:, 0], who[:, 2]]))

    return Loop(model, keras.optimizers.Adam(rate), batches, forward, score, steps=300, seed=seed)


def _weighed(seed: int, *, counted: bool = True) -> Loop:
    """Two tasks on one trunk, each weighed by an uncertainty that is learned (Kendall et al., 2018)."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1024, 6)).astype("f4")
    sign = (x[:, 0] * x[:, 1] > 0).astype("f4")[:, None]
    size = (np.sin(2 * x[:, 2:3]) * x[:, 3:4]).astype("f4")

    class Weighed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = _net("trunk", 6, 40, 24)
            self.sign, self.size = keras.layers.Dense(1, name="sign"), keras.layers.Dense(1, name="size")
            self.log_variance = self.add_weight(shape=(2,), initializer="zeros", name="log_variance")

        def call(self, x: Any) -> Any:
            h = tf.nn.relu(self.trunk(x))
            return self.sign(h), self.size(h)

    model = Weighed()
    model(x[:2])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, 1024, 32)
        return x[rows], sign[rows], size[rows]

    def forward(x: Any, sign: Any, size: Any) -> Any:
        of_sign, of_size = model(x, training=True)
        entropy = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(sign, of_sign))
        losses = tf.stack([entropy, tf.reduce_mean((size - of_size) ** 2)])
        log_variance = tf.convert_to_tensor(model.log_variance)
        weighed = tf.exp(-log_variance) * losses
        return tf.reduce_sum(weighed + log_variance if counted else weighed)

    def score() -> float:
        of_sign, of_size = model(x)
        return (skill.binary(sign, of_sign, 0.0) + skill.fit_of(size, of_size)) / 2

    return Loop(
        model, keras.optimizers.SGD(0.02, 0.9, global_clipnorm=1.0), batches, forward, score, steps=700, seed=seed
    )


family.pair(
    "signatures",
    _signatures,
    sickness="hardest-triplets-only",
    sick={"hardest": True},
    causes=["collapsed-representation", "constant-output"],
    level=0.5,
)
family.pair(
    "weighed",
    _weighed,
    sickness="variance-costs-nothing",
    sick={"counted": False},
    causes=["mismatched-loss", "vanishing-gradient", "update-ratio-out-of-range:too-small"],
    level=0.5,
)
