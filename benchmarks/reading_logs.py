"""Event files as other tools write them, in any size: the fields they set, in their order, made without those tools."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from gradscope.events.frames import frame
from gradscope.events.sample import Sample
from gradscope.events.summaries import array_value, metadata
from gradscope.events.writer import EventWriter
from gradscope.histograms import BUCKETS
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

LAYERS = 60
_PLUGIN = {"histograms": metadata("histograms"), "scalars": metadata("scalars")}
for _about in _PLUGIN.values():
    _about.ClearField("data_class")  # TensorFlow leaves it out


def _histogram(random: np.random.Generator, scale: float) -> np.ndarray:
    edges = np.linspace(-scale, scale, 31)
    bell = np.exp(-(np.linspace(-3, 3, 30) ** 2))
    counts = random.multinomial(10_000, bell / bell.sum())
    return np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)


def _scalar_records(step: int, random: np.random.Generator) -> Iterator[Event]:
    for name in ("loss", "learning_rate", "metric_a", "metric_b", "metric_c", "metric_d"):
        value = array_value(f"train/{name}", np.float32(random.random()), _PLUGIN["scalars"])
        yield Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value]))


def v2_events(steps: range, every: int, tag: Callable[[str, int], str]) -> Iterator[Event]:
    """``tf.summary`` v2, which Keras' callback uses: 30 buckets, float64 ``[30, 3]``, one value a record."""
    random = np.random.default_rng(0)
    pool = [_histogram(random, 10.0 ** -random.uniform(0, 4)) for _ in range(64)]
    turn = itertools.cycle(pool)
    for step in steps:
        yield from _scalar_records(step, random)
        if step % every == 0:
            for kind, layer in itertools.product(("weight", "gradient", "activation"), range(LAYERS)):
                value = array_value(tag(kind, layer), next(turn), _PLUGIN["histograms"])
                yield Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value]))


def v2_tag(kind: str, layer: int) -> str:
    """Tags of a training loop that logs its gradients and activations."""
    return {
        "weight": "weights/dense_%d/kernel",
        "gradient": "grads/dense_%d/kernel",
        "activation": "activations/dense_%d",
    }[kind] % layer


def keras_tag(kind: str, layer: int) -> str:
    """Tags of Keras' callback, which logs weights only."""
    return f"dense_{layer}/{ {'weight': 'kernel', 'gradient': 'bias', 'activation': 'gamma'}[kind] }/histogram"


def _proto(random: np.random.Generator, buckets: int) -> HistogramProto:
    limits = np.sort(random.normal(0, 1, buckets))
    counts = random.integers(0, 9, buckets).astype(float)
    return HistogramProto(
        min=limits[0], max=limits[-1], num=counts.sum(), sum=0.1, sum_squares=1.0, bucket_limit=limits, bucket=counts
    )


def v1_events(steps: range) -> Iterator[Event]:
    """TensorFlow 1: ``merge_all`` gives one record of 180 histograms, each of 128 buckets."""
    random = np.random.default_rng(0)
    pool = itertools.cycle([_proto(random, 128) for _ in range(37)])
    for step in steps:
        values = [Summary.Value(tag="loss", simple_value=1.0)]
        for layer in range(LAYERS):
            name = f"layer_{layer}/W_0"
            values += [Summary.Value(tag=name, histo=next(pool)), Summary.Value(tag=f"{name}_grad", histo=next(pool))]
            values.append(Summary.Value(tag=f"layer_{layer}/b_0", histo=next(pool)))
        yield Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=values))


def torch_events(steps: range) -> Iterator[Event]:
    """PyTorch's SummaryWriter: one histogram of some 600 buckets a record."""
    random = np.random.default_rng(0)
    pool = itertools.cycle([_proto(random, int(random.integers(560, 640))) for _ in range(37)])
    for step in steps:
        yield Event(
            wall_time=1.7e9 + step, step=step, summary=Summary(value=[Summary.Value(tag="loss", simple_value=1.0)])
        )
        for layer, name in itertools.product(range(LAYERS), ("weight", "weight.grad", "bias")):
            value = Summary.Value(tag=f"layers.{layer}.{name}", histo=next(pool))
            yield Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value]))


def write_events(directory: Path, events: Iterator[Event]) -> None:
    """One event file of these events."""
    directory.mkdir(parents=True)
    with (directory / "events.out.tfevents.1700000000.host").open("wb", buffering=1 << 20) as stream:
        stream.write(frame(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString()))
        for event in events:
            stream.write(frame(event.SerializeToString()))


def write_own(directory: Path, steps: range, histograms_every: int) -> None:
    """What `gradscope.Recorder` writes of as many tensors: packed statistics, histograms now and then."""
    random = np.random.default_rng(0)
    tensors = tuple(
        TensorKey(kind, f"dense_{layer}/kernel" if kind != "activation" else f"dense_{layer}", f"dense_{layer}")
        for kind in ("weight", "gradient", "activation")
        for layer in range(LAYERS)
    )
    counts = np.zeros((len(tensors), BUCKETS), np.int64)
    counts[:, 460:500] = random.integers(1, 500, (len(tensors), 40))
    with EventWriter(directory) as writer:
        for step in steps:
            values = random.random((len(tensors), len(STATISTIC_NAMES)), np.float32)
            values[:, STATISTIC_NAMES.index("nan_count")] = values[:, STATISTIC_NAMES.index("inf_count")] = 0
            histograms = counts if step % histograms_every == 0 else None
            writer.write_sample(Sample(step, 1.7e9 + step, tensors, values, {"loss": 1.0}, histograms))


SHAPES: dict[str, Callable[[Path, int], None]] = {
    "v2": lambda path, mb: write_events(path, v2_events(range(int(6.8 * mb)), 1, v2_tag)),
    "keras": lambda path, mb: write_events(path, v2_events(range(int(6.8 * mb)), 1, keras_tag)),
    "v1": lambda path, mb: write_events(path, v1_events(range(int(2.6 * mb)))),
    "torch": lambda path, mb: write_events(path, torch_events(range(int(0.57 * mb)))),
    "own": lambda path, mb: write_own(path, range(int(6.8 * mb)), 100),
}
"""How to write a log of each shape into a directory, of about so many megabytes; ``own`` has the steps of ``v2``."""
