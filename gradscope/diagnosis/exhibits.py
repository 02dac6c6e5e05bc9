"""Exhibits: any piece of evidence as rows of numbers, whatever dataclass it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.loss_terms import LossTerm
from gradscope.diagnosis.evidence.window import Window, median
from gradscope.run import Run

__all__ = ["Exhibit", "exhibit_series", "exhibits_of"]


@dataclass(frozen=True)
class Exhibit:
    """One number of the evidence, or one series with its levels; NaN where unknown or where there is no series."""

    evidence: str
    """Name of the piece of evidence: ``flow``; for what is read from the run itself the kind of tensor."""
    where: str
    """Layer or variable; empty for the network as a whole."""
    quantity: str
    late: float
    """The number (a bool where it is an answer), or the median over the late samples."""
    early: float = float("nan")
    least: float = float("nan")
    greatest: float = float("nan")
    """Least and greatest are over the samples before the first that is not finite."""

    @property
    def levels(self) -> Mapping[str, float]:
        """The numbers under their names."""
        if np.isnan([self.early, self.least, self.greatest]).all():
            return {"": self.late}
        return {"late": self.late, "early": self.early, "least": self.least, "greatest": self.greatest}


def exhibits_of(name: str, evidence: Any, window: Window) -> Iterator[Exhibit]:
    """The numbers in a piece of evidence: those of its fields and properties, and of the dataclasses in it.

    Arrays ``[steps]`` become levels, arrays ``[steps, layers]`` one row per layer of the field ``layers``. Texts,
    layers, masks and what is private are left out, and of another piece of evidence the terms of the loss.
    """
    if isinstance(evidence, (Run, Window, Layer)):
        return
    if isinstance(evidence, Mapping):
        for key, value in evidence.items():
            yield from _of_value(name, str(key), "", value, window, ())
    elif isinstance(evidence, (tuple, list)):
        for entry in evidence:
            if is_dataclass(entry) and not isinstance(entry, Layer):
                yield from _of_fields(name, _label(entry), entry, window)
    elif is_dataclass(evidence):
        yield from _of_fields(name, "", evidence, window)
    else:
        yield from _of_value(name, "", "", evidence, window, ())


def exhibit_series(evidence: str, where: str, quantity: str, series: npt.ArrayLike, window: Window) -> Exhibit:
    """One series of shape ``[steps]``."""
    values = np.asarray(series)
    known = values[window.usable & np.isfinite(values)]
    least, greatest = (float(known.min()), float(known.max())) if len(known) else (float("nan"), float("nan"))
    return Exhibit(
        evidence, where, quantity, median(values[window.late]), median(values[window.early]), least, greatest
    )


def _of_fields(name: str, where: str, evidence: Any, window: Window) -> Iterator[Exhibit]:
    names = [field.name for field in fields(evidence)]
    names += [key for key, value in vars(type(evidence)).items() if isinstance(value, property)]
    columns = getattr(evidence, "layers", ())
    for key in names:
        if not key.startswith("_"):
            yield from _of_value(name, where, key, getattr(evidence, key), window, columns)


def _of_value(  # noqa: PLR0917  a table's row is what it is
    name: str, where: str, quantity: str, value: Any, window: Window, columns: Any
) -> Iterator[Exhibit]:
    steps = len(window.steps)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiu":
            return
        if value.shape == (steps,):
            yield exhibit_series(name, where, quantity, value, window)
        elif value.shape == (steps, len(columns)):
            for column, layer in enumerate(columns):
                yield exhibit_series(name, _label(layer), quantity, value[:, column], window)
    elif isinstance(value, (bool, np.bool_)):
        yield Exhibit(name, where, quantity, bool(value))
    elif isinstance(value, (int, float, np.number)):
        yield Exhibit(name, where, quantity, float(value))
    elif is_dataclass(value) and not isinstance(value, (Layer, LossTerm, Run, Window, type)):
        yield from _of_fields(f"{name}.{quantity}", where or _label(value), value, window)


def _label(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    name = getattr(entry, "name", None)
    return str(name) if name is not None else str(getattr(getattr(entry, "layer", None), "name", ""))
