"""Words: embeddings, texts to classify, word vectors, small transformers, a model of letters."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("sentences", half="think")


def _reviews(seed: int, *, shortest: int = 1) -> Loop:
    """Word vectors averaged over the words there are; 0 fills texts up. A loop of one's own."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed, count=1000, length=14, kinds=4)
    lengths = np.random.default_rng(seed).integers(4, 15, 1000)
    lengths[417] = shortest
    x[np.arange(14) >= lengths[:, None]] = 0
    words = keras.Input((14,), dtype="int32")
    vectors = keras.layers.Embedding(200, 24, name="embedding")(words)
    mask = keras.ops.cast(keras.ops.not_equal(words, 0), "float32")[..., None]
    mean = keras.ops.sum(vectors * mask, axis=1) / keras.ops.sum(mask, axis=1)
    hidden = keras.layers.Dense(32, "relu", name="hidden")(mean)
    model = keras.Model(words, keras.layers.Dense(4, name="output")(hidden))
    loss = cross_entropy()

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        chosen = draw.integers(0, 1000, 32)
        return x[chosen], y[chosen]

    return Loop(
        model, keras.optimizers.AdamW(5e-3), batches, lambda x, y: loss(y, model(x, training=True)),
        lambda: skill.classes(y, model.predict(x, batch_size=250, verbose=0)), steps=400, seed=seed,
    )  # fmt: skip


def _headlines(seed: int, *, decay_steps: int = 240) -> Fit:
    """Convolutions over words; the rate falls to 0 along a cosine."""
    keras.utils.set_random_seed(seed)
    x, y = data.texts(seed, count=960, length=16, kinds=5)
    words = keras.Input((16,), dtype="int32")
    vectors = keras.layers.Embedding(200, 16, name="embedding")(words)
    maps = keras.layers.Conv1D(32, 3, padding="same", activation="relu", name="conv")(vectors)
    hidden = keras.layers.Dropout(0.4)(keras.layers.GlobalMaxPooling1D()(maps))
    model = keras.Model(words, keras.layers.Dense(5, "softmax", name="output")(hidden))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, decay_steps))
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=240)


