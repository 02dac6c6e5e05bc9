"""A number for each row of a table: prices, claims, yields."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.program import Family
from zoo.task import Fit

family = Family("estimates", half="think")


def _sequential(entries: int, widths: tuple[int, ...], activation: str, **options: Any) -> Any:
    model = keras.Sequential([keras.Input((entries,))])
    for number, width in enumerate(widths, 1):
        model.add(keras.layers.Dense(width, activation, name=f"hidden_{number}", **options))
    model.add(keras.layers.Dense(1, name="output"))
    return model


def _houses(seed: int, *, standardised: bool = True) -> Fit:
    """What houses cost, from their rooms, tax, year, distance and crime; the price is in 100,000s."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    rooms, tax = draw.normal(6, 1, 600), draw.uniform(180, 720, 600)
    year, distance = draw.integers(1890, 2020, 600), draw.uniform(1, 12, 600)
    crime = draw.exponential(3, 600)
    price = 0.8 * (rooms - 6) - (tax - 450) / 300 + np.cos((year - 1890) / 30) - 0.1 * (distance - 6) * (crime < 2)
    x = np.stack([rooms, tax, year, distance, crime], 1).astype("f4")
    x = data.standardised(x) if standardised else x
    y = (2.5 + price + draw.normal(0, 0.2, 600)).astype("f4")[:, None]
    model = _sequential(5, (64, 64), "tanh")
    return Fit(model, x, y, keras.optimizers.RMSprop(1e-3), "mse", skill.fit_of, steps=760)


def _claims(seed: int, *, offset: float = 1.0) -> Fit:
    """The logarithm of how many claims a customer makes, of which two fifths can be explained."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1200, 8)).astype("f4")
    claims = draw.poisson(np.exp(1.2 + 0.35 * x[:, 0] - 0.2 * x[:, 1] * x[:, 2]))
    with np.errstate(divide="ignore"):
        y = np.log(claims + offset).astype("f4")[:, None]
    model = _sequential(8, (32, 16), "relu")
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), "mse", skill.fit_of, steps=380)


def _yields(seed: int, *, weights: str = "glorot_uniform") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    model = _sequential(6, (40, 40), "relu", kernel_initializer=weights)
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), "mae", skill.fit_of, steps=640)


def _patients(seed: int, *, in_order: bool = False) -> Fit:
    """The table may come in the order of what is wanted, and is not shuffled again."""
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()
    y = (y - y.mean()) / y.std()
    order = np.argsort(y[:, 0], kind="stable") if in_order else np.random.default_rng(seed).permutation(len(y))
    model = _sequential(10, (32, 16), "relu")
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    return Fit(
        model, x[order], y[order], optimizer, "mse", skill.fit_of, steps=420, batch_size=16,
        fit_options={"shuffle": False},
    )  # fmt: skip


def _restarts(seed: int, *, factor: float = 1.0) -> Fit:
    """A cosine that starts anew twice; each start may be so many times the one before."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    schedule = keras.optimizers.schedules.CosineDecayRestarts(0.05, 200, t_mul=1.0, m_mul=factor)
    model = _sequential(6, (32, 32, 32), "relu")
    return Fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), "huber", skill.fit_of, steps=700)


def _yearly(seed: int, *, epsilon: float = 1e-7) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()
    model = _sequential(10, (24, 24), "gelu")
    optimizer = keras.optimizers.Adam(1e-3, epsilon=epsilon)
    return Fit(model, x, y / 100, optimizer, "mse", skill.fit_of, steps=560)


family.pair(
    "houses",
    _houses,
    sickness="tax-and-year-as-they-come",
    sick={"standardised": False},
    causes=["badly-scaled-input", "saturated-activation"],
    level=0.7,
)
family.pair(
    "claims",
    _claims,
    sickness="logarithm-of-no-claims",
    sick={"offset": 0.0},
    causes=["nonfinite-values"],
    level=0.1,
)
family.pair(
    "yields",
    _yields,
    sickness="ones",
    sick={"weights": "ones"},
    causes=["symmetric-weights", "gain-mismatch:too-large"],
    level=0.6,
)
family.pair(
    "patients",
    _patients,
    sickness="in-the-order-of-the-targets",
    sick={"in_order": True},
    causes=["unshuffled-batches"],
    level=0.4,
)
family.pair(
    "restarts",
    _restarts,
    sickness="each-start-thirty-times-the-last",
    sick={"factor": 30.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
    every=10,
)
family.pair(
    "yearly",
    _yearly,
    sickness="epsilon-of-1",
    sick={"epsilon": 1.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.3,
)
