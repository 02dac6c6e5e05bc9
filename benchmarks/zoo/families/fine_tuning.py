"""A trunk trained on other classes, frozen, and a new head for new ones."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("fine-tuning", half="think")


def _pretrained() -> Any:
    """Convolutions with a top of five probabilities, trained on the digits 0 to 4."""
    x, y = data.digits()
    x, y = x[y < 5].reshape(-1, 8, 8, 1), y[y < 5]
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(16, 3, activation="relu", name="base_conv_1")(inputs)
    maps = keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="base_conv_2")(maps)
    features = keras.layers.Dense(64, "relu", name="base_features")(keras.layers.Flatten()(maps))
    base = keras.Model(inputs, keras.layers.Dense(5, "softmax", name="base_top")(features))
    base.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    base.fit(x, y, epochs=10, batch_size=64, verbose=0)
    return base


def _new_classes(seed: int, *, include_top: bool = False) -> Fit:
    keras.utils.set_random_seed(seed)
    base = _pretrained()
    if not include_top:
        base = keras.Model(base.inputs, base.get_layer("base_features").output)
    base.trainable = False
    x, y = data.digits()
    x, y = x[y >= 5].reshape(-1, 8, 8, 1), y[y >= 5] - 5
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dropout(0.3, name="dropout")(base(inputs, training=False))
    hidden = keras.layers.Dense(32, "relu", name="head_1")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(5, name="head_2")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=300)


family.pair(
    "new-classes",
    _new_classes,
    sickness="top-of-the-old-classes-kept",
    sick={"include_top": True},
    causes=["misplaced-softmax", "saturated-activation"],
    level=0.7,
)
