"""GainProfile: what each layer does to signal and gradient, as a frame, as a table and as a sentence."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gradscope.diagnosis.verdict import Diagnosis
from gradscope.recording.jacobian import SingularValues
from gradscope.recording.outlook import Outlook
from gradscope.reports.page import Page
from gradscope.reports.wording import number, plain, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GainProfile", "LayerGains"]

_WIDTH = 100
_HEADINGS = ("layer", "forward", "backward", "effective", "mean σ", "min σ", "max σ", "condition")


@dataclass(frozen=True)
class LayerGains:
    """One call of one layer; NaN where something is not defined or not known."""

    layer: str
    """Path inside the model; ``@2`` stands behind the second call of a shared layer."""
    kind: str
    """Class name, e.g. ``Dense``."""
    forward_gain: float
    """Output rms / input rms, over the batch; about 1 keeps the signal. NaN for an input of whole numbers or zeros."""
    backward_gain: float
    """‖∂loss/∂input‖ / ‖∂loss/∂output‖, by way of this layer alone; about 1 keeps the gradient. Norms, because right
    initial weights keep the norm where a layer has more outputs than inputs. Where the loss is computed past a softmax
    or sigmoid, the gradient at its argument stands for that at the output."""
    effective_gain: float
    """fan_in · Var(w) · E[f'(z)²]: what the layer multiplies the variance of a small signal by (Glorot & Bengio 2010,
    equations 5 and 8). NaN without a kernel, and for a softmax."""
    jacobian: SingularValues

    @property
    def distance_from_one(self) -> float:
        """Absolute difference of ``effective_gain`` and 1."""
        return abs(self.effective_gain - 1.0)


@dataclass(frozen=True, eq=False)
class GainProfile:
    """What `gradscope.probe` found; ``print`` shows the sentence and a table, a notebook the same as HTML."""

    layers: tuple[LayerGains, ...]
    """In forward call order."""
    network: SingularValues
    """Of the Jacobian of the whole network, from its input to its output, a softmax included."""
    outlook: Outlook
    diagnosis: Diagnosis
    """What the rules say of the batch, taken as a run of one step; those that need training do not judge."""
    trouble: tuple[str, ...] = ()
    """What could not be measured, and why."""

    @property
    def sentence(self) -> str:
        """Whether the gradient will arrive: ``will vanish: 0.3 per layer over 12 layers ≈ 5.3e-07``."""
        return self.outlook.sentence

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per layer call in forward order; the index is the layer.

        Columns: ``kind``, ``forward_gain``, ``backward_gain``, ``effective_gain``, ``distance_from_one``, then of the
        Jacobian ``mean_singular_value`` with its standard error ``mean_singular_value_error``, ``rms_singular_value``,
        ``max_singular_value`` with ``max_singular_value_error``, ``min_singular_value``, ``condition_number`` and
        ``exact``; see `gradscope.recording.jacobian.SingularValues`.
        """
        import pandas as pd

        rows = [
            {
                "kind": row.kind,
                "forward_gain": row.forward_gain,
                "backward_gain": row.backward_gain,
                "effective_gain": row.effective_gain,
                "distance_from_one": row.distance_from_one,
                **_columns(row.jacobian),
            }
            for row in self.layers
        ]
        return pd.DataFrame(rows, index=pd.Index([row.layer for row in self.layers], name="layer"))

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, *, width: int = _WIDTH, color: bool | None = None) -> str:
        """The sentence and the table: forward, backward and effective gain, and singular values σ of the Jacobians.

        ``±`` is a standard error, ``≈`` marks what is estimated, ``≤`` and ``≥`` what is a bound.

        Args:
            width: columns.
            color: whether to colour; None: where standard output is a terminal and ``NO_COLOR`` is not set.

        Raises:
            MissingDependencyError: rich is not installed.
        """
        page = Page(width=width, color=color)
        page.paragraph((sentence(self.sentence), "bold"))
        page.gap()
        page.table(_HEADINGS, list(self._rows()))
        for line in self.trouble:
            page.item("-", sentence(line))
        return str(page)

    def to_markdown(self) -> str:
        """The same as Markdown."""
        rows = [_HEADINGS, ("---",) * len(_HEADINGS), *self._rows()]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows)
        return "\n\n".join([f"**{sentence(self.sentence)}**", table, *self.trouble])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in _HEADINGS)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in self._rows())
        notes = "".join(f"<p>{html.escape(line)}</p>" for line in self.trouble)
        return f"<p><b>{html.escape(sentence(self.sentence))}</b></p><table><tr>{head}</tr>{body}</table>{notes}"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for row in self.layers:
            gains = (row.forward_gain, row.backward_gain, row.effective_gain)
            yield (plain(row.layer), *map(_cell, gains), *_cells(row.jacobian))
        yield ("input → output", "", "", "", *_cells(self.network))


def _columns(jacobian: SingularValues) -> dict[str, Any]:
    return {
        "mean_singular_value": jacobian.mean,
        "mean_singular_value_error": jacobian.mean_error,
        "rms_singular_value": jacobian.rms,
        "max_singular_value": jacobian.largest,
        "max_singular_value_error": jacobian.largest_error,
        "min_singular_value": jacobian.smallest,
        "condition_number": jacobian.condition_number,
        "exact": jacobian.exact,
    }


def _cells(jacobian: SingularValues) -> tuple[str, str, str, str]:
    mean = _cell(jacobian.mean)
    if not mean:
        return "", "", "", ""
    error = f" ± {jacobian.mean_error:.1g}" if jacobian.mean_error >= jacobian.mean * 5e-4 else ""
    values = (jacobian.smallest, jacobian.largest, jacobian.condition_number)
    marks = ("", "", "") if jacobian.exact else ("≤ ", "≈ ", "≥ ")
    smallest, largest, condition = (f"{mark}{_cell(value)}" for mark, value in zip(marks, values, strict=True))
    return f"{mean}{error}", smallest, largest, condition


def _cell(value: float) -> str:
    return "" if value != value else number(value)  # noqa: PLR0124  NaN is the one that differs from itself
