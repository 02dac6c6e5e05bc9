"""Which steps are sampled, and at which of those histograms are kept; the overhead budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gradscope.errors import RecordingError
from gradscope.recording.log_budget import LogBudget

__all__ = ["Clock", "Schedule"]

_ADVANCE_SECONDS = 0.25
"""What recording may take before it must keep to its share: a short run of a small network is still seen well."""


@dataclass
class Clock:
    """Keeps the time that training takes, and how much of it is recording.

    A step lasts from its beginning to that of the next one; pauses (validation, the end of an epoch) do not count.
    """

    training_seconds: float = 0.0
    recording_seconds: float = 0.0
    """Sampled steps beyond what plain ones take, the first one left out."""
    startup_seconds: float = 0.0
    """The first sampled step, in which the measuring function is traced, and its like after a change of the model."""
    plain_seconds: float = math.nan
    """What a step takes that is not sampled; a moving average."""
    _began: float = math.nan
    _was_sampled: bool = False

    def step_begins(self, now: float) -> None:
        """A step begins at ``now`` seconds."""
        duration = now - self._began
        if not math.isnan(duration):
            self.training_seconds += duration
            if not self._was_sampled:
                known = duration if math.isnan(self.plain_seconds) else self.plain_seconds
                self.plain_seconds = 0.9 * known + 0.1 * duration
        self._began, self._was_sampled = now, False

    def pause(self) -> None:
        """What follows is no training."""
        self._began = math.nan

    def sampled(self, seconds: float, *, first: bool) -> None:
        """The step that began last was sampled and took ``seconds``, recording included."""
        self._was_sampled = True
        extra = max(0.0, seconds - (0.0 if math.isnan(self.plain_seconds) else self.plain_seconds))
        if first:
            self.startup_seconds += extra
        else:
            self.recording_seconds += extra

    @property
    def overhead(self) -> float:
        """Share of the training time that went into recording, start-up left out of both; 0 before any training."""
        return self.recording_seconds / self.steady_seconds if self.steady_seconds > 0 else 0.0

    @property
    def steady_seconds(self) -> float:
        """The training time without start-up."""
        return max(0.0, self.training_seconds - self.startup_seconds)


@dataclass
class Schedule:
    """Decides, step by step, whether to sample.

    With ``every=n``: steps 0, n, 2n, … Without: steps 0, 1, 2, 4, 8, … always; steps between them, at intervals of an
    eighth of the step reached, as long as recording has taken no more than a quarter of a second or its share of the
    training time; beyond those, whatever the share allows, at intervals of at least a 250th of the step reached. So a
    run is sampled densely at first, where most of what will go wrong shows, and its log grows with the logarithm of its
    length; so it is again where training goes on under another optimizer. The last step of a training of known length
    is sampled too, if it makes up an eighth of all steps so far.

    Where that would make the log too large, samples are as far apart as its budget in bytes wants
    (`gradscope.recording.log_budget.LogBudget`). Steps 0, 1, 2, 4, 8, … and the last one may borrow from what is kept
    for later. With ``every`` only the histograms keep to the budget.

    Workers that train in step must sample the same steps, and their clocks differ: they keep ``in_step``, in which no
    clock has a say, and without ``every`` sample steps 0, 1, 2, 4, 8, … and at intervals of an eighth of the step
    reached: 44 of the first 1,000 steps, whatever the log takes; its histograms keep to the budget.

    Args:
        every: interval in steps, or None.
        overhead: share of the training time that recording may take, in (0, 1]; not used with ``every``.
        budget: what the log may take.

    Raises:
        RecordingError: ``every`` is not a positive whole number, or ``overhead`` not in (0, 1].
    """

    every: int | None = None
    overhead: float = 0.01
    budget: LogBudget = field(default_factory=LogBudget)
    clock: Clock = field(default_factory=Clock)
    in_step: bool = False
    _last: int = -1
    _origin: int = 0
    _next_histogram: int = 0

    def __post_init__(self) -> None:
        if self.every is not None and (isinstance(self.every, bool) or self.every != int(self.every) or self.every < 1):
            raise RecordingError(f"every={self.every!r}: give a whole number of steps >= 1, or None for the default")
        if not 0 < self.overhead <= 1:
            raise RecordingError(f"overhead={self.overhead!r}: give a share of the training time > 0 and <= 1")

    def samples(self, step: int, span: int = 1, *, ends: int = 0) -> bool:
        """Whether to sample the execution that starts at ``step`` and runs ``span`` steps.

        If it is the last one of a training, ``ends`` is the number of steps that had.
        """
        end = step + span - 1
        if self.every is not None:
            return end // self.every > (self._last // self.every if self._last >= 0 else -1)
        if self._last < 0:
            return True
        reached, interval = end - self._origin, end - self._last
        is_marked = self._last < self._origin or _octave(reached) > _octave(self._last - self._origin)
        if self.in_step:
            return is_marked or interval >= reached / 8
        # How it ended is told too; where many short trainings follow each other, not how each of them did.
        is_marked |= ends >= end / 8 > 0
        return (is_marked or self._has_time(interval, reached)) and self.budget.affords_sample(end, borrow=is_marked)

    def begin_anew(self, step: int) -> None:
        """From ``step`` on other rules hold (another optimizer): sample as if training began there.

        Where that comes again and again, only as often as a quarter of all steps so far have passed since.
        """
        if step - self._origin >= self._origin / 4:
            self._origin = step

    def _has_time(self, interval: int, reached: int) -> bool:
        """Whether time allows a sample when that step is reached, ``interval`` steps after the last one."""
        spent = self.clock.recording_seconds
        share = self.overhead * self.clock.steady_seconds
        if interval >= reached / 8:
            return spent <= max(share, _ADVANCE_SECONDS)
        return interval >= reached / 250 and spent <= share

    def sampled(self, step: int) -> None:
        """Note that ``step`` was sampled."""
        self._last = step
        self.budget.plan_sample()

    def keeps_histograms(self, step: int) -> bool:
        """Whether the sample at ``step`` keeps its histograms.

        Steps 0, 1, 2, 4, 8 do, then every eighth, and from 200 on at intervals of a 25th of the step reached: 26 of the
        first 200 steps, 125 of the first 10,000. Fewer where the budget of the log does not hold them.
        """
        if step < self._next_histogram or not self.budget.affords_histograms(step):
            return False
        self.budget.plan_histograms()
        self._next_histogram = step + max(1, min(step, 8), step // 25)
        return True


def _octave(step: int) -> int:
    """0 for step 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7, and so on."""
    return step.bit_length()
