"""gradscope tells why a TensorFlow network does not learn: which layer, since which step, why, and what to change.

Public names are imported when they are first used: reading and judging never import TensorFlow, and ``import
gradscope`` imports next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradscope._version import __version__ as __version__

if TYPE_CHECKING:
    from gradscope.comparison import compare as compare
    from gradscope.diagnosis.engine import diagnose as diagnose
    from gradscope.diagnosis.verdict import Cause as Cause
    from gradscope.diagnosis.verdict import Diagnosis as Diagnosis
    from gradscope.diagnosis.verdict import Finding as Finding
    from gradscope.diagnosis.verdict import Remedy as Remedy
    from gradscope.diagnosis.verdict import Severity as Severity
    from gradscope.diagnosis.verdict import Verdict as Verdict
    from gradscope.events.discovery import find_runs as find_runs
    from gradscope.events.reader import read_run as read_run
    from gradscope.fleet import check_all as check_all
    from gradscope.recording.gain_profile import GainProfile as GainProfile
    from gradscope.recording.gains_probe import probe as probe
    from gradscope.recording.recorder import Recorder as Recorder
    from gradscope.run import Run as Run

_HOME = {
    # record
    "Recorder": "gradscope.recording.recorder",
    # read
    "Run": "gradscope.run",
    "find_runs": "gradscope.events.discovery",
    "read_run": "gradscope.events.reader",
    # judge
    "diagnose": "gradscope.diagnosis.engine",
    "check_all": "gradscope.fleet",
    "compare": "gradscope.comparison",
    "Cause": "gradscope.diagnosis.verdict",
    "Diagnosis": "gradscope.diagnosis.verdict",
    "Finding": "gradscope.diagnosis.verdict",
    "Remedy": "gradscope.diagnosis.verdict",
    "Severity": "gradscope.diagnosis.verdict",
    "Verdict": "gradscope.diagnosis.verdict",
    # look at a network before it is trained
    "GainProfile": "gradscope.recording.gain_profile",
    "probe": "gradscope.recording.gains_probe",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604  the names of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gradscope' has no attribute {name!r}; its names are {', '.join(_HOME)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
