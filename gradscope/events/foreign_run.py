"""From what another tool logged to a `Run`, as far as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from gradscope.events.alignment import aligned, chosen_steps, rows_of
from gradscope.events.buckets import COLUMNS
from gradscope.events.columns import Series
from gradscope.events.foreign import ForeignLog
from gradscope.events.foreign_card import model_card, owning_layers
from gradscope.events.foreign_histograms import read_foreign_histograms
from gradscope.events.mapping import Meaning, variable_name
from gradscope.run import Damage, HistogramTable, Run, TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = ["foreign_run"]

_MOST_CELLS = 2_000_000  # steps x tensors: 180 MB
_PER_VARIABLE = ("weight", "gradient", "clipped_gradient", "update")
_ESTIMATED = (
    "mean, std, rms and norm are estimated from 30 buckets, off by at most 1/30 of the tensor's range; "
    "zeros are counted where the buckets tell them"
)


@dataclass(frozen=True, eq=False)
class _Source:
    """One tag that fills columns of a tensor."""

    tag: str
    key: TensorKey
    statistic: str
    """Empty for a histogram, which fills many columns."""
    series: Series


def foreign_run(path: str, log: ForeignLog, files: Sequence[str]) -> Run | None:
    """The run, or None where the log holds neither tensors nor a gradient norm.

    Kinds are told from the tags (`gradscope.events.mapping`); a histogram beside its gradient is a weight. The order of
    the layers is that in which they were logged first. Steps are those of the tensors; a statistic of the step is the
    latest not after it, or the first since the step before that is not finite. `Run.damage` holds what was superseded.
    """
    scalars, histograms, superseded = log.series()
    sources = _sources(log, scalars, histograms)
    progress = _progress(log, scalars)
    axis = [source.series for source in sources]
    if not axis and "global_gradient_norm" in progress:
        axis = [progress["global_gradient_norm"]]
    if not axis:
        return None
    tensors = tuple(dict.fromkeys(source.key for source in sources))
    first = axis[0].steps
    all_steps = np.unique(np.concatenate([first, *(s.steps for s in axis if not np.array_equal(s.steps, first))]))
    most = _MOST_CELLS // max(len(tensors), 1)
    steps = chosen_steps(all_steps, most, _flaws(sources, progress, all_steps))
    values = _values(steps, tensors, sources)
    return Run(
        path=path,
        steps=steps,
        tensors=tensors,
        values=values,
        step_statistics={name: aligned(series, steps) for name, series in progress.items()},
        model=model_card(tensors, values, log.keras_model),
        wall_times=_wall_times(steps, axis),
        damage=tuple(Damage(files[file], _superseded(count)) for file, count in superseded.items()),
        trouble=tuple(_notes(log, tensors, all_steps, steps)),
        estimated=_ESTIMATED if log.estimated else "",
        load_histograms=_histograms(files, sources, steps),
    )


def _sources(log: ForeignLog, scalars: Mapping[int, Series], histograms: Mapping[int, Series]) -> list[_Source]:
    """What fills the tensors, in the order of the tags' first appearance."""
    found: dict[int, tuple[Meaning, Series]] = {}
    for number, series in [*scalars.items(), *histograms.items()]:
        known = log.tags[number].meaning
        if known is not None and known.kind:
            found[number] = (known, series)
    gradients = {known.name for known, _ in found.values() if known.kind == "gradient"}
    for number, series in histograms.items():
        name = variable_name(log.tags[number].name)
        if number not in found and log.tags[number].meaning is None and name in gradients:
            found[number] = (Meaning("weight", name, "", ""), series)
    ordered = [(log.tags[number].name, *found[number]) for number in sorted(found)]
    layers = owning_layers([known.name for _, known, _ in ordered if known.kind in _PER_VARIABLE])
    _join(layers, {known.name for _, known, _ in ordered if known.kind not in _PER_VARIABLE})
    return [
        _Source(
            tag,
            TensorKey(known.kind, known.name, known.layer or layers.get(known.name, known.name)),
            known.statistic,
            series,
        )
        for tag, known, series in ordered
    ]


def _histograms(
    files: Sequence[str], sources: Sequence[_Source], steps: npt.NDArray[np.int64]
) -> Callable[[], HistogramTable]:
    logged = [source for source in sources if not source.statistic]
    tensors = {source.tag: source.key for source in logged}
    at = np.concatenate([steps[:0], *(source.series.steps for source in logged)])
    return partial(read_foreign_histograms, files, tensors, steps[np.isin(steps, at)])


