"""Pictures under the microscope: what is seen, how many there are, and where they end."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("microscopy", half="think")


def _grid(draw: np.random.Generator, count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance and angle of each pixel ``[count, side, side]`` from a centre drawn for each picture."""
    ys, xs = np.mgrid[:side, :side]
    centre = draw.uniform(side * 0.35, side * 0.65, (2, count, 1, 1))
    dy, dx = ys - centre[0], xs - centre[1]
    return np.hypot(dy, dx), np.arctan2(dy, dx)


def _cells(seed: int, count: int = 640, side: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Coloured discs, rings, crescents and stars ``[count, side, side, 3]`` in 0 to 1, and which it is."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, count)
    radius, angle = _grid(draw, count, side)
    size = draw.uniform(3, 4.5, (count, 1, 1))
    disc = radius < size
    shapes = np.stack([disc, disc & (radius > size - 1.6), disc & (np.sin(angle) > 0), disc & (np.cos(4 * angle) > 0)])
    colour = draw.uniform(0.3, 0.9, (count, 1, 1, 3))
    x = 0.15 + shapes[kind, np.arange(count)][..., None] * (colour - 0.15)
    return np.clip(x + draw.normal(0, 0.06, x.shape), 0, 1).astype("f4"), kind.astype("i4")


def _colonies(seed: int, count: int = 640, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Dishes ``[count, side, side, 1]`` with small bright spots, and the spots themselves as a mask."""
    draw = np.random.default_rng(seed)
    many = draw.integers(0, 10, count)
    mask = np.zeros((count, side, side))
    for dish, spots in enumerate(many):
        for row, column in draw.integers(1, side - 1, (spots, 2)):
            mask[dish, row, column] = 1
    glow = mask + sum(0.5 * np.roll(mask, shift, axis) for shift in (-1, 1) for axis in (1, 2))
    x = 0.2 + 0.6 * np.minimum(glow, 1) + draw.normal(0, 0.05, mask.shape)
    return x[..., None].astype("f4"), mask[..., None].astype("f4")


def _stains(seed: int, *, means: tuple[float, ...] = (0.25, 0.25, 0.25)) -> Fit:
    """The colours' means are taken off, then two convolutions and a dense layer."""
    keras.utils.set_random_seed(seed)
    x, y = _cells(seed)
    x = x - np.array(means, "f4")
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Conv2D(12, 3, activation="relu", name="conv_1")(inputs)
    maps = keras.layers.MaxPooling2D()(maps)
    maps = keras.layers.Conv2D(24, 3, activation="relu", name="conv_2")(maps)
    hidden = keras.layers.Dense(48, "relu", name="dense")(keras.layers.Flatten()(maps))
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.SGD(0.03, momentum=0.9), cross_entropy(), skill.classes, steps=240)


def _eight_convolutions(seed: int, *, initializer: str | None = None) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _cells(seed, 512)
    start = keras.initializers.TruncatedNormal(stddev=0.02) if initializer else "he_normal"
    maps = inputs = keras.Input(x.shape[1:])
    for number in range(1, 9):
        stride = 2 if number in (2, 5) else 1
        maps = keras.layers.Conv2D(
            12, 3, stride, "same", activation="relu", kernel_initializer=start, name=f"conv_{number}"
        )(maps)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(pooled))
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, steps=320)


def _count(seed: int, *, rate: float = 2e-3) -> Fit:
    """How many colonies grow in a dish."""
    keras.utils.set_random_seed(seed)
    x, mask = _colonies(seed)
    y = mask.sum((1, 2))
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Conv2D(8, 3, activation="relu", name="conv_1")(inputs)
    maps = keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="conv_2")(maps)
    hidden = keras.layers.Dense(32, "relu", name="dense")(keras.layers.Flatten()(maps))
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.SGD(rate, momentum=0.9), "mse", skill.fit_of, steps=300, batch_size=20)


def _outlines(seed: int, *, dropped: float = 0.1) -> Fit:
    """Which pixels are colonies: about 1 of 60."""
    keras.utils.set_random_seed(seed)
    x, y = _colonies(seed, 320)
    x = (x - x.mean()) / x.std()
    inputs = keras.Input(x.shape[1:])
    fine = keras.layers.Conv2D(12, 3, padding="same", activation="relu", name="fine")(inputs)
    fine = keras.layers.SpatialDropout2D(dropped)(fine)
    coarse = keras.layers.Conv2D(16, 3, 2, "same", activation="relu", name="coarse")(fine)
    coarse = keras.layers.SpatialDropout2D(dropped)(coarse)
    up = keras.layers.Conv2DTranspose(12, 2, 2, activation="relu", name="up")(coarse)
    both = keras.layers.SpatialDropout2D(dropped)(keras.layers.Concatenate()([fine, up]))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, activation="sigmoid", name="output")(both))
    return Fit(model, x, y, keras.optimizers.Adam(1e-2), "binary_crossentropy", skill.binary, steps=360, batch_size=16)


