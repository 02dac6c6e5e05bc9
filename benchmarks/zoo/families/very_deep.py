"""Many layers on top of each other, with skips and without, as in the practicals of a lecture on deep learning."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("very-deep", half="think")


def _branches(seed: int, *, shortcut: float = 1.0) -> Fit:
    """Sixteen blocks of two layers each; what a block adds starts at zero."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    h = keras.layers.Dense(48, "relu", name="stem")(inputs)
    for number in range(1, 17):
        branch = keras.layers.LayerNormalization(name=f"norm_{number}")(h)
        branch = keras.layers.Dense(48, "relu", kernel_initializer="he_normal", name=f"widen_{number}")(branch)
        branch = keras.layers.Dense(48, kernel_initializer="zeros", name=f"add_{number}")(branch)
        if shortcut != 1.0:
            h = keras.layers.Rescaling(shortcut, name=f"shortcut_{number}")(h)
        h = keras.layers.Add(name=f"sum_{number}")([h, branch])
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(h))
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 230, warmup_target=2e-3, warmup_steps=30)
    return Fit(model, x, y, keras.optimizers.Adam(rate), cross_entropy(), skill.classes, steps=260, batch_size=64)


def _tanh(seed: int, *, kernel: str = "glorot_uniform") -> Fit:
    """Fifteen layers without a skip."""
    keras.utils.set_random_seed(seed)
    x, y = data.cancer()
    model = keras.Sequential([keras.Input((30,))])
    for number in range(1, 16):
        model.add(keras.layers.Dense(32, "tanh", kernel_initializer=kernel, name=f"hidden_{number}"))
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, data.standardised(x), y, optimizer, "binary_crossentropy", skill.binary, steps=250)


def _conv(h: Any, filters: int, name: str, strides: int = 1) -> Any:
    h = keras.layers.Conv2D(
        filters, 3, strides, "same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(h)
    return keras.layers.BatchNormalization(name=f"{name}_norm", momentum=0.9)(h)


def _resnet(seed: int, *, rate: float = 0.1) -> Fit:
    """The small residual network for pictures; its rate falls to 0."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((8, 8, 1))
    h = keras.layers.ReLU(name="stem_relu")(_conv(inputs, 12, "stem", 2))
    for number in (1, 2, 3):
        branch = keras.layers.ReLU(name=f"block_{number}_relu")(_conv(h, 12, f"block_{number}_a"))
        h = keras.layers.Add(name=f"block_{number}_sum")([h, _conv(branch, 12, f"block_{number}_b")])
        h = keras.layers.ReLU(name=f"block_{number}_out")(h)
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(keras.layers.GlobalAveragePooling2D()(h)))
    schedule = keras.optimizers.schedules.CosineDecay(rate, 280)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=5e-4)
    pictures = x.reshape(-1, 8, 8, 1)
    return Fit(model, pictures, y, optimizer, cross_entropy(), skill.classes, steps=280, batch_size=64)


def _bottlenecks(seed: int, *, rate: float = 1e-3) -> Fit:
    """Ten residual blocks that narrow and widen again, for a noisy measurement."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    inputs = keras.Input((6,))
    h = keras.layers.Dense(48, name="stem")(inputs)
    for number in range(1, 11):
        branch = keras.layers.BatchNormalization(name=f"norm_{number}")(h)
        branch = keras.layers.Dense(16, "gelu", name=f"narrow_{number}")(branch)
        branch = keras.layers.Dense(48, name=f"widen_{number}")(branch)
        h = keras.layers.Add(name=f"sum_{number}")([h, branch])
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(h))
    return Fit(model, x, y, keras.optimizers.RMSprop(rate), "mse", skill.fit_of, steps=350, batch_size=64)


family.pair(
    "branches",
    _branches,
    sickness="shortcuts-halved",
    sick={"shortcut": 0.5},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    level=0.9,
)
family.pair(
    "tanh",
    _tanh,
    sickness="truncated-normal-as-it-comes",
    sick={"kernel": "truncated_normal"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.85,
)
family.pair(
    "resnet",
    _resnet,
    sickness="rate-of-a-ten-thousandth",
    sick={"rate": 1e-4},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.85,
)
family.pair(
    "bottlenecks",
    _bottlenecks,
    sickness="rate-a-hundred-times-too-high",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
