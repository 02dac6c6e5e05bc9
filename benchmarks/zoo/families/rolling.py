"""Series and sequences, read by recurrent networks, dilated convolutions and attention over time."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("rolling", half="think")


def _padded(seed: int, *, masked: bool = True) -> Fit:
    """Short complaints, filled up with zeros to the length of the longest."""
    keras.utils.set_random_seed(seed)
    words, kind = data.texts(seed, count=768, length=12)
    words[np.arange(12)[None] >= np.random.default_rng(seed).integers(6, 13, (768, 1))] = 0
    words = np.pad(words, ((0, 0), (0, 38)))
    model = keras.Sequential(
        [
            keras.Input((50,)),
            keras.layers.Embedding(200, 16, mask_zero=masked, name="embedding"),
            keras.layers.LSTM(24, name="lstm"),
            keras.layers.Dense(16, "relu", name="dense"),
            keras.layers.Dense(3, "softmax", name="output"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    return Fit(model, words, kind, keras.optimizers.Adam(5e-3), loss, skill.classes, steps=190)


def _tides(seed: int, *, unit: float = 1.0) -> Fit:
    """The level three hours on, of a day of levels."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    hours = np.arange(1200)
    level = 2.5 + 1.2 * np.sin(hours / 1.98) + 0.5 * np.sin(hours / 3.8 + 1) + draw.normal(0, 0.15, 1200)
    windows = np.lib.stride_tricks.sliding_window_view(level, 27)
    x, y = (windows[:, :24, None] - 2.5).astype("f4"), (windows[:, 26:] * unit).astype("f4")
    model = keras.Sequential([keras.Input((24, 1))])
    model.add(keras.layers.Conv1D(16, 3, activation="relu", name="conv"))
    model.add(keras.layers.GRU(24, name="gru"))
    model.add(keras.layers.Dense(1, name="output"))
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), "mae", skill.fit_of, steps=300)


def _barometer(seed: int, *, raw: bool = False) -> Fit:
    """Whether it rains tomorrow, by pressure and wind of ten days."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    pressure = np.cumsum(draw.normal(0, 0.5, (900, 10)), 1)
    wind = draw.normal(size=(900, 10))
    y = (pressure[:, -1] - pressure[:, -5] + 0.3 * wind[:, -1] < 0).astype("i4")
    x = np.stack([1013 + 8 * pressure if raw else pressure, wind], -1).astype("f4")
    model = keras.Sequential(
        [
            keras.Input((10, 2)),
            keras.layers.SimpleRNN(24, return_sequences=True, name="rnn_1"),
            keras.layers.SimpleRNN(24, name="rnn_2"),
            keras.layers.Dense(1, "sigmoid", name="output"),
        ]
    )
    return Fit(model, x, y, keras.optimizers.Nadam(2e-3), "binary_crossentropy", skill.binary, steps=250)


def _vibration(seed: int, *, clip: float = 1.0) -> Fit:
    """Which of four gears turns; plain descent with momentum, clipped."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, 800)
    time = np.arange(24) + draw.uniform(0, 9, (800, 1))
    x = np.sin(time * (0.4 + 0.45 * kind[:, None])) + draw.normal(0, 0.3, (800, 24))
    model = keras.Sequential([keras.Input((24, 1)), keras.layers.GRU(32, name="gru")])
    model.add(keras.layers.Dense(4, name="output"))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=clip)
    return Fit(model, x[..., None].astype("f4"), kind, optimizer, cross_entropy(), skill.classes, steps=400)


