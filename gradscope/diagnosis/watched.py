"""Limits and a run that note what is asked of them, so that any rule can be watched at work without code of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.diagnosis.rule import Rule
from gradscope.run import Run

__all__ = ["Asked", "WatchedRun", "watched_rule"]

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_COMPARISONS = {np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">="}


@dataclass(frozen=True, eq=False)
class Asked:
    """One question of a rule: ``values relation bound``."""

    limit: str
    """Name of the limit, or what was made of it: ``error_gradient_ratio / 100``."""
    bound: float
    relation: str
    """``<``, ``<=``, ``>`` or ``>=``, with the measured values on its left."""
    values: npt.NDArray[np.float64]
    """What was measured, without NaN; one entry for a single number, empty where it is unknown."""

    @property
    def held(self) -> int:
        """For how many of the values it is so."""
        compare = next(function for function, sign in _COMPARISONS.items() if sign == self.relation)
        return int(np.count_nonzero(compare(self.values, self.bound)))


def watched_rule(rule: Rule, asked: list[Asked]) -> Rule:
    """The same rule, whose limits append to ``asked`` whatever is compared with them."""
    limits = {limit.name: _WatchedLimit(limit.value, limit.name, asked) for limit in rule.limits()}
    return replace(rule, **limits)


class WatchedRun(Run):
    """The same run, which notes in ``seen`` the series that are read from it: (kind, name, statistic)."""

    seen: dict[tuple[str, str, str], None]

    def series(self, kind: str, name: str, statistic: str) -> npt.NDArray[np.floating]:
        """As `Run.series`."""
        self.seen[kind, name, statistic] = None
        return super().series(kind, name, statistic)

    @classmethod
    def of(cls, run: Run) -> WatchedRun:
        """Watch ``run``; series of the step are noted with an empty kind and name."""
        seen: dict[tuple[str, str, str], None] = {}
        values = {field.name: getattr(run, field.name) for field in fields(run)}
        watched = cls(**{**values, "step_statistics": _WatchedMapping(run.step_statistics, seen)})
        object.__setattr__(watched, "seen", seen)
        return watched


class _WatchedMapping(Mapping[str, Any]):
    def __init__(self, inner: Mapping[str, Any], seen: dict[tuple[str, str, str], None]) -> None:
        self._inner, self._seen = inner, seen

    def __getitem__(self, name: str) -> Any:
        value = self._inner[name]
        self._seen["", "", name] = None
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)


class _WatchedLimit(float):
    """A float that notes comparisons, by itself and inside numpy, and hands this on to its multiples."""

    def __new__(cls, value: float, name: str, asked: list[Asked]) -> _WatchedLimit:  # noqa: PYI034
        made = super().__new__(cls, value)
        made.name, made.asked = name, asked
        return made

    name: str
    asked: list[Asked]
    __hash__ = float.__hash__

    def __lt__(self, other: Any) -> Any:
        return self._note("<", other)

    def __le__(self, other: Any) -> Any:
        return self._note("<=", other)

    def __gt__(self, other: Any) -> Any:
        return self._note(">", other)

    def __ge__(self, other: Any) -> Any:
        return self._note(">=", other)

    def __mul__(self, factor: Any) -> Any:
        return self._made(float(self) * factor, f"{self.name} x {factor:.3g}")

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Any:
        return self._made(float(self) / divisor, f"{self.name} / {divisor:.3g}")

    def __rtruediv__(self, dividend: Any) -> Any:
        return self._made(dividend / float(self), f"{dividend:.3g} / {self.name}")

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [float(each) if isinstance(each, _WatchedLimit) else each for each in inputs]
        if function in _COMPARISONS and method == "__call__" and len(plain) == 2:
            relation = _COMPARISONS[function]
            left = inputs[0] is self
            self._append(_MIRRORED[relation] if left else relation, plain[1] if left else plain[0])
        return getattr(function, method)(*plain, **options)

    def _note(self, relation: str, other: Any) -> Any:
        """Of ``self relation other``, seen from the other side."""
        self._append(_MIRRORED[relation], other)
        compare = next(function for function, sign in _COMPARISONS.items() if sign == relation)
        return compare(float(self), other)

    def _append(self, relation: str, other: Any) -> None:
        values = np.asarray(other, dtype=np.float64).ravel()
        self.asked.append(Asked(self.name, float(self), relation, values[~np.isnan(values)]))

    def _made(self, value: Any, name: str) -> Any:
        return _WatchedLimit(value, name, self.asked) if isinstance(value, float) else value
