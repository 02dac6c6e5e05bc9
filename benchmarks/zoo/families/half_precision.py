"""Half precision: what sixteen bits round away."""

from __future__ import annotations

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("half_precision", half="think")


def _half(seed: int, *, epsilon: float = 1e-3) -> Fit:
    """All in float16, the weights and Adam's averages too."""
    keras.config.set_dtype_policy("float16")
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, spread=0.7)
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 32, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(5, name="output")(hidden))
    optimizer = keras.optimizers.Adam(3e-3, epsilon=epsilon)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=300)


family.pair(
    "all-half",
    _half,
    sickness="epsilon-rounds-to-zero",
    sick={"epsilon": 1e-8},
    causes=["nonfinite-values", "gradient-underflow"],
    level=0.7,
)