def _skip_gram(seed: int, *, rate: float = 20.0) -> Loop:
    """Which words stand near each other, told from words drawn at random; plain descent on a mean over many pairs."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    topic = draw.integers(0, 10, 4000)
    near = np.stack([topic + 10 * draw.integers(0, 12, 4000), topic + 10 * draw.integers(0, 12, 4000)], 1)
    far = draw.integers(0, 120, (4000, 2))
    pairs = np.concatenate([near, far]).astype("i4")
    labels = np.repeat([1.0, 0.0], 4000).astype("f4")
    inputs = [keras.Input((), dtype="int32"), keras.Input((), dtype="int32")]
    target = keras.layers.Embedding(120, 24, name="target")(inputs[0])
    context = keras.layers.Embedding(120, 24, name="context")(inputs[1])
    model = keras.Model(inputs, keras.layers.Dot(-1, name="likeness")([target, context]))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        chosen = draw.integers(0, 8000, 256)
        return pairs[chosen, 0], pairs[chosen, 1], labels[chosen, None]

    def score() -> float:
        return skill.binary(labels, model.predict([pairs[:, 0], pairs[:, 1]], batch_size=1000, verbose=0), 0.0)

    return Loop(
        model, keras.optimizers.SGD(rate), batches, lambda a, b, y: loss(y, model([a, b])), score, steps=800, seed=seed
    )


def _shared_block(seed: int, *, loss: str = "sparse_categorical_crossentropy") -> Fit:
    """One transformer block, gone through six times: which kind is each word of?"""
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).integers(0, 120, (800, 10))
    words = keras.Input((10,), dtype="int32")
    hidden = keras.layers.Embedding(200, 24, name="embedding")(words)
    attention = keras.layers.Attention(use_scale=True, name="attention")
    first, second = keras.layers.Dense(48, "gelu", name="wide"), keras.layers.Dense(24, name="narrow")
    norms = keras.layers.LayerNormalization(name="norm_1"), keras.layers.LayerNormalization(name="norm_2")
    for _ in range(6):
        normal = norms[0](hidden)
        hidden = hidden + attention([normal, normal])
        hidden = hidden + second(first(norms[1](hidden)))
    model = keras.Model(words, keras.layers.Dense(4, "softmax", name="output")(hidden))
    kinds = (x % 4)[..., None].astype("f4")
    return Fit(
        model, x, kinds, keras.optimizers.Adam(2e-3), loss,
        lambda kinds, said: skill.classes(kinds[..., 0], said), steps=150,
    )  # fmt: skip


def _attend(seed: int, *, spread: float = 0.05) -> Fit:
    """Attention written by hand, as in a course: look up the value of the key that is asked for."""
    keras.utils.set_random_seed(seed)

    class Attention(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            normal = keras.initializers.RandomNormal(stddev=spread)
            self.query = self.add_weight(shape=(shape[-1], 64), initializer=normal, name="query_kernel")
            self.key = self.add_weight(shape=(shape[-1], 64), initializer=normal, name="key_kernel")
            self.value = self.add_weight(shape=(shape[-1], 32), initializer="glorot_uniform", name="value_kernel")

        def call(self, x: Any) -> Any:
            query, key = x @ self.query, x @ self.key
            weights = tf.nn.softmax(query @ tf.transpose(key, (0, 2, 1)) / 8.0)
            return weights @ (x @ self.value)

    draw = np.random.default_rng(seed)
    keys = np.argsort(draw.random((1200, 6)), 1)
    values = draw.integers(0, 4, (1200, 6))
    asked = draw.integers(0, 6, 1200)
    y = values[np.arange(1200), (keys == asked[:, None]).argmax(1)]
    rest = np.zeros((1200, 1, 4))
    pairs = np.concatenate([np.eye(6)[keys], np.zeros((1200, 6, 6)), np.eye(4)[values]], -1)
    question = np.concatenate([np.zeros((1200, 1, 6)), np.eye(6)[asked][:, None], rest], -1)
    x = 3 * np.concatenate([question, pairs], 1)
    inputs = keras.Input((7, 16))
    hidden = Attention(name="attention")(inputs)
    hidden = keras.layers.Dense(32, "relu", name="hidden")(hidden[:, 0])
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    return Fit(model, x.astype("f4"), y, keras.optimizers.Adam(1e-2), cross_entropy(), skill.classes, steps=500)


def _noam(seed: int, *, warm_up: int = 150) -> Fit:
    """Says every sentence backwards; the rate as in "Attention is all you need"."""
    keras.utils.set_random_seed(seed)

    class Noam(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, "float32") + 1.0
            return 32**-0.5 * tf.minimum(step**-0.5, step * warm_up**-1.5)

    x = np.random.default_rng(seed).integers(1, 12, (900, 7))
    words = keras.Input((7,), dtype="int32")
    place = keras.layers.Embedding(7, 32, name="places")(keras.ops.arange(7))
    hidden = keras.layers.Embedding(12, 32, name="words")(words) + place
    looked = keras.layers.MultiHeadAttention(2, 16, name="attention")(hidden, hidden)
    hidden = keras.layers.LayerNormalization(name="norm_1")(hidden + looked)
    wide = keras.layers.Dense(64, "relu", name="wide")(hidden)
    wide = keras.layers.Dropout(0.1)(keras.layers.Dense(32, name="narrow")(wide))
    hidden = keras.layers.LayerNormalization(name="norm_2")(hidden + wide)
    model = keras.Model(words, keras.layers.Dense(12, name="output")(hidden))
    optimizer = keras.optimizers.Adam(Noam(), beta_2=0.98, epsilon=1e-9)
    return Fit(model, x, x[:, ::-1], optimizer, cross_entropy(), skill.classes, steps=280)


def _letters(seed: int, *, norm: float = 1.0) -> Loop:
    """The next letter of words of a made-up language; gradients clipped by their common norm."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    syllables = draw.integers(0, 12, (20, 2))
    x = syllables[draw.integers(0, 20, (800, 8))].reshape(800, 16)
    letters = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(12, 16, name="embedding")(letters)
    hidden = keras.layers.GRU(48, return_sequences=True, name="gru")(hidden)
    model = keras.Model(letters, keras.layers.Dense(12, name="output")(hidden))
    loss = cross_entropy()

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (x[draw.integers(0, 800, 32)].astype("i4"),)

    def score() -> float:
        said = model.predict(x[:, :-1], batch_size=200, verbose=0)
        return skill.classes(x[:, 1::2], said[:, ::2])

    return Loop(
        model, keras.optimizers.SGD(0.5, momentum=0.9), batches, lambda x: loss(x[:, 1:], model(x[:, :-1])), score,
        steps=450, seed=seed, change=lambda gradients: tf.clip_by_global_norm(gradients, norm)[0],
    )  # fmt: skip


family.pair(
    "reviews",
    _reviews,
    sickness="average-of-an-empty-text",
    sick={"shortest": 0},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "headlines",
    _headlines,
    sickness="cosine-over-epochs-taken-for-steps",
    sick={"decay_steps": 8},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
    level=0.6,
    every=10,
)
family.pair(
    "skip-gram",
    _skip_gram,
    sickness="rate-of-a-hundredth",
    sick={"rate": 0.01},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "shared-block",
    _shared_block,
    sickness="squared-error-of-class-numbers",
    sick={"loss": "mse"},
    causes=["mismatched-loss"],
    level=0.6,
)
family.pair(
    "look-up",
    _attend,
    sickness="queries-and-keys-of-unit-variance",
    sick={"spread": 1.0},
    causes=["gain-mismatch:too-large", "saturated-activation", "vanishing-gradient"],
    layers=("attention",),
    level=0.7,
)
family.pair(
    "backwards",
    _noam,
    sickness="warm-up-of-one-step",
    sick={"warm_up": 1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "letters",
    _letters,
    sickness="clipped-to-a-six-hundredth",
    sick={"norm": 0.0015},
    causes=["permanent-clipping"],
    level=0.4,
    every=25,
)
