"""Recommenders: factors, towers, factorisation machines, and clicks that are seldom."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("shelves", half="think")

_READERS, _BOOKS = 80, 60


def _tastes(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Readers, books, and how well each book goes with its reader: about a standard normal."""
    draw = np.random.default_rng(seed)
    readers, books = draw.integers(0, _READERS, count), draw.integers(0, _BOOKS, count)
    of_reader, of_book = draw.normal(size=(_READERS, 3)), draw.normal(size=(_BOOKS, 3))
    return readers, books, (of_reader[readers] * of_book[books]).sum(1) / 3**0.5


def _pair() -> tuple[Any, Any]:
    return keras.Input((), name="reader", dtype="int32"), keras.Input((), name="book", dtype="int32")


def _stars(seed: int, *, deviation: float = 0.1) -> Fit:
    """One to five stars from the product of factors, plus what reader and book add to it."""
    keras.utils.set_random_seed(seed)
    readers, books, taste = _tastes(seed, 3000)
    stars = np.clip(np.round(3.2 + taste), 1, 5).astype("f4")[:, None]
    reader, book = _pair()
    start = keras.initializers.RandomNormal(stddev=deviation)
    of_reader = keras.layers.Embedding(_READERS, 32, embeddings_initializer=start, name="readers")(reader)
    of_book = keras.layers.Embedding(_BOOKS, 32, embeddings_initializer=start, name="books")(book)
    product = keras.layers.Dot(1, name="product")([of_reader, of_book])
    more = keras.layers.Embedding(_READERS, 1, name="reader_bias")(reader)
    more = more + keras.layers.Embedding(_BOOKS, 1, name="book_bias")(book)
    model = keras.Model([reader, book], product + more + 3.0)
    x = {"reader": readers, "book": books}
    return Fit(model, x, stars, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=500, batch_size=64)


def _machine(seed: int, *, listed: bool = True) -> Loop:
    """A factorisation machine in a loop of its own: what each kind adds, and what each two add together."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = np.zeros((1500, 20), "f4")
    for start, kinds in ((0, 8), (8, 7), (15, 5)):
        x[np.arange(1500), start + draw.integers(0, kinds, 1500)] = 1
    alone, together = draw.normal(size=20), draw.normal(size=(20, 3))
    y = x @ alone + 0.5 * ((x @ together) ** 2 - x**2 @ together**2).sum(1) + draw.normal(0, 0.2, 1500)
    y = y.astype("f4")[:, None]

    class Machine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.linear = keras.layers.Dense(1, name="linear")
            self.factors = keras.layers.Dense(6, use_bias=False, name="factors")
            self.linear.build((None, 20))
            self.factors.build((None, 20))

        def call(self, x: Any) -> Any:
            squares = tf.matmul(x**2, self.factors.kernel**2)
            return self.linear(x) + 0.5 * tf.reduce_sum(self.factors(x) ** 2 - squares, 1, keepdims=True)

    model, optimizer = Machine(), keras.optimizers.Adagrad(0.1)
    model(x[:2])

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean((model(x) - y) ** 2)

    def step(x: Any, y: Any) -> Any:
        variables = model.trainable_variables if listed else model.linear.trainable_variables
        with tf.GradientTape() as tape:
            loss = forward(x, y)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    def batches(draw: np.random.Generator) -> Any:
        rows = draw.integers(0, 1500, 50)
        return x[rows], y[rows]

    return Loop(model, optimizer, batches, forward, lambda: skill.fit_of(y, model(x)), steps=400, seed=seed, step=step)


def _neural(seed: int, *, dropout: float = 0.2) -> Fit:
    """Liked or not, by a network over the joined vectors of reader and book."""
    keras.utils.set_random_seed(seed)
    readers, books, taste = _tastes(seed, 3000)
    reader, book = _pair()
    x = keras.layers.Concatenate(name="joined")(
        [
            keras.layers.Embedding(_READERS, 12, name="readers")(reader),
            keras.layers.Embedding(_BOOKS, 12, name="books")(book),
        ]
    )
    for number, width in ((1, 48), (2, 24)):
        x = keras.layers.Dense(width, "relu", name=f"dense_{number}")(x)
        x = keras.layers.Dropout(dropout, name=f"dropout_{number}")(x)
    model = keras.Model([reader, book], keras.layers.Dense(1, "sigmoid", name="output")(x))
    x, y = {"reader": readers, "book": books}, (taste > 0).astype("i4")
    optimizer, loss = keras.optimizers.Adam(5e-3), "binary_crossentropy"
    return Fit(model, x, y, optimizer, loss, skill.binary, steps=700, batch_size=50)


def _clicks(seed: int, *, logarithm: bool = True) -> Fit:
    """One in thirty shows is clicked; how often the advert was shown so far runs to many thousands."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind, shown = draw.integers(0, 12, 3000), np.round(np.exp(draw.normal(6, 2, 3000)))
    age = draw.normal(size=(3000, 3))
    worth = np.random.default_rng(3).normal(size=12)[kind] + age @ [1.0, -0.7, 0.0] - 0.4 * (np.log1p(shown) - 6)
    y = (worth + draw.normal(0, 0.3, 3000) > np.quantile(worth, 0.97)).astype("i4")
    shown = (np.log1p(shown) - 6) / 2 if logarithm else shown
    inputs = {"kind": keras.Input((), name="kind", dtype="int32"), "facts": keras.Input((4,), name="facts")}
    x = keras.layers.Embedding(12, 4, name="kinds")(inputs["kind"])
    facts = keras.layers.Dense(16, "relu", name="bottom")(inputs["facts"])
    x = keras.layers.Concatenate(name="joined")([x, facts])
    x = keras.layers.Dense(24, "relu", name="top")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(x))
    x = {"kind": kind, "facts": np.column_stack([age, shown]).astype("f4")}
    optimizer, loss = keras.optimizers.Adagrad(0.05), "binary_crossentropy"

    def ranked(y: Any, guess: Any) -> float:
        """Area under the curve, chance taken off."""
        order = np.argsort(np.argsort(guess.ravel()))
        most = y.sum() * (len(y) - y.sum())
        return 2 * (order[y == 1].sum() - y.sum() * (y.sum() - 1) / 2) / most - 1

    return Fit(model, x, y, optimizer, loss, ranked, steps=400, batch_size=64)


family.pair(
    "stars",
    _stars,
    sickness="factors-of-deviation-0.65",
    sick={"deviation": 0.65},
    causes=["gain-mismatch:too-large"],
    layers=("readers", "books"),
    level=0.5,
)
family.pair(
    "machine",
    _machine,
    sickness="only-the-linear-part-is-listed",
    sick={"listed": False},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("factors",),
    level=0.7,
)
family.pair(
    "neural",
    _neural,
    sickness="dropout-of-0.85",
    sick={"dropout": 0.85},
    causes=["excessive-dropout"],
    layers=("dropout_1", "dropout_2", "dense_1", "dense_2"),
    level=0.5,
)
family.pair(
    "clicks",
    _clicks,
    sickness="shows-without-logarithm",
    sick={"logarithm": False},
    causes=["badly-scaled-input"],
    layers=("bottom",),
    level=0.6,
)
