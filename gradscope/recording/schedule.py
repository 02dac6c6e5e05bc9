"""Which steps are sampled, and at which of those histograms are kept."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.errors import RecordingError

__all__ = ["Schedule"]

_DENSE_STEPS = 10
_WIDEST_INTERVAL = 100


@dataclass
class Schedule:
    """Decides, step by step, whether to sample.

    With ``every=n``: steps 0, n, 2n, … Without: every step up to 10, then intervals that grow with the step (a tenth of
    it) to at most 100: 154 samples in a run of 10,000 steps, 64 of them in its first 1,000, where a network shows most
    of what will go wrong.

    Raises:
        RecordingError: ``every`` is not a positive whole number.
    """

    every: int | None = None
    _next_sample: int = 0
    _next_histogram: int = 0

    def __post_init__(self) -> None:
        if self.every is not None and (isinstance(self.every, bool) or self.every != int(self.every) or self.every < 1):
            raise RecordingError(f"every={self.every!r}: give a whole number of steps >= 1, or None for the default")

    def samples(self, step: int, span: int = 1) -> bool:
        """Whether to sample the execution that starts at ``step`` and runs ``span`` steps."""
        return step + span > self._next_sample

    def sampled(self, step: int) -> None:
        """Note that ``step`` was sampled."""
        if self.every is not None:
            self._next_sample = (step // self.every + 1) * self.every
        else:
            interval = max(1, min(step // 10, _WIDEST_INTERVAL)) if step >= _DENSE_STEPS else 1
            self._next_sample = step + interval

    def keeps_histograms(self, step: int) -> bool:
        """Whether the sample at ``step`` keeps its histograms: about 25 + 25 ln(steps / 25) of a run do."""
        if step < self._next_histogram:
            return False
        self._next_histogram = step + max(1, step // 25)
        return True
