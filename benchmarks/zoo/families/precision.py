"""Mixed and low precision: float16 with and without loss scaling, bfloat16."""

from __future__ import annotations

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("precision", half="think")


def _low(
    seed: int,
    *,
    policy: str = "mixed_float16",
    scaled: bool = True,
    loss_weight: float = 1.0,
    softmax_in: str = "none",
    optimizer: str = "SGD",
    rate: float = 0.05,
    depth: int = 2,
    width: int = 64,
    source: str = "digits",
    scale: float = 1.0,
    logits: bool = True,
    steps: int = 240,
) -> Fit:
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    x, y = data.digits() if source == "digits" else data.blobs(seed)
    inputs = keras.Input((x.shape[1],))
    h = dense_stack(inputs, width, depth, activation="relu")
    dtype = "float32" if softmax_in == "none" else policy
    last = None if softmax_in == "none" else "softmax"
    model = keras.Model(inputs, keras.layers.Dense(int(y.max()) + 1, last, dtype=dtype, name="output")(h))
    made = getattr(keras.optimizers, optimizer)(rate)
    return Fit(
        model, x * scale, y, made, cross_entropy(from_logits=logits), skill.classes, steps=steps,
        compile_options={"auto_scale_loss": scaled, "loss_weights": [loss_weight]},
    )  # fmt: skip


family.pair(
    "digits-unscaled",
    _low,
    sickness="float16-without-loss-scaling",
    healthy={"loss_weight": 1e-6, "rate": 5e4},
    sick={"scaled": False},
    causes=["gradient-underflow", "disconnected-variable"],
    layers=("hidden_1", "hidden_2", "output"),
    level=0.6,
)
family.pair(
    "digits-bfloat16",
    _low,
    sickness="rate-too-low",
    healthy={"policy": "mixed_bfloat16"},
    sick={"rate": 1e-5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "digits-pure",
    _low,
    sickness="bfloat16-weights-round-updates-away",
    healthy={"policy": "mixed_bfloat16", "optimizer": "Adam", "rate": 5e-5, "steps": 400, "width": 256},
    sick={"policy": "bfloat16"},
    causes=["unchanged-weights", "update-ratio-out-of-range:too-small", "learning-rate-too-low", "gradient-underflow"],
    level=0.5,
)
family.pair(
    "blobs-overflow",
    _low,
    sickness="float16-overflows",
    healthy={"source": "blobs", "optimizer": "Adam", "rate": 1e-3},
    sick={"scale": 1e5},
    causes=["badly-scaled-input", "nonfinite-values"],
    layers=("input", "hidden_1", "hidden_2"),
    level=0.7,
)
family.pair(
    "digits-softmax",
    _low,
    sickness="softmax-twice",
    healthy={"rate": 0.05, "softmax_in": "policy", "logits": False},
    sick={"logits": True},
    causes=["mismatched-loss"],
    layers=("output",),
    level=0.6,
)
family.pair(
    "blobs-mixed",
    _low,
    sickness="rate-too-high",
    healthy={"source": "blobs", "optimizer": "Adam", "rate": 2e-3, "policy": "mixed_bfloat16"},
    sick={"rate": 3.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
