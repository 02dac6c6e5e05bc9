"""The zoo: labelled training programs, in pairs of a sick one and a healthy twin that differs in one thing.

One file per family of networks. Importing the zoo imports no TensorFlow: labels are read where nothing is trained.
"""

from __future__ import annotations

import importlib
import pkgutil
from fnmatch import fnmatch

from zoo import families
from zoo.program import Program, registered

__all__ = ["Program", "programs"]


def programs(half: str = "all", pattern: str = "*") -> tuple[Program, ...]:
    """The programs of a half (``think``, ``test`` or ``all``) whose name matches, in a fixed order.

    Raises:
        SystemExit: nothing matches.
    """
    for module in sorted(pkgutil.iter_modules(families.__path__), key=lambda module: module.name):
        importlib.import_module(f"zoo.families.{module.name}")
    found = tuple(p for p in registered() if half in ("all", p.half) and fnmatch(p.name, pattern))
    if not found:
        raise SystemExit(f"no program of half {half!r} is named {pattern!r}; `--programs '*'` takes all")
    return found
