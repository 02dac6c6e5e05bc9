"""Choices and rivals: policies by their rewards, a maker with its judge, codes of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("agents", half="think")


def _reinforce(seed: int, *, rate: float = 3e-3) -> Loop:
    """A bandit that sees a digit and names it; rewarded if right, and told no more."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential([
        keras.Input((64,)),
        keras.layers.Dense(64, "tanh", name="hidden"),
        keras.layers.Dense(10, name="policy"),
    ])  # fmt: skip

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        chosen = draw.integers(0, len(x), 64)
        return x[chosen], y[chosen]

    def forward(x: Any, y: Any) -> Any:
        logits = model(x, training=True)
        action = tf.random.categorical(logits, 1, seed=seed)[:, 0]
        reward = tf.cast(tf.equal(tf.cast(y, "int64"), action), "float32")
        picked = tf.gather(tf.nn.log_softmax(logits), action, batch_dims=1)
        return -tf.reduce_mean(picked * (reward - tf.reduce_mean(reward)))

    def score() -> float:
        return skill.classes(y, model.predict(x, batch_size=600, verbose=0))

    return Loop(model, keras.optimizers.Adam(rate), batches, forward, score, steps=1200, seed=seed)


def _moves(seed: int, *, epsilon: float = 1e-8) -> Loop:
    """Some moves are forbidden: their scores are lowered by a billion. A bonus for entropy keeps the agent curious."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input((10,)),
        keras.layers.Dense(48, "relu", name="hidden_1"),
        keras.layers.Dense(48, "relu", name="hidden_2"),
        keras.layers.Dense(5, name="policy"),
    ])  # fmt: skip
    worth = np.random.default_rng(99).normal(size=(10, 5)).astype("f4")

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        state = draw.normal(size=(64, 10)).astype("f4")
        allowed = draw.random((64, 5)) < 0.7
        allowed[:, 0] = True
        return state, allowed

    def forward(state: Any, allowed: Any) -> Any:
        chances = tf.nn.softmax(tf.where(allowed, model(state, training=True), -1e9))
        action = tf.random.categorical(tf.math.log(chances + 1e-8), 1, seed=seed)[:, 0]
        picked = tf.one_hot(action, 5)
        reward = tf.reduce_sum(picked * (state @ worth), -1)
        logs = tf.math.log(chances + epsilon)
        entropy = -tf.reduce_sum(chances * logs, -1)
        return -tf.reduce_mean(tf.reduce_sum(picked * logs, -1) * reward + 0.02 * entropy)

    def score() -> float:
        state, allowed = batches(np.random.default_rng(1))
        value = np.where(allowed, state @ worth, -np.inf)
        chosen = np.where(allowed, np.asarray(model(state)), -np.inf)
        if not np.isfinite(chosen[:, 0]).all():
            return float("nan")
        blind = np.where(allowed, value, 0).sum(1) / allowed.sum(1)
        got = value[np.arange(64), chosen.argmax(1)]
        return float((got - blind).mean() / (value.max(1) - blind).mean())

    return Loop(model, keras.optimizers.Adam(3e-3), batches, forward, score, steps=900, seed=seed)


def _ring(seed: int, *, swapped: bool = False) -> Loop:
    """Eight clusters on a ring; maker and judge each with an optimizer, as in the tutorial on digits."""
    keras.utils.set_random_seed(seed)

    def stack(name: str, entries: int, outputs: int) -> Any:
        return keras.Sequential([
            keras.Input((entries,)),
            keras.layers.Dense(48, keras.layers.LeakyReLU(0.2), name=f"{name}_1"),
            keras.layers.Dense(48, keras.layers.LeakyReLU(0.2), name=f"{name}_2"),
            keras.layers.Dense(outputs, name=f"{name}_output"),
        ], name=name)  # fmt: skip

    maker, judge = stack("maker", 4, 2), stack("judge", 2, 1)
    both = keras.Sequential([keras.Input((4,)), maker, judge])
    optimizer, judging = keras.optimizers.Adam(1e-3, beta_1=0.5), keras.optimizers.Adam(1e-3, beta_1=0.5)
    judging.build(judge.trainable_variables)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    angle = 2 * np.pi * np.random.default_rng(seed).integers(0, 8, 2000) / 8
    real = np.stack([np.cos(angle), np.sin(angle)], 1) + np.random.default_rng(seed + 1).normal(0, 0.1, (2000, 2))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return draw.normal(size=(64, 4)).astype("f4"), real[draw.integers(0, 2000, 64)].astype("f4")

    def forward(noise: Any, real: Any) -> Any:
        made = judge(maker(noise, training=True), training=True)
        return entropy(tf.ones_like(made), made)

    def step(noise: Any, real: Any) -> Any:
        with tf.GradientTape() as tape, tf.GradientTape() as judge_tape:
            made = judge(maker(noise, training=True), training=True)
            truth = judge(real, training=True)
            loss = entropy(tf.ones_like(made), made)
            judged = entropy(tf.ones_like(truth), truth) + entropy(tf.zeros_like(made), made)
        variables = judge.trainable_variables if swapped else maker.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        variables = judge.trainable_variables
        judging.apply_gradients(zip(judge_tape.gradient(judged, variables), variables, strict=True))
        return loss

    def score() -> float:
        noise = np.random.default_rng(1).normal(size=(500, 4)).astype("f4")
        made = np.asarray(maker(noise))
        return 1 - float(
            _energy(made, real[:500]) / _energy(np.repeat(real.mean(0, keepdims=True), 500, 0), real[:500])
        )

    return Loop(both, optimizer, batches, forward, score, steps=900, seed=seed, step=step)


def _energy(made: np.ndarray, real: np.ndarray) -> Any:
    def distance(a: np.ndarray, b: np.ndarray) -> Any:
        return np.linalg.norm(a[:, None] - b[None], axis=-1).mean()

    return 2 * distance(made, real) - distance(made, made) - distance(real, real)


def _alike(seed: int, *, penalty: float = 1e-5) -> Fit:
    """Siamese networks with the contrastive loss of Hadsell: are two digits the same?"""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    draw = np.random.default_rng(seed)
    left = draw.integers(0, len(x), 2400)
    order = [draw.choice(np.flatnonzero(y == kind)) for kind in y[left[:1200]]]
    right = np.concatenate([order, draw.integers(0, len(x), 1200)])
    same = (y[left] == y[right]).astype("f4")
    l2 = keras.regularizers.L2(penalty)
    encoder = keras.Sequential([
        keras.Input((64,)),
        keras.layers.Dense(48, "relu", kernel_regularizer=l2, name="encoder_1"),
        keras.layers.Dense(12, kernel_regularizer=l2, name="encoder_2"),
    ], name="encoder")  # fmt: skip
    inputs = [keras.Input((64,)), keras.Input((64,))]
    gap = encoder(inputs[0]) - encoder(inputs[1])
    distance = keras.ops.sqrt(keras.ops.sum(gap**2, -1, keepdims=True) + 1e-9)

    def contrastive(same: Any, distance: Any) -> Any:
        return same * distance**2 + (1 - same) * keras.ops.maximum(1 - distance, 0) ** 2

    def score(same: Any, distance: Any) -> float:
        return skill.binary(same, -distance, -0.5)

    pair = [x[left], x[right]]
    optimizer = keras.optimizers.RMSprop(1e-3)
    return Fit(keras.Model(inputs, distance), pair, same[:, None], optimizer, contrastive, score, 600, 64)


family.pair(
    "reinforce",
    _reinforce,
    sickness="rate-of-a-fifth",
    sick={"rate": 0.2},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "moves",
    _moves,
    sickness="entropy-of-forbidden-moves",
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "ring",
    _ring,
    sickness="gradients-for-the-judge-twice",
    sick={"swapped": True},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("maker", "maker_1", "maker_2", "maker_output"),
    level=0.5,
)
family.pair(
    "alike",
    _alike,
    sickness="l2-of-1",
    sick={"penalty": 1.0},
    causes=["shrunken-weights", "collapsed-representation"],
    layers=("encoder", "encoder_1", "encoder_2"),
    level=0.5,
)
