"""Run: what one training run recorded. The only thing that reading hands to judging and showing.

Numbers are kept as numpy columns; pandas is imported when a frame is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradscope.histograms import LogHistogram
from gradscope.model_card import ModelCard
from gradscope.vocabulary import STATISTIC_NAMES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Damage", "HistogramTable", "Run", "TensorKey"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, order=True)
class TensorKey:
    """Names one recorded tensor: its kind (`gradscope.vocabulary.KINDS`), its name and the layer it belongs to."""

    kind: str
    name: str
    layer: str


@dataclass(frozen=True)
class Damage:
    """Something of the log that could not be read."""

    file: str
    what: str
    """One sentence: where, how much, and which steps may be missing."""
    byte_count: int = 0


@dataclass(frozen=True)
class HistogramTable:
    """Packed histograms of one run, loaded on demand.

    ``entries`` is int64 ``[n, 4]``: (index into ``steps``, index into ``tensors``, bucket, count).
    """

    steps: npt.NDArray[np.int64]
    tensors: tuple[TensorKey, ...]
    entries: npt.NDArray[np.int64]


def _no_histograms() -> HistogramTable:
    return HistogramTable(np.zeros(0, np.int64), (), np.zeros((0, 4), np.int64))


@dataclass(frozen=True, eq=False)
class Run:
    """One recorded training run; frozen.

    Built by `gradscope.read_run`, or by hand from arrays.

    Example:
        >>> import numpy as np
        >>> from gradscope.run import Run, TensorKey
        >>> from gradscope.vocabulary import STATISTIC_NAMES
        >>> values = np.full((3, 1, len(STATISTIC_NAMES)), np.nan, np.float32)
        >>> values[:, 0, STATISTIC_NAMES.index("rms")] = [0.1, 0.2, 0.3]
        >>> run = Run("logs/x", np.array([0, 10, 20]), (TensorKey("gradient", "dense/kernel", "dense"),), values)
        >>> run.series("gradient", "dense/kernel", "rms").tolist()
        [0.10000000149011612, 0.20000000298023224, 0.30000001192092896]
    """

    path: str
    steps: npt.NDArray[np.int64]
    """Sampled optimizer steps, 0-based, strictly ascending, shape ``[steps]``."""
    tensors: tuple[TensorKey, ...]
    values: FloatArray
    """``[steps, tensors, statistics]``, columns as in `gradscope.vocabulary.STATISTIC_NAMES`; NaN: not recorded."""
    step_statistics: Mapping[str, FloatArray] = field(default_factory=dict)
    """``{name: [steps]}`` for those of `gradscope.vocabulary.STEP_STATISTICS` that were recorded."""
    model: ModelCard = field(default_factory=ModelCard)
    wall_times: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Seconds since the epoch, ``[steps]``; empty if unknown."""
    damage: tuple[Damage, ...] = ()
    """What could not be read."""
    trouble: tuple[str, ...] = ()
    """What the recorder said it could not record."""
    estimated: str = ""
    """Empty where all was measured; for another tool's log which statistics are estimates, and how good ones."""
    load_histograms: Callable[[], HistogramTable] = _no_histograms

    @property
    def settings(self) -> dict[str, Any]:
        """How the run was set up: optimizer, loss, dtype policy, versions, sampling."""
        return self.model.settings

    @cached_property
    def index(self) -> dict[tuple[str, str], int]:
        """``{(kind, name): row}`` into `tensors` and the second axis of `values`."""
        return {(key.kind, key.name): row for row, key in enumerate(self.tensors)}

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of the recorded tensors of that kind, in recorded (forward) order."""
        return tuple(key.name for key in self.tensors if key.kind == kind)

    def series(self, kind: str, name: str, statistic: str) -> FloatArray:
        """One statistic of one tensor over the sampled steps, shape ``[steps]``; all NaN if it was not recorded.

        Raises:
            ValueError: ``statistic`` is not in `gradscope.vocabulary.STATISTIC_NAMES`.
        """
        column = STATISTIC_NAMES.index(statistic)
        row = self.index.get((kind, name))
        if row is None:
            return np.full(len(self.steps), np.nan, dtype=np.float32)
        return self.values[:, row, column]

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """Tidy frame: one row per sampled step and recorded tensor.

        Columns: ``step``, ``kind``, ``name``, ``layer``, then the statistics. Rows that were not recorded are left out.
        """
        import pandas as pd

        steps, tensors = len(self.steps), len(self.tensors)
        frame = pd.DataFrame(
            {
                "step": np.repeat(self.steps, tensors),
                "kind": np.tile([key.kind for key in self.tensors], steps) if tensors else [],
                "name": np.tile([key.name for key in self.tensors], steps) if tensors else [],
                "layer": np.tile([key.layer for key in self.tensors], steps) if tensors else [],
            }
        )
        flat = self.values.reshape(steps * tensors, len(STATISTIC_NAMES))
        frame = pd.concat([frame, pd.DataFrame(flat, columns=list(STATISTIC_NAMES))], axis=1)
        return frame[frame["count"].notna()].reset_index(drop=True)

    @cached_property
    def progress(self) -> pd.DataFrame:
        """One row per sampled step: loss, learning rate, global gradient norm, …; the index is the step."""
        import pandas as pd

        return pd.DataFrame(dict(self.step_statistics), index=pd.Index(self.steps, name="step"))

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per layer in forward order: name, kind, activation, fans, shapes, trainable."""
        import pandas as pd

        rows = [
            {
                "name": layer.name,
                "kind": layer.kind,
                "depth": layer.depth,
                "activation": layer.activation.name if layer.activation else None,
                "fan_in": layer.fan_in,
                "fan_out": layer.fan_out,
                "units": layer.units,
                "output_shape": layer.output_shape,
                "is_output": layer.is_output,
                "trainable": layer.trainable,
            }
            for layer in self.model.layers
        ]
        return pd.DataFrame(rows)

    def pivot(self, column: str) -> pd.DataFrame:
        """A statistic of one kind as layers or variables x steps: ``run.pivot("gradient_rms")``.

        Args:
            column: ``<kind>_<statistic>``.

        Raises:
            ValueError: no such kind and statistic; the message names the kinds and statistics there are.
        """
        import pandas as pd

        kinds = {key.kind for key in self.tensors}
        for kind in sorted(kinds, key=len, reverse=True):
            statistic = column.removeprefix(f"{kind}_")
            if statistic != column and statistic in STATISTIC_NAMES:
                names = self.names(kind)
                rows = [self.series(kind, name, statistic) for name in names]
                return pd.DataFrame(rows, index=pd.Index(names, name=kind), columns=pd.Index(self.steps, name="step"))
        raise ValueError(
            f"no series {column!r}: give <kind>_<statistic> with a kind of {', '.join(sorted(kinds))} "
            f"and a statistic of {', '.join(STATISTIC_NAMES)}"
        )

    def _repr_html_(self) -> str:
        # The one place where a run looks up to how it is shown: a notebook asks the object itself.
        from gradscope.reports.html.notebook import run_as_html

        return run_as_html(self)

    @cached_property
    def histograms(self) -> HistogramTable:
        """All packed histograms; read from disk on first use."""
        return self.load_histograms()

    def histogram(self, kind: str, name: str, step: int) -> LogHistogram | None:
        """The histogram of one tensor at the newest recorded step not after ``step``; None if there is none.

        Histograms are recorded more rarely than statistics; ``run.histograms.steps`` lists their steps.
        """
        table = self.histograms
        position = int(np.searchsorted(table.steps, step, side="right")) - 1
        tensor = next((i for i, key in enumerate(table.tensors) if (key.kind, key.name) == (kind, name)), None)
        if position < 0 or tensor is None:
            return None
        mine = table.entries[(table.entries[:, 0] == position) & (table.entries[:, 1] == tensor)]
        counts = np.zeros(2048, np.int64)
        counts[mine[:, 2]] = mine[:, 3]
        return LogHistogram(counts) if len(mine) else None