def _join(layers: dict[str, str], activations: set[str]) -> None:
    """Where activations are logged as ``dense`` and variables as ``model/dense/kernel``, it is one layer."""
    for variable, layer in layers.items():
        leaf = layer.rpartition("/")[2]
        if layer not in activations and leaf in activations:
            layers[variable] = leaf


def _progress(log: ForeignLog, scalars: Mapping[int, Series]) -> dict[str, Series]:
    """The statistics of the step; of several tags for one, such as per batch and per epoch, that with most records."""
    chosen: dict[str, Series] = {}
    for number, series in scalars.items():
        known = log.tags[number].meaning
        if known is not None and not known.kind:
            best = chosen.get(known.statistic)
            if best is None or len(series.steps) > len(best.steps):
                chosen[known.statistic] = series
    return chosen


def _values(
    steps: npt.NDArray[np.int64], tensors: tuple[TensorKey, ...], sources: Sequence[_Source]
) -> npt.NDArray[np.float32]:
    # Series are written and judged one by one, so that is how they lie in memory.
    values = np.full((len(tensors), len(STATISTIC_NAMES), len(steps)), np.nan, np.float32)
    row_of = {key: row for row, key in enumerate(tensors)}
    columns = [STATISTIC_NAMES.index(name) for name in COLUMNS]
    count, rms, norm = (STATISTIC_NAMES.index(name) for name in ("count", "rms", "norm"))
    for source in sources:
        mine = values[row_of[source.key]]
        places, records = rows_of(source.series, steps)
        if source.statistic:
            mine[STATISTIC_NAMES.index(source.statistic), places] = source.series.numbers[records, 0]
            continue
        for column, numbers in zip(columns, source.series.numbers[records].T, strict=True):
            mine[column, places] = numbers
        with np.errstate(invalid="ignore"):  # no entries of infinite size, in a damaged log
            mine[norm, places] = mine[rms, places] * np.sqrt(mine[count, places])
    return values.transpose(2, 0, 1)


def _flaws(sources: Sequence[_Source], progress: Mapping[str, Series], steps: npt.NDArray[np.int64]) -> list[int]:
    """The first step at which each series is not finite: these must not be thinned out."""
    found = []
    columns = [COLUMNS.index("nan_count"), COLUMNS.index("inf_count")]
    for source in sources:
        numbers = source.series.numbers
        bad = ~np.isfinite(numbers[:, 0]) if source.statistic else numbers[:, columns].any(axis=1)
        if bad.any():
            found.append(int(source.series.steps[np.argmax(bad)]))
    for series in progress.values():
        bad = ~np.isfinite(series.numbers[:, 0])
        if bad.any():
            place = int(np.searchsorted(steps, series.steps[np.argmax(bad)]))
            found.append(int(steps[min(place, len(steps) - 1)]))
    return found


def _wall_times(steps: npt.NDArray[np.int64], axis: Sequence[Series]) -> npt.NDArray[np.float64]:
    times = np.zeros(len(steps))
    for series in axis:
        places, records = rows_of(series, steps)
        times[places] = np.maximum(times[places], series.wall_times[records])
    return times


def _superseded(count: int) -> str:
    return f"supersedes {count} record{'s' * (count > 1)} of the same or later steps before it"


def _notes(
    log: ForeignLog, tensors: tuple[TensorKey, ...], before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]
) -> Iterator[str]:
    kinds = {key.kind for key in tensors}
    lacking = [f"{word}s" for word in ("weight", "gradient", "activation", "update") if word not in kinds]
    yield (
        f"logged by another tool without {' and '.join(filter(None, (', '.join(lacking[:-1]), *lacking[-1:])))}; "
        "record with gradscope.Recorder to have all rules judge"
        if lacking
        else "logged by another tool; record with gradscope.Recorder to have all rules judge"
    )
    if log.estimated:
        yield _ESTIMATED
    if len(after) < len(before):
        yield f"of {len(before):,} logged steps {len(after):,} were judged, evenly spread, to bound the memory"
    known = {key.name for key in tensors}
    strange = [
        tag.name for tag in log.tags if tag.histogram and not tag.meaning and variable_name(tag.name) not in known
    ]
    if strange:
        yield (
            f"{len(strange)} histogram tag{'s' * (len(strange) > 1)} of unknown meaning, such as "
            f"{', '.join(strange[:3])}; map them under [[tags]] in gradscope.toml"
        )
    for reason, count in log.left_out.items():
        yield f"{count:,} records were left out: {reason}"
