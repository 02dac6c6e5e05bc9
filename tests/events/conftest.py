"""Real samples, measured on arrays with plain numpy, and the logs that the writer makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradscope.events.writer import EventWriter, Sample
from gradscope.histograms import BUCKETS, ZERO_BUCKET
from gradscope.model_card import LayerCard, ModelCard
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

CARD = ModelCard(layers=(LayerCard("dense", "Dense", 0),), settings={"optimizer": "SGD"})


def count(array):
    """The log-magnitude histogram of an array's finite entries."""
    finite = np.asarray(array, np.float32).ravel()
    finite = finite[np.isfinite(finite)]
    codes = (finite.view(np.uint32) >> 21).astype(np.int64)
    codes[finite == 0] = ZERO_BUCKET
    return np.bincount(codes, minlength=BUCKETS)


def measure(array):
    """A row of the statistics that plain arrays have."""
    flat = np.asarray(array, np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    known = {"count": flat.size, "nan_count": np.isnan(flat).sum(), "inf_count": np.isinf(flat).sum()}
    if len(finite):
        known |= {
            "mean": finite.mean(),
            "std": finite.std(),
            "rms": np.sqrt(np.mean(finite**2)),
            "norm": np.sqrt(np.sum(finite**2)),
            "min": finite.min(),
            "max": finite.max(),
            "zero_fraction": np.mean(flat == 0),
        }
    return [known.get(name, np.nan) for name in STATISTIC_NAMES]


def make_sample(step, arrays, *, histograms=True, **step_statistics):
    """A sample of ``{(kind, name): array}``; the layer is the first part of the name."""
    return Sample(
        step=step,
        wall_time=1_800_000_000.0 + step,
        tensors=tuple(TensorKey(kind, name, name.partition("/")[0]) for kind, name in arrays),
        values=np.array([measure(array) for array in arrays.values()], np.float32),
        step_statistics=step_statistics,
        histograms=np.stack([count(array) for array in arrays.values()]) if histograms else None,
    )


def two_layer_arrays(step, seed=0):
    """Weights, gradients and activations of two layers; half of the first activation is zero."""
    random = np.random.default_rng([seed, step])
    return {
        ("weight", "dense/kernel"): random.normal(0, 0.1, (8, 4)),
        ("gradient", "dense/kernel"): random.normal(0, 1e-5, (8, 4)),
        ("activation", "dense"): np.maximum(random.normal(0, 1, (16, 4)), 0),
        ("activation_gradient", "dense"): random.normal(0, 1e-4, (16, 4)),
        ("gradient", "output/kernel"): random.normal(0, 1e-1, (4, 2)),
        ("activation_gradient", "output"): random.normal(0, 1, (16, 2)),
    }


def write_log(directory, steps=range(0, 100, 10), seed=0):
    """A log of a two-layer model in ``directory``; the path of its event file."""
    with EventWriter(directory) as writer:
        writer.write_model_card(CARD, 0)
        for number, step in enumerate(steps):
            sample = make_sample(
                step, two_layer_arrays(step, seed), histograms=number % 5 == 0, loss=1 / (1 + step), learning_rate=0.01
            )
            writer.write_sample(sample)
    return Path(writer.path)


@pytest.fixture
def log(tmp_path):
    """An event file of ten steps, 0 to 90, alone in its directory."""
    return write_log(tmp_path / "run")


@pytest.fixture(name="count")
def _count():
    return count


@pytest.fixture(name="make_sample", scope="session")
def _make_sample():
    return make_sample


@pytest.fixture(name="two_layer_arrays")
def _two_layer_arrays():
    return two_layer_arrays


@pytest.fixture(name="write_log", scope="session")
def _write_log():
    return write_log


@pytest.fixture(name="card", scope="session")
def _card():
    return CARD
