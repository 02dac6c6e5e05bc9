"""Deep networks: thirty blocks with skips, norms left out, one layer used again and again."""

from __future__ import annotations

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("deep", half="think")


def _blocks(seed: int, *, together: str = "Add") -> Fit:
    """Thirty blocks, the last layer of each zero to begin with."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)
    inputs = keras.Input((2,))
    stream = keras.layers.Dense(24, name="stem")(inputs)
    for number in range(1, 31):
        branch = keras.layers.Dense(24, "relu", kernel_initializer="he_normal", name=f"inner_{number}")(stream)
        branch = keras.layers.Dense(24, kernel_initializer="zeros", name=f"outer_{number}")(branch)
        stream = getattr(keras.layers, together)()([stream, branch])
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(stream))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=300)


def _normalised(seed: int, *, norms: bool = True) -> Fit:
    """Twelve layers of sigmoids, which only their norms make passable."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(
        inputs, 48, 12,
        between=lambda number: [
            *([keras.layers.BatchNormalization(name=f"norm_{number}")] if norms else []),
            keras.layers.Activation("sigmoid", name=f"sigmoid_{number}"),
        ],
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(10, name="output")(hidden))
    return Fit(
        model, x, y, keras.optimizers.Adam(5e-3), cross_entropy(), skill.classes, steps=420, batch_size=64
    )  # fmt: skip


def _again(seed: int, *, gain: float = 1.0) -> Fit:
    """One layer, used ten times."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed)
    inputs = keras.Input((x.shape[1],))
    stream = keras.layers.Dense(32, name="stem")(inputs)
    orthogonal = keras.initializers.Orthogonal(gain)
    again = keras.layers.Dense(32, "leaky_relu", kernel_initializer=orthogonal, name="again")
    for _ in range(10):
        stream = again(stream)
    model = keras.Model(inputs, keras.layers.Dense(5, name="output")(stream))
    return Fit(model, x, y, keras.optimizers.SGD(0.02, momentum=0.9), cross_entropy(), skill.classes, steps=300)


family.pair(
    "sigmoids",
    _normalised,
    sickness="norms-left-out",
    sick={"norms": False},
    causes=["vanishing-gradient", "saturated-activation", "gain-mismatch:too-small"],
    layers=[f"{kind}_{number}" for kind in ("hidden", "sigmoid") for number in range(1, 13)],
    level=0.6,
)
family.pair(
    "again",
    _again,
    sickness="orthogonal-gain-of-3",
    sick={"gain": 3.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=("again",),
    level=0.6,
)
