"""Memory: the few runs that were looked at last, read and judged once as long as nothing is added to them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

from gradscope.configuration.here import diagnose_here
from gradscope.reports.html.description import ShownRun
from gradscope.reports.html.layers import ShownLayer, shown_layers
from gradscope.run import Run

__all__ = ["Judged", "Memory"]

_MOST_RUNS = 6


@dataclass(frozen=True, eq=False)
class Judged:
    """A run, and what is derived from it when first asked for."""

    run: Run

    @cached_property
    def layers(self) -> tuple[ShownLayer, ...]:
        """The rows of the view."""
        return shown_layers(self.run)

    @cached_property
    def shown(self) -> ShownRun:
        """The run beside its diagnosis, by the settings of the folder that TensorBoard was started in."""
        return ShownRun(self.run.path, self.run, diagnose_here(self.run))


class Memory:
    """Keeps at most six runs; TensorBoard's server asks from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[Hashable, tuple[str, Judged]] = OrderedDict()

    def get(self, key: Hashable, fingerprint: str, read: Callable[[], Run]) -> Judged:
        """The run of ``key`` in the state of ``fingerprint``; ``read`` is called where it is not at hand."""
        with self._lock:
            known = self._runs.get(key)
            if known is None or known[0] != fingerprint:
                known = (fingerprint, Judged(read()))
                self._runs[key] = known
            self._runs.move_to_end(key)
            while len(self._runs) > _MOST_RUNS:
                self._runs.popitem(last=False)
            return known[1]
