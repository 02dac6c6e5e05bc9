"""Text: attention with a mask in half precision, a language model, a bag of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("text", half="think")


def _masked(seed: int, *, forbidden: float = -1e4) -> Fit:
    """Attention written by hand, in mixed precision; sentences are padded with 0."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_float16")
    x, y = data.texts(seed, count=640, length=12)
    lengths = np.random.default_rng(seed).integers(6, 13, len(x))
    x = np.where(np.arange(12) < lengths[:, None], x, 0)

    class Attention(keras.layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.query, self.key, self.value = (keras.layers.Dense(units, name=n) for n in ("query", "key", "value"))

        def call(self, stream: Any, mask: Any) -> Any:
            scores = tf.matmul(self.query(stream), self.key(stream), transpose_b=True)
            scores = scores / tf.cast(tf.sqrt(float(stream.shape[-1])), scores.dtype)
            scores += (1 - tf.cast(mask, scores.dtype))[:, None] * tf.cast(forbidden, scores.dtype)
            return tf.matmul(tf.nn.softmax(scores), self.value(stream))

    layers = keras.layers
    inputs = keras.Input((12,), dtype="int32")
    stream = layers.Embedding(200, 24, name="words")(inputs)
    stream = layers.Add()([stream, Attention(24, name="attention")(stream, keras.ops.not_equal(inputs, 0))])
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization(name="norm")(stream))
    model = keras.Model(inputs, layers.Dense(3, dtype="float32", name="topic")(pooled))
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), cross_entropy(), skill.classes, steps=160)


family.pair(
    "masked-half",
    _masked,
    sickness="mask-of-minus-a-billion",
    sick={"forbidden": -1e9},
    causes=["nonfinite-values"],
    layers=("attention",),
    level=0.7,
)


def _language(seed: int, *, rate: float = 4e-3, warm_up: int = 60, words: int = 40, length: int = 16) -> Fit:
    """A decoder with tied embeddings foretells the next word; each word sets the odds of the next."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    follows = draw.integers(0, words, words)
    text = np.zeros((600, length + 1), "i4")
    text[:, 0] = draw.integers(0, words, 600)
    for now in range(length):
        text[:, now + 1] = np.where(draw.random(600) < 0.8, follows[text[:, now]], draw.integers(0, words, 600))
    layers = keras.layers
    table = layers.Embedding(words, 32, keras.initializers.RandomNormal(stddev=0.2), name="words")
    places = layers.Embedding(length, 32, name="places")

    class Tied(layers.Layer):
        def call(self, stream: Any) -> Any:
            return tf.matmul(stream, tf.convert_to_tensor(table.embeddings), transpose_b=True)

    inputs = keras.Input((length,), dtype="int32")
    stream = table(inputs) + places(keras.ops.arange(length))
    for number in (1, 2):
        seen = layers.LayerNormalization(name=f"before_{number}")(stream)
        stream = stream + layers.MultiHeadAttention(2, 16, name=f"attention_{number}")(seen, seen, use_causal_mask=True)
        seen = layers.LayerNormalization(name=f"between_{number}")(stream)
        widened = layers.Dense(64, "gelu", name=f"widen_{number}")(seen)
        stream = stream + layers.Dense(32, name=f"narrow_{number}")(widened)
    model = keras.Model(inputs, Tied(name="tied")(layers.LayerNormalization(name="last")(stream)))
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 300, warmup_target=rate, warmup_steps=warm_up)
    return Fit(
        model, text[:, :-1], text[:, 1:], keras.optimizers.AdamW(schedule), cross_entropy(),
        skill.classes, steps=240,
    )  # fmt: skip


family.pair(
    "language",
    _language,
    sickness="rate-of-1",
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.4,  # about half is the most there is: many a word is the likeliest after no other
)


def _bag_of_words(seed: int, *, strength: float = 0.0) -> Fit:
    """Counts of 400 words, nearly all zero; a linear model by Ftrl and the hinge loss."""
    keras.utils.set_random_seed(seed)
    texts, y = data.texts(seed, words=400, length=20)
    x = np.stack([np.bincount(text, minlength=400) for text in texts]).astype("f4")
    model = keras.Sequential([keras.Input((400,)), keras.layers.Dense(3, name="topic")])
    optimizer = keras.optimizers.Ftrl(0.1, l1_regularization_strength=strength)
    return Fit(model, x, np.eye(3, dtype="f4")[y], optimizer, "categorical_hinge", skill.classes, steps=200)


family.pair(
    "bag-of-words",
    _bag_of_words,
    sickness="l1-of-100",
    sick={"strength": 100.0},
    causes=["shrunken-weights", "constant-output"],
    layers=("topic",),
    level=0.8,
)