def _slides(seed: int, *, rate: float = 3e-3) -> Fit:
    """Smoothed labels, batch normalisation and a cosine that ends at nothing."""
    keras.utils.set_random_seed(seed)
    x, y = _cells(seed, 512)
    maps = inputs = keras.Input(x.shape[1:])
    for number, filters in enumerate((12, 24, 32), 1):
        maps = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(maps)
        maps = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(maps)
        maps = keras.layers.MaxPooling2D()(keras.layers.ReLU()(maps))
    hidden = keras.layers.Dropout(0.3)(keras.layers.Flatten()(maps))
    model = keras.Model(inputs, keras.layers.Dense(4, "softmax", name="output")(hidden))
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(rate, 256), weight_decay=1e-3)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return Fit(model, x, np.eye(4, dtype="f4")[y], optimizer, loss, skill.classes, steps=256)


def _two_eyes(seed: int, *, left: str = "relu") -> Fit:
    """Two lenses with a tower each: do they see cells of one kind?"""
    keras.utils.set_random_seed(seed)
    x, kind = _cells(seed, 900, 12)
    draw = np.random.default_rng(seed + 50)
    x, kind = x.mean(-1, keepdims=True)[kind < 2], kind[kind < 2]
    other = draw.permutation(len(x))
    towers, inputs = [], [keras.Input(x.shape[1:], name=side) for side in ("left", "right")]
    for side, picture in zip(("left", "right"), inputs, strict=True):
        activation = left if side == "left" else "relu"
        seen = keras.layers.Conv2D(12, 3, activation=activation, name=f"{side}_1")(picture)
        seen = keras.layers.Conv2D(12, 3, 2, activation=activation, name=f"{side}_2")(seen)
        seen = keras.layers.Conv2D(12, 3, activation=activation, name=f"{side}_3")(seen)
        towers.append(keras.layers.Flatten()(seen))
    hidden = keras.layers.Dense(32, "relu", name="compare")(keras.layers.Concatenate()(towers))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    same = (kind == kind[other]).astype("f4")[:, None]
    optimizer = keras.optimizers.Adam(2e-3)
    return Fit(model, [x, x[other]], same, optimizer, "binary_crossentropy", skill.binary, steps=260)


def _restarts(seed: int, *, peak: float = 0.8) -> Fit:
    """Residual blocks; a rate that falls by a cosine and starts again, each peak some of the last."""
    keras.utils.set_random_seed(seed)
    pixels, y = data.digits()
    x, y = pixels[:900].reshape(-1, 8, 8, 1), y[:900]
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(12, 3, padding="same", activation="relu", name="stem")(inputs)
    for number in (1, 2, 3):
        branch = keras.layers.Conv2D(12, 3, padding="same", activation="relu", name=f"in_{number}")(maps)
        branch = keras.layers.Conv2D(12, 3, padding="same", kernel_initializer="zeros", name=f"out_{number}")(branch)
        maps = keras.layers.ReLU()(keras.layers.Add()([maps, branch]))
        maps = keras.layers.MaxPooling2D()(maps) if number == 1 else maps
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(keras.layers.Flatten()(maps)))
    rates = keras.optimizers.schedules.CosineDecayRestarts(3e-3, 60, t_mul=1.0, m_mul=peak)
    return Fit(model, x, y, keras.optimizers.Adam(rates), cross_entropy(), skill.classes, steps=300)


family.pair(
    "stains",
    _stains,
    sickness="means-of-pixels-to-255",
    sick={"means": (103.939, 116.779, 123.68)},
    causes=["badly-scaled-input"],
    level=0.7,
)
family.pair(
    "eight-convolutions",
    _eight_convolutions,
    sickness="weights-as-in-bert",
    sick={"initializer": "truncated"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.7,
)
family.pair(
    "count",
    _count,
    sickness="rate-100-times-too-high",
    sick={"rate": 0.2},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "outlines",
    _outlines,
    sickness="maps-dropped-eight-of-ten",
    sick={"dropped": 0.8},
    causes=["excessive-dropout"],
    level=0.7,
)
family.pair(
    "slides",
    _slides,
    sickness="rate-of-a-hundredth",
    sick={"rate": 3e-5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "two-eyes",
    _two_eyes,
    sickness="sigmoids-behind-the-left",
    sick={"left": "sigmoid"},
    causes=["saturated-activation", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("left_1", "left_2", "left_3"),
    level=0.6,
)
family.pair(
    "restarts",
    _restarts,
    sickness="each-peak-three-times-the-last",
    sick={"peak": 3.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
