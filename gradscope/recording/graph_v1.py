"""Recording TF1 graphs and sessions (``tf.compat.v1``).

`GraphRecorder` stands in for ``session.run`` in a loop, `GraphRecorderHook` goes into a `MonitoredSession`.
"""

from __future__ import annotations

from gradscope.recording.graph_hook import GraphRecorderHook
from gradscope.recording.graph_recorder import GraphRecorder

__all__ = ["GraphRecorder", "GraphRecorderHook"]
