"""Words and short messages: tables of vectors, bags of words, one convolution over a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("messages", half="think")


def _reviews(seed: int, *, start: str = "uniform") -> Fit:
    """Vectors, their average, sixteen units, good or bad; as in the tutorial."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed, 1024, 24, 200, 2)
    inputs = keras.Input((24,), dtype="int32")
    vectors = keras.layers.Embedding(201, 16, embeddings_initializer=start, name="vectors")(inputs)
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(vectors)
    hidden = keras.layers.Dense(16, "relu", name="hidden")(mean)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    return Fit(
        model, x, y, keras.optimizers.RMSprop(3e-3), "binary_crossentropy", skill.binary, steps=320, batch_size=32
    )


def _neighbours(seed: int, *, spread: float = 0.1) -> Loop:
    """Do two words stand together? The sigmoid of the product of their vectors."""
    keras.utils.set_random_seed(seed)
    topic = np.random.default_rng(seed).integers(0, 6, 120)
    together = topic[:, None] == topic
    start = keras.initializers.RandomNormal(stddev=spread)
    left, right = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    word = keras.layers.Embedding(120, 64, embeddings_initializer=start, name="words")(left)
    context = keras.layers.Embedding(120, 64, embeddings_initializer=start, name="contexts")(right)
    model = keras.Model([left, right], keras.layers.Dot(1, name="product")([word, context]))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        one, other = draw.integers(0, 120, (2, 256)).astype("i4")
        other[::2] = [draw.choice(np.flatnonzero(together[word])) for word in one[::2]]
        return one, other, together[one, other].astype("f4")

    def forward(one: Any, other: Any, same: Any) -> Any:
        logits = model([one, other])[:, 0]
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(same, logits))

    def score() -> float:
        one, other = (part.ravel().astype("i4") for part in np.indices((120, 120)))
        return skill.binary(together.ravel(), model([one, other]).numpy(), threshold=0.0)

    return Loop(model, keras.optimizers.Adam(0.01), batches, forward, score, steps=250, seed=seed)


def _complaints(seed: int, *, decay: float = 1e-5) -> Fit:
    """A convolution over words and the greatest of each map; the rest of each row is padding."""
    keras.utils.set_random_seed(seed)
    words, y = data.texts(seed, 1024, 14, 150, 3)
    x = np.zeros((1024, 30), "i4")
    x[:, :14] = words
    inputs = keras.Input((30,), dtype="int32")
    weak = keras.regularizers.L2(decay)
    maps = keras.layers.Embedding(151, 24, name="vectors")(inputs)
    maps = keras.layers.Conv1D(32, 3, activation="relu", kernel_regularizer=weak, name="phrases")(maps)
    greatest = keras.layers.GlobalMaxPooling1D(name="greatest")(maps)
    hidden = keras.layers.Dropout(0.3, name="dropout")(greatest)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=320, batch_size=32)


family.pair(
    "reviews",
    _reviews,
    sickness="vectors-that-start-at-zero",
    sick={"start": "zeros"},
    causes=["symmetric-weights", "dead-units", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("vectors", "hidden", "mean"),
    level=0.7,
)
family.pair(
    "neighbours",
    _neighbours,
    sickness="vectors-of-deviation-3",
    sick={"spread": 3.0},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    layers=("words", "contexts"),
    level=0.6,
)
family.pair(
    "complaints",
    _complaints,
    sickness="l2-of-a-fifth",
    sick={"decay": 0.2},
    causes=["shrunken-weights"],
    layers=("phrases",),
    level=0.7,
)
