"""A network trained before, its lower layers frozen; fine-tuning."""

from __future__ import annotations

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("transfer", half="think")


def _fine_tune(
    seed: int,
    *,
    freeze: str = "base",
    convolutional: bool = False,
    features: str = "right",
    optimizer: str = "Adam",
    rate: float = 1e-2,
    head_width: int = 32,
    steps: int = 240,
) -> Fit:
    """Learns to tell large digits from small ones, on what was learned by telling the first five apart."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x, kind = data.digits()
    x = x.reshape(-1, 8, 8, 1) if convolutional else x
    base = keras.Sequential([keras.Input(x.shape[1:])], name="base")
    if convolutional:
        base.add(layers.Conv2D(12, 3, activation="relu", name="conv"))
        base.add(layers.MaxPooling2D())
        base.add(layers.Flatten())
    else:
        base.add(layers.Dense(64, "relu", name="lower"))
    base.add(layers.Dense(32, "relu", name="upper"))
    before = keras.Sequential([base, layers.Dense(5)])
    before.compile(keras.optimizers.Adam(3e-3), cross_entropy())
    some = kind < 5
    before.fit(x[some], kind[some], epochs=6, batch_size=64, verbose=0)
    inputs = keras.Input(x.shape[1:])
    base.trainable = freeze == "none"
    h = base(inputs)
    h = layers.Dense(head_width, "relu", name="head_hidden")(h)
    model = keras.Model(inputs, layers.Dense(10, name="head")(h))
    if freeze == "all":
        for layer in model.layers:
            layer.trainable = False
    if features == "negative":  # as if pictures were centred about 127 that are already 0 to 1
        x = x - 127.0
    made = getattr(keras.optimizers, optimizer)(rate)
    return Fit(model, x, kind, made, cross_entropy(), skill.classes, steps=steps)


family.pair(
    "frozen-base",
    _fine_tune,
    sickness="everything-frozen",
    healthy={"rate": 1e-2},
    sick={"freeze": "all"},
    causes=["unchanged-weights", "disconnected-variable"],
    level=0.5,
)
family.pair(
    "frozen-convolutions",
    _fine_tune,
    sickness="preprocessed-twice",
    healthy={"convolutional": True, "rate": 1e-2},
    sick={"features": "negative"},
    causes=["badly-scaled-input", "dead-units"],
    layers=("input", "base/conv", "base/upper", "head_hidden", "base"),
    level=0.5,
)
family.pair(
    "tuned",
    _fine_tune,
    sickness="rate-destroys-what-was-learned",
    healthy={"freeze": "none", "rate": 1e-3, "steps": 300},
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "tuned-slowly",
    _fine_tune,
    sickness="rate-too-low",
    healthy={"freeze": "none", "convolutional": True, "rate": 2e-3},
    sick={"rate": 1e-7},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
