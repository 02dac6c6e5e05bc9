"""Convolutional and residual networks on small pictures."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("pixels", half="think")


def _digit_pictures(count: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    x, y = data.digits()
    return x[:count].reshape(-1, 8, 8, 1), y[:count]


def _lenet(seed: int, *, rate: float = 2e-3) -> Fit:
    """Two convolutions, two layers of max pooling, half of the dense units dropped."""
    keras.utils.set_random_seed(seed)
    x, y = _digit_pictures()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            keras.layers.MaxPooling2D(name="pool_1"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2"),
            keras.layers.MaxPooling2D(name="pool_2"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(64, "relu", name="dense"),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(10, "softmax", name="output"),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, keras.optimizers.Adam(rate), loss, skill.classes, steps=320)


def _folders(seed: int, *, shuffle: bool = True) -> Fit:
    """Read folder by folder: the classes come one after another unless they are shuffled."""
    keras.utils.set_random_seed(seed)
    x, y = _digit_pictures()
    order = np.argsort(y, kind="stable")
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv_1")(inputs)
    maps = keras.layers.LayerNormalization(name="norm_1")(maps)
    maps = keras.layers.Activation("relu", name="relu_1")(maps)
    maps = keras.layers.Conv2D(24, 3, strides=2, activation="relu", name="conv_2")(maps)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(keras.layers.Flatten(name="flat")(maps)))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    options = {"shuffle": shuffle}
    return Fit(
        model, x[order], y[order], optimizer, cross_entropy(), skill.classes, steps=320, batch_size=25,
        fit_options=options,
    )  # fmt: skip


def _rescaling(seed: int, *, scale: float = 1.0) -> Fit:
    """Pixels come as 0 to 1; the first layer scales them once more, by 1 unless told otherwise."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed)
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Rescaling(scale, name="rescaling")(inputs)
    for number, filters in enumerate((8, 16, 16), 1):
        maps = keras.layers.Conv2D(filters, 3, padding="same", activation="elu", name=f"conv_{number}")(maps)
        maps = keras.layers.AveragePooling2D(2, name=f"pool_{number}")(maps)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(keras.layers.Flatten(name="flat")(maps)))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=400)


def _penalised(seed: int, *, penalty: float = 1e-4) -> Fit:
    """Every kernel is penalised by its squares."""
    keras.utils.set_random_seed(seed)
    x, y = _digit_pictures()
    l2 = keras.regularizers.L2(penalty)
    inputs = keras.Input((8, 8, 1))
    maps = inputs
    for number in (1, 2, 3):
        layer = keras.layers.Conv2D(
            16, 3, padding="same", activation="relu", kernel_regularizer=l2, name=f"conv_{number}"
        )
        maps = layer(maps)
    maps = keras.layers.MaxPooling2D(name="pool")(maps)
    maps = keras.layers.Flatten(name="flat")(maps)
    output = keras.layers.Dense(10, kernel_regularizer=l2, name="output")(maps)
    model = keras.Model(inputs, output)
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=300)


def _residual_tower(seed: int, *, last: str = "zeros") -> Fit:
    """Twenty-four residual blocks without normalisation; each branch ends in weights of zero."""
    keras.utils.set_random_seed(seed)
    x, y = _digit_pictures(768)
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(12, 3, strides=2, padding="same", name="stem")(inputs)
    for number in range(1, 25):
        branch = keras.layers.Activation("relu", name=f"relu_{number}")(maps)
        branch = keras.layers.Conv2D(
            12, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"block_{number}_a"
        )(branch)
        branch = keras.layers.Conv2D(12, 1, kernel_initializer=last, name=f"block_{number}_b")(branch)
        maps = keras.layers.Add(name=f"add_{number}")([maps, branch])
    maps = keras.layers.Flatten(name="flat")(maps)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(maps))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=200)


def _two_cameras(seed: int, *, right_dropped: float = 0.1) -> Fit:
    """Which of two pictures shows the greater digit; a tanh encoder for each camera, some of it dropped."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x, y = data.digits()
    left, right = draw.integers(0, len(x), (2, 1500))
    pictures = [x[left].reshape(-1, 8, 8, 1), x[right].reshape(-1, 8, 8, 1)]
    greater = (y[left] > y[right]).astype("i4")
    cameras, seen = [], []
    for side, dropped in (("left", 0.1), ("right", right_dropped)):
        cameras.append(keras.Input((8, 8, 1), name=side))
        maps = keras.layers.Conv2D(12, 3, strides=2, activation="tanh", name=f"{side}_conv")(cameras[-1])
        maps = keras.layers.Flatten(name=f"{side}_flat")(maps)
        maps = keras.layers.Dense(32, "tanh", name=f"{side}_dense")(maps)
        seen.append(keras.layers.Dropout(dropped, name=f"{side}_dropout")(maps))
    both = keras.layers.Dense(32, "relu", name="both")(keras.layers.Concatenate(name="join")(seen))
    model = keras.Model(cameras, keras.layers.Dense(1, "sigmoid", name="output")(both))
    return Fit(
        model, pictures, greater, keras.optimizers.Adam(3e-3), "binary_crossentropy", skill.binary, steps=450
    )  # fmt: skip


family.pair(
    "lenet",
    _lenet,
    sickness="rate-of-a-tenth-with-adam",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.9,
)
family.pair(
    "folders",
    _folders,
    sickness="folder-by-folder",
    sick={"shuffle": False},
    causes=["unshuffled-batches"],
    level=0.9,
)
family.pair(
    "rescaling",
    _rescaling,
    sickness="rescaled-a-second-time",
    sick={"scale": 1 / 255},
    causes=["badly-scaled-input"],
    level=0.8,
)
family.pair(
    "penalised",
    _penalised,
    sickness="penalty-of-a-tenth",
    sick={"penalty": 0.1},
    causes=["shrunken-weights"],
    level=0.9,
)
family.pair(
    "residual-tower",
    _residual_tower,
    sickness="branches-end-in-he-normal",
    sick={"last": "he_normal"},
    causes=["exploding-gradient", "gain-mismatch:too-large"],
    level=0.85,
    every=1,
)
family.pair(
    "two-cameras",
    _two_cameras,
    sickness="second-camera-dropped-all-but-a-hundredth",
    sick={"right_dropped": 0.99},
    causes=["excessive-dropout"],
    layers=("right_dropout", "right_dense", "both"),
    level=0.75,
)
