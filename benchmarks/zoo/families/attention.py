"""Transformers of a block or two, and attention of one's own."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("attention", half="think")


def _transformer(
    seed: int,
    *,
    blocks: int = 2,
    width: int = 32,
    rate: Any = 2e-3,
    warm_up: int = 0,
    position: str = "pre",
    epsilon: float = 1e-3,
    gamma: str = "ones",
    feed_forward: Any = "glorot_uniform",
    scale: float = 1.0,
    output: dict[str, Any] | None = None,
    logits: bool = True,
    words: int = 200,
    divide_ids_by: int = 1,
    length: int = 12,
    optimizer: str = "Adam",
    steps: int = 240,
) -> Fit:
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, y = data.texts(seed, length=length, words=words)
    inputs = keras.Input((x.shape[1],), dtype="int32")
    h = layers.Embedding(words, width, name="embedding")(inputs)
    h = layers.Rescaling(scale, name="scale")(h) if scale != 1 else h
    weights = normal(feed_forward) if isinstance(feed_forward, float) else feed_forward

    def norm(name: str) -> Any:
        return layers.LayerNormalization(epsilon=epsilon, gamma_initializer=gamma, name=name)

    for number in range(1, blocks + 1):
        name = f"block_{number}"
        attend = layers.MultiHeadAttention(2, width // 2, name=f"{name}_attention")
        up = layers.Dense(2 * width, "gelu", kernel_initializer=weights, name=f"{name}_up")
        down = layers.Dense(width, kernel_initializer=weights, name=f"{name}_down")
        if position == "pre":
            n = norm(f"{name}_norm_1")(h)
            h = layers.Add()([h, attend(n, n)])
            h = layers.Add()([h, down(up(norm(f"{name}_norm_2")(h)))])
        else:
            h = norm(f"{name}_norm_1")(layers.Add()([h, attend(h, h)]))
            h = norm(f"{name}_norm_2")(layers.Add()([h, down(up(h))]))
    h = norm("last_norm")(h) if position == "pre" else h
    h = layers.GlobalAveragePooling1D()(h)
    model = keras.Model(inputs, layers.Dense(3, name="output", **(output or {}))(h))
    if warm_up:
        rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=rate, warmup_steps=warm_up)
    made = getattr(keras.optimizers, optimizer)(rate)
    return Fit(model, x // divide_ids_by, y, made, cross_entropy(from_logits=logits), skill.classes, steps=steps)


family.pair(
    "texts-pre",
    _transformer,
    sickness="rate-too-high",
    healthy={"rate": 2e-3},
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
family.pair(
    "texts-post",
    _transformer,
    sickness="word-numbers-divided-to-zero",
    healthy={"position": "post", "blocks": 1, "rate": 2e-3},
    sick={"divide_ids_by": 1000},
    causes=["collapsed-representation", "constant-output", "badly-scaled-input"],
    level=0.7,
)
family.pair(
    "texts-warm",
    _transformer,
    sickness="warm-up-never-ends",
    healthy={"warm_up": 40, "rate": 3e-3},
    sick={"warm_up": 1_000_000},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "texts-typo",
    _transformer,
    sickness="norms-that-start-at-zero",
    healthy={"position": "post", "blocks": 2, "rate": 1e-3},
    sick={"gamma": "zeros"},
    causes=[
        "symmetric-weights",
        "collapsed-representation",
        "vanishing-gradient",
        "constant-output",
        "disconnected-variable",
    ],
    level=0.6,
)
family.pair(
    "texts-probabilities",
    _transformer,
    sickness="logits-taken-for-probabilities",
    healthy={"blocks": 1, "rate": 3e-3},
    sick={"logits": False},
    causes=["mismatched-loss"],
    layers=("output",),
    level=0.7,
)
family.pair(
    "texts-sgd",
    _transformer,
    sickness="rate-too-low",
    healthy={"blocks": 1, "rate": 3e-3, "optimizer": "AdamW"},
    sick={"optimizer": "SGD", "rate": 1e-4},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
