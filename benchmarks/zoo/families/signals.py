"""Signals of sensors: convolutions over time."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("signals", half="think")


def _beats(seed: int, *, counts: bool = False) -> Fit:
    """Heart beats: normal, with a wide peak, with the second wave upside down."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 3, 640)
    time = np.arange(48) - 16 + draw.integers(-4, 5, (640, 1))
    width = np.where(kind == 1, 3.5, 1.5)[:, None]
    second = np.where(kind == 2, -0.3, 0.3)[:, None]
    wave = np.exp(-0.5 * (time / width) ** 2) + second * np.exp(-0.5 * ((time - 16) / 4) ** 2)
    x = wave + draw.normal(0, 0.08, wave.shape)
    x = np.round(2048 + 300 * x) if counts else (x - x.mean()) / x.std()
    model = keras.Sequential(
        [
            keras.Input((48, 1)),
            keras.layers.Conv1D(16, 7, 2, activation="relu", name="conv_1"),
            keras.layers.Conv1D(32, 5, 2, activation="relu", name="conv_2"),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dense(3, name="output"),
        ]
    )
    y = kind.astype("i4")
    optimizer = keras.optimizers.Adam(2e-3)
    return Fit(model, x[..., None].astype("f4"), y, optimizer, cross_entropy(), skill.classes, steps=150)


def _keyword(seed: int, *, floor: float = 1e-3) -> Fit:
    """Three syllables in a spectrogram with stretches of silence."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 3, 600)
    time = np.arange(384)
    pitch = np.array([[0.1, 0.25], [0.25, 0.1], [0.25, 0.25]])[kind] * draw.uniform(0.9, 1.1, (600, 1))
    begin = draw.integers(0, 128, (600, 1))
    sound = np.sin(2 * np.pi * np.where(time < begin + 128, pitch[:, :1], pitch[:, 1:]) * time)
    sound = (sound + draw.normal(0, 0.3, sound.shape)) * ((time >= begin) & (time < begin + 256))
    power = np.abs(np.fft.rfft(sound.reshape(600, 12, 32), axis=-1)) ** 2
    with np.errstate(divide="ignore"):
        x = (np.log(power + floor) / 3).astype("f4")
    inputs = keras.Input((12, 17))
    h = keras.layers.Conv1D(24, 3, padding="same", activation="relu", name="conv_1")(inputs)
    h = keras.layers.MaxPooling1D(2)(h)
    h = keras.layers.Conv1D(24, 3, padding="same", activation="relu", name="conv_2")(h)
    h = keras.layers.Flatten()(h)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="output")(h))
    optimizer = keras.optimizers.Adamax(3e-3)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, kind.astype("i4"), optimizer, loss, skill.classes, steps=240)


def _tones(seed: int, length: int = 40, kinds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Three axes of a shaken sensor ``[count, length, 3]``, each kind with a pitch of its own."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, kinds, 768)
    phase = draw.uniform(0, 2 * np.pi, (768, 1, 3))
    pitch = 0.3 + 0.45 * kind[:, None, None] + draw.normal(0, 0.03, (768, 1, 1))
    x = np.sin(pitch * np.arange(length)[:, None] + phase) * draw.uniform(0.7, 1.3, (768, 1, 3))
    return (x + draw.normal(0, 0.3, x.shape)).astype("f4"), kind.astype("i4")


def _pitch(seed: int, *, activation: str | None = "relu") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _tones(seed)
    model = keras.Sequential([keras.Input(x.shape[1:])])
    for number, width in enumerate((16, 24, 32), 1):
        model.add(keras.layers.Conv1D(width, 5, activation=activation, name=f"conv_{number}"))
    model.add(keras.layers.GlobalAveragePooling1D())
    model.add(keras.layers.Dense(4, name="output"))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=360)


def _bearing(seed: int, *, merge: str = "Add", blocks: int = 20) -> Fit:
    """A tower of residual blocks, each of which starts as nothing."""
    keras.utils.set_random_seed(seed)
    x, y = _tones(seed, 24)
    inputs = keras.Input(x.shape[1:])
    h = keras.layers.Conv1D(12, 5, padding="same", name="stem")(inputs)
    for number in range(1, blocks + 1):
        branch = keras.layers.Conv1D(
            12, 3, padding="same", kernel_initializer="zeros", name=f"conv_{number}"
        )(keras.layers.ReLU()(h))  # fmt: skip
        h = getattr(keras.layers, merge)()([h, branch])
    h = keras.layers.GlobalAveragePooling1D()(keras.layers.ReLU()(h))
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(h))
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, steps=260)


def _gait(seed: int, *, dropped: float = 0.3) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _tones(seed)
    model = keras.Sequential([keras.Input(x.shape[1:])])
    for number in (1, 2, 3):
        model.add(keras.layers.Conv1D(24, 4, activation="elu", name=f"conv_{number}"))
        model.add(keras.layers.SpatialDropout1D(dropped))
    model.add(keras.layers.GlobalMaxPooling1D())
    model.add(keras.layers.Dense(4, name="output"))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return Fit(
        model, x, np.eye(4, dtype="f4")[y], keras.optimizers.AdamW(2e-3, weight_decay=0.01), loss, skill.classes,
        steps=400,
    )  # fmt: skip


def _sleep(seed: int, *, rate: float = 3e-3) -> Fit:
    """Stages of sleep, one of them rare."""
    keras.utils.set_random_seed(seed)
    x, y = _tones(seed, 32)
    chosen = (y != 3) | (np.random.default_rng(seed).random(len(y)) < 0.15)
    x, y = x[chosen], y[chosen]
    inputs = keras.Input(x.shape[1:])
    h = keras.layers.SeparableConv1D(24, 5, activation="relu", name="conv_1")(inputs)
    h = keras.layers.SeparableConv1D(24, 5, activation="relu", name="conv_2")(h)
    h = keras.layers.Dense(24, "relu", name="hidden")(keras.layers.GlobalAveragePooling1D()(h))
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(h))
    optimizer = keras.optimizers.RMSprop(rate)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=300)


def _tilt(seed: int, *, spread: float | None = None) -> Fit:
    """How fast a sensor swings, by twelve convolutions without a skip."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    speed = draw.uniform(0.2, 1.6, (640, 1, 1))
    x = np.sin(speed * np.arange(24)[:, None] + draw.uniform(0, 2 * np.pi, (640, 1, 1)))
    x = (x + draw.normal(0, 0.1, x.shape)).astype("f4")
    y = data.standardised(speed[:, 0])
    start = "he_normal" if spread is None else keras.initializers.RandomNormal(stddev=spread)
    model = keras.Sequential([keras.Input((24, 1))])
    for number in range(1, 13):
        model.add(
            keras.layers.Conv1D(
                16, 3, padding="same", activation="relu", kernel_initializer=start, name=f"conv_{number}"
            )
        )
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(1, name="output"))
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 100, 0.7)
    return Fit(model, x, y, keras.optimizers.Adam(rate), "mae", skill.fit_of, steps=320)


