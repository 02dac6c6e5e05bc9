"""LogBudget: keeps a log below a number of bytes, whatever one sample of the model takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gradscope.errors import RecordingError

__all__ = ["LogBudget"]

_HORIZON = 100_000
"""Steps after which all of the budget may be spent."""
_SHARES = {"samples": 0.45, "histograms": 0.5}
"""Parts of the budget; what is left is for the verdict at the end."""


@dataclass
class _Part:
    """What one part of the log may take, and takes. The training thread plans what the log's own thread writes."""

    limit: float
    spent: int = 0
    largest: int = 0
    planned: int = 0
    written: int = 0

    def affords_another(self, share: float) -> bool:
        return self.spent + (self.planned - self.written + 1) * self.largest <= self.limit * share

    def wrote(self, spent: int) -> None:
        self.largest = max(self.largest, spent - self.spent)
        self.spent = spent
        self.written += 1  # last: until then it counts as planned, and is not forgotten in between


@dataclass
class LogBudget:
    """Decides whether another sample still fits, by the bytes that those before it took.

    After n steps the log may have taken M ln(n + 2) / ln(100,002) of its M = ``max_bytes``: 0.45 of that for samples,
    half for their histograms, the rest is left for the verdict. So it is below M for the first 100,000 steps, however
    long the training will be and whatever the size of the model; beyond them each tenfold length adds a fifth of M.
    Where the schedule would take more, what is granted grows by 0.45 M / (11.5 n) a step (11.5 is ln 100,002), so that
    samples of b bytes are 11.5 n b / (0.45 M) steps apart: at a geometric spacing.

    Samples that may ``borrow`` have all that is granted for the 100,000 steps; the others wait until it is paid back.
    The size of what comes next is taken to be the largest so far. Until the first one is written nothing is known: the
    first few samples are always taken.

    Args:
        max_bytes: > 0, or None for a log of any size.

    Raises:
        RecordingError: ``max_bytes`` is not a number > 0.

    Example:
        >>> budget = LogBudget(1e6)
        >>> budget.plan_sample()
        >>> budget.wrote(400_000, histogram_bytes=0)
        >>> budget.affords_sample(1_000), budget.affords_sample(1_000, borrow=True)
        (False, False)
        >>> budget.affords_sample(10**9)
        True
    """

    max_bytes: float | None = 100e6
    _samples: _Part = field(init=False)
    _histograms: _Part = field(init=False)

    def __post_init__(self) -> None:
        """Check the limit and split it."""
        limit = math.inf if self.max_bytes is None else self.max_bytes
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
            raise RecordingError(f"max_log_bytes={self.max_bytes!r}: give a number of bytes > 0, or None for no limit")
        self._samples = _Part(_SHARES["samples"] * limit)
        self._histograms = _Part(_SHARES["histograms"] * limit)

    def affords_sample(self, step: int, *, borrow: bool = False) -> bool:
        """Whether a sample at ``step`` fits, its histograms left out."""
        share = _share(step)
        return self._samples.affords_another(max(1.0, share) if borrow else share)

    def affords_histograms(self, step: int) -> bool:
        """Whether the histograms of a sample at ``step`` fit."""
        return self._histograms.affords_another(_share(step))

    def plan_sample(self) -> None:
        """A sample will be written."""
        self._samples.planned += 1

    def plan_histograms(self) -> None:
        """The histograms of a sample will be written."""
        self._histograms.planned += 1

    def wrote(self, total_bytes: int, *, histogram_bytes: int) -> None:
        """A sample was written; the log now has so many bytes, so many of them in histograms."""
        if histogram_bytes > self._histograms.spent:
            self._histograms.wrote(histogram_bytes)
        self._samples.wrote(total_bytes - histogram_bytes)

    def is_exceeded(self, step: int) -> bool:
        """Whether the log takes more at ``step`` than it may, be it all that is granted for the 100,000 steps."""
        spent = self._samples.spent + self._histograms.spent
        return self.max_bytes is not None and spent > self.max_bytes * max(1.0, _share(step))


def _share(step: int) -> float:
    """Part of the budget that may be spent when ``step`` is over; 1 after 100,000 steps."""
    return math.log(step + 2) / math.log(_HORIZON + 2)
