"""Everything gradscope raises on purpose.

    GradscopeError
    ├── RunError                 a log dir or file cannot be read as a run
    │   ├── RunNotFoundError       nothing there, or no event file in it
    │   ├── NotARunError           event files, but nothing gradscope can judge
    │   ├── UnreadableRunError     no permission, or not a single record could be read
    │   └── NewerFormatError       written by a newer gradscope
    ├── RuleError                a rule is malformed, or its name is unknown
    ├── RecordingError           a Recorder was given what it cannot use
    ├── ConfigurationError       gradscope.toml or [tool.gradscope] holds what cannot be used
    └── MissingDependencyError   an optional package is not installed

Each message is one line that says what was received, what is allowed and what to do next.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "GradscopeError",
    "MissingDependencyError",
    "NewerFormatError",
    "NotARunError",
    "RecordingError",
    "RuleError",
    "RunError",
    "RunNotFoundError",
    "UnreadableRunError",
]


class GradscopeError(Exception):
    """Base of all gradscope errors; the command line shows its text and exits with 2."""


class RunError(GradscopeError):
    """A log dir or event file cannot be read as a training run."""


class RunNotFoundError(RunError):
    """The path does not exist, or holds no event file."""


class NotARunError(RunError):
    """There are event files, but they hold nothing that gradscope can judge."""


class UnreadableRunError(RunError):
    """The files may not be opened, or hold no single valid record."""


class NewerFormatError(RunError):
    """The log was written in a format newer than this version of gradscope knows."""


class RuleError(GradscopeError):
    """A rule breaks the rule contract, or no rule has the name asked for."""


class RecordingError(GradscopeError):
    """A Recorder was created with arguments it cannot work with."""


class ConfigurationError(GradscopeError):
    """A configuration file cannot be read, or says what gradscope does not understand."""


class MissingDependencyError(GradscopeError, ImportError):
    """A package that this part of gradscope needs is not installed."""
