"""Grids as bytes: a JSON header with names and steps, then the numbers; read by ``static/grids.js``.

    uint32 length of the header | header, padded with blanks to a multiple of 4 | numbers of all grids, row by row

Little-endian. Numbers are float32, or bfloat16 (the upper half of a float32, 2 to 3 digits), which halves a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.reports.html.densities import Density
from gradscope.reports.html.grids import Axis, Grid

__all__ = ["pack_densities", "pack_grids"]


def pack_grids(axis: Axis, grids: Iterable[Grid], *, half: bool = False) -> bytes:
    """Matrices that share an axis; with ``half`` in bfloat16."""
    grids = list(grids)
    about = [{"name": grid.name, "rows": list(grid.rows)} for grid in grids]
    return _packed(axis, about, [grid.values for grid in grids], half=half)


def pack_densities(axis: Axis, densities: Iterable[Density], *, half: bool = False) -> bytes:
    """Density plots that share an axis; with ``half`` in bfloat16."""
    densities = list(densities)
    about = [
        {
            "name": f"{item.kind}/{item.layer}",
            "rows": [item.layer],
            "low": item.low,
            "height": len(item.values),
            "nan_counts": item.nan_counts,
            "inf_counts": item.inf_counts,
        }
        for item in densities
    ]
    return _packed(axis, about, [item.values for item in densities], half=half)


def _packed(
    axis: Axis, about: Sequence[Mapping[str, Any]], values: list[npt.NDArray[np.float32]], *, half: bool
) -> bytes:
    header = {
        "dtype": "bfloat16" if half else "float32",
        "first": axis.first.tolist(),
        "last": axis.last.tolist(),
        "grids": about,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    numbers = b"".join(_bfloat16(item) if half else item.astype("<f4").tobytes() for item in values)
    return len(text).to_bytes(4, "little") + text + numbers


def _bfloat16(values: npt.NDArray[np.float32]) -> bytes:
    """The upper 16 bits of each number, rounded; NaN stays NaN, and the greatest finite ones stay finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    grows_infinite = (rounded & np.uint32(0x7FFFFFFF)) >= np.uint32(0x7F800000)
    return (np.where(grows_infinite, bits, rounded) >> np.uint32(16)).astype("<u2").tobytes()