def _all(count: int) -> tuple[str, ...]:
    return tuple(f"conv_{number}" for number in range(1, count + 1))


family.pair(
    "beats",
    _beats,
    sickness="counts-of-the-converter",
    sick={"counts": True},
    causes=["badly-scaled-input"],
    level=0.7,
)
family.pair(
    "keyword", _keyword, sickness="logarithm-of-silence", sick={"floor": 0.0}, causes=["nonfinite-values"], level=0.7
)
family.pair(
    "pitch",
    _pitch,
    sickness="activation-left-out",
    sick={"activation": None},
    causes=["linear-units"],
    layers=_all(3),
    level=0.7,
)
family.pair(
    "bearing",
    _bearing,
    sickness="averaged-not-added",
    sick={"merge": "Average"},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    layers=("stem", *_all(20)),
    level=0.6,
)
family.pair(
    "gait",
    _gait,
    sickness="dropout-of-0.95",
    sick={"dropped": 0.95},
    causes=["excessive-dropout"],
    level=0.6,
    every=10,
)
family.pair(
    "sleep",
    _sleep,
    sickness="rate-of-plain-sgd",
    sick={"rate": 0.2},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "tilt",
    _tilt,
    sickness="deviation-of-a-hundredth",
    sick={"spread": 0.01},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=(*_all(12), "output"),
    level=0.6,
)
