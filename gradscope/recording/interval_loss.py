"""IntervalLoss: the mean loss since the previous sampled step, out of the running mean that Keras keeps anyway."""

from __future__ import annotations

from typing import Any

__all__ = ["IntervalLoss"]


class IntervalLoss:
    """Follows a model's own running mean of the loss, which is set back at the start of each epoch.

    It reads two numbers at sampled steps and at the end of an epoch, and nothing in between. A ``train_step`` of one's
    own may keep it in a `keras.metrics.Mean` of its own; where it keeps none nothing is known.
    """

    def __init__(self) -> None:
        self._before = (0.0, 0.0)
        """Sum of losses and their number, of the interval's part in earlier epochs."""
        self._seen = (0.0, 0.0)
        """What the running mean held when the interval began, or at the start of the epoch."""
        self._in_epoch = True
        self._tracker: Any = None

    def epoch_begins(self) -> None:
        """The running mean has been set back."""
        self._seen, self._in_epoch = (0.0, 0.0), True

    def epoch_ends(self, model: Any) -> None:
        """The running mean is about to be set back, by validation or by the next epoch."""
        if self._in_epoch:
            self._in_epoch = False
            self._before, self._seen = self._since(model), (0.0, 0.0)

    def read(self, model: Any, tracker: Any = None) -> float | None:
        """The mean loss since the last call; None if it is not known.

        Args:
            model: which Keras may keep it for.
            tracker: the `keras.metrics.Mean` that keeps it instead, if there is one.
        """
        self._tracker = tracker
        total, count = self._since(model)
        self._before, self._seen = (0.0, 0.0), self._running(model)
        return total / count if count > 0 else None

    def _since(self, model: Any) -> tuple[float, float]:
        total, count = self._running(model)
        # Set back in the middle of an epoch, by an evaluation that a callback makes: what came before is lost.
        seen = self._seen if count >= self._seen[1] else (0.0, 0.0)
        return self._before[0] + total - seen[0], self._before[1] + count - seen[1]

    def _running(self, model: Any) -> tuple[float, float]:
        tracker = self._tracker or getattr(model, "_loss_tracker", None)
        if tracker is None:
            return 0.0, 0.0
        return float(tracker.total.numpy()), float(tracker.count.numpy())
