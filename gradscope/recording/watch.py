"""Watch: diagnoses a run while it is being recorded, says each new finding once, and knows when to stop."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

from gradscope.diagnosis.verdict import Severity
from gradscope.errors import RecordingError
from gradscope.events.sample import Sample

__all__ = ["Watch"]

_FIRST_LOOK = 4
_GROWTH = 1.4  # between two looks the number of samples grows by this factor, so that all looks together stay cheap


class Watch:
    """Looks at the log now and then.

    It does so after 4 samples, then whenever there are 1.4 times as many, and at once when a sample holds an entry that
    is not finite.

    Args:
        say: whether to print a line when a finding of severity warning or error first appears.
        stop_on: names of rules, or their first words (``"nonfinite"``), whose findings of severity error end training.

    Raises:
        RecordingError: no rule is called so.
    """

    def __init__(self, *, say: bool, stop_on: Iterable[str]) -> None:
        self._say = say
        self._stop_on = _rules_called(stop_on)
        self._said: set[str] = set()
        self._samples = 0
        self._next_look = _FIRST_LOOK
        self.stop_reason: str | None = None
        """Why training is to end; None while it may go on."""

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to do."""
        return self._say or bool(self._stop_on)

    @property
    def may_stop(self) -> bool:
        """Whether a finding may end training."""
        return bool(self._stop_on)

    def sampled(self, log_dir: str, sample: Sample) -> None:
        """A sample was written to ``log_dir``: look at the log, if it is time to."""
        self._samples += 1
        if self._samples >= self._next_look or _is_nonfinite(sample):
            self._next_look = max(self._next_look, round(self._samples * _GROWTH))
            self._look(log_dir, sample.step)

    def _look(self, log_dir: str, step: int) -> None:
        from gradscope.configuration.here import diagnose_here
        from gradscope.events.reader import read_run

        for finding in diagnose_here(read_run(log_dir)).findings():
            if finding.severity < Severity.WARNING:
                continue
            if self._say and finding.pathology not in self._said:
                self._said.add(finding.pathology)
                sys.stdout.write(f"gradscope: step {step:,}: {finding.severity.label}: {finding.sentence}\n")
            if finding.rule in self._stop_on and finding.severity >= Severity.ERROR and self.stop_reason is None:
                self.stop_reason = f"{finding.title}: {finding.sentence}"


def _is_nonfinite(sample: Sample) -> bool:
    counts = np.nansum(sample.column("nan_count")) + np.nansum(sample.column("inf_count"))
    return bool(counts) or not np.isfinite(sample.step_statistics.get("loss", 0.0))


def _rules_called(names: Iterable[str]) -> frozenset[str]:
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        return frozenset()
    from gradscope.diagnosis.rules import all_rules

    known = [rule.name for rule in all_rules()]
    found = set()
    for name in wanted:
        matches = [rule for rule in known if rule == name or rule.startswith(f"{name}-")]
        if not matches:
            raise RecordingError(f"stop_on={name!r}: no rule is called so; the rules are {', '.join(known)}")
        found.update(matches)
    return frozenset(found)
