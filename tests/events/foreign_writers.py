"""Event files as other tools write them, byte for byte: the fields they set, in their order."""

from __future__ import annotations

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from gradscope.events.frames import frame
from gradscope.events.summaries import array_value, metadata


def plugin(name):
    about = metadata(name)
    about.ClearField("data_class")
    return about


def scalar_v1(tag, number):
    return Summary.Value(tag=tag, simple_value=number)


def scalar_v2(tag, number):
    return array_value(tag, np.asarray(number, np.float32), plugin("scalars"))


def scalar_torch_new_style(tag, number):
    value = array_value(tag, np.asarray(number, np.float32), plugin("scalars"))
    value.tensor.ClearField("tensor_content")
    value.tensor.float_val.append(number)
    return value


def rows(array):
    """What tf.summary.histogram makes of an array: 30 buckets of equal width."""
    flat = np.asarray(array, np.float64).ravel()
    counts = np.zeros(30)
    if not np.isfinite(flat).all():
        edges = np.full(31, np.nan)
    elif flat.min() == flat.max():
        edges, counts[-1] = np.full(31, flat[0]), len(flat)
    else:
        counts, edges = np.histogram(flat, 30, (flat.min(), flat.max()))
    return np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)


def histogram_v2(tag, array):
    return array_value(tag, rows(array), plugin("histograms"))


def histogram_v1(tag, array):
    """HistogramProto, with the default buckets of TensorFlow 1 and PyTorch."""
    flat = np.asarray(array, np.float64).ravel()
    positive = 1e-12 * 1.1 ** np.arange(774)
    limits = np.concatenate([-positive[::-1], [0.0], positive, [np.finfo(float).max]])
    counts = np.bincount(np.searchsorted(limits, flat, side="right"), minlength=len(limits)).astype(float)
    used = np.flatnonzero(counts)
    span = slice(max(used[0] - 1, 0), used[-1] + 1)
    return Summary.Value(
        tag=tag,
        histo=HistogramProto(
            min=flat.min(),
            max=flat.max(),
            num=len(flat),
            sum=flat.sum(),
            sum_squares=(flat**2).sum(),
            bucket_limit=limits[span],
            bucket=counts[span],
        ),
    )


def records(values_by_step, *, one_event=False, wall_time=1.7e9):
    """The bytes of a file: ``{step: [values]}``, a record per value (TensorFlow 2) or per step (TensorFlow 1)."""
    events = [Event(wall_time=wall_time, file_version="brain.Event:2")]
    for step, values in values_by_step.items():
        groups = [values] if one_event else [[value] for value in values]
        events += [Event(wall_time=wall_time + step, step=step, summary=Summary(value=group)) for group in groups]
    return b"".join(frame(event.SerializeToString()) for event in events)


def write(directory, values_by_step, *, name="events.out.tfevents.1700000000.host", **options):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(records(values_by_step, **options))
    return path