def _loudest(seed: int, *, axis: int = 1) -> Fit:
    """The colour of the loudest of twelve: every one is scored, and a softmax over them says whom to listen to."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1024, 12, 3)).astype("f4")
    y = (x[np.arange(1024), x[..., 0].argmax(1), 1] > 0).astype("i4")
    inputs = keras.Input((12, 3))
    each = keras.layers.Dense(24, "relu", name="encoder")(inputs)
    scores = keras.layers.Dense(1, name="scores")(each)
    weights = keras.layers.Softmax(axis=axis, name="weights")(scores)
    heard = keras.layers.Dot(1, name="heard")([weights, each])
    heard = keras.layers.Flatten(name="flat")(heard)
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(heard))
    return Fit(model, x, y, keras.optimizers.Adam(1e-2), cross_entropy(), skill.classes, steps=500)


def _dilated(seed: int, *, kernel: str = "he_uniform") -> Fit:
    """Ten causal convolutions of growing dilation tell rising from falling chirps."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 2, 600)
    time = np.linspace(0, 1, 40)
    pitch = np.where(kind[:, None] == 1, 2 + 6 * time, 8 - 6 * time)
    x = np.sin(2 * np.pi * (time * pitch + draw.uniform(0, 1, (600, 1)))) + draw.normal(0, 0.2, (600, 40))
    model = keras.Sequential([keras.Input((40, 1))])
    for number in range(10):
        convolution = keras.layers.Conv1D(
            16, 2, padding="causal", dilation_rate=2 ** (number % 5), activation="relu", kernel_initializer=kernel,
            name=f"conv_{number + 1}",
        )  # fmt: skip
        model.add(convolution)
    model.add(keras.layers.GlobalAveragePooling1D(name="average"))
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True)
    return Fit(model, x[..., None].astype("f4"), kind, optimizer, "binary_crossentropy", skill.binary, steps=200)


def _rainfall(seed: int, *, gain: float = 1.0) -> Fit:
    """How much rain fell in all, of thirty showers that are noted where they were worth it."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    rain, noted = draw.exponential(1, (1000, 30)), draw.random((1000, 30)) < 0.3
    fell = (rain * noted).sum(1)
    x = np.stack([rain - 1, noted], -1).astype("f4")
    y = ((fell - fell.mean()) / fell.std()).astype("f4")[:, None]
    model = keras.Sequential([keras.Input((30, 2))])
    start = keras.initializers.Orthogonal(gain)
    model.add(keras.layers.SimpleRNN(24, "relu", recurrent_initializer=start, name="rnn"))
    model.add(keras.layers.Dense(1, name="output"))
    return Fit(model, x, y, keras.optimizers.Adam(1e-3), "mse", skill.fit_of, steps=350)


family.pair(
    "padded",
    _padded,
    sickness="padding-not-masked",
    sick={"masked": False},
    causes=["vanishing-gradient"],
    layers=("embedding", "lstm"),
    level=0.8,
)
family.pair(
    "tides",
    _tides,
    sickness="levels-in-millimetres",
    sick={"unit": 1000.0},
    causes=["badly-scaled-target"],
    level=0.8,
)
family.pair(
    "barometer",
    _barometer,
    sickness="pressure-as-it-is-read",
    sick={"raw": True},
    causes=["badly-scaled-input", "saturated-activation"],
    layers=("rnn_1",),
    level=0.75,
)
family.pair(
    "vibration",
    _vibration,
    sickness="clipped-to-a-five-hundredth",
    sick={"clip": 2e-3},
    causes=["permanent-clipping"],
    level=0.8,
)
family.pair(
    "loudest",
    _loudest,
    sickness="softmax-over-one-score",
    sick={"axis": -1},
    causes=["misplaced-softmax", "vanishing-gradient", "disconnected-variable", "unchanged-weights"],
    layers=("scores", "weights"),
    level=0.7,
)
family.pair(
    "dilated",
    _dilated,
    sickness="random-uniform-by-name",
    sick={"kernel": "random_uniform"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=tuple(f"conv_{number}" for number in range(1, 11)),
    level=0.7,
)
family.pair(
    "rainfall",
    _rainfall,
    sickness="recurrent-gain-of-a-half-too-much",
    sick={"gain": 1.5},
    causes=["exploding-gradient", "gain-mismatch:too-large"],
    layers=("rnn",),
    level=0.6,
)
