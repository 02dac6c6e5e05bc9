"""Hearing: calls of a method of any object of a class, told to whoever listens while a sampled step runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["Hearing", "Listener"]

Listener = Callable[[Any, Any, Sequence[Any], Mapping[str, Any]], None]
"""Is told of a call: the object, what it returned, and the arguments."""


class Hearing:
    """The calls of one method. The class is as it was when the last of those who listen has gone.

    Losses and tapes of a step of one's own are objects that nobody hands over, so their class has to be watched.

    Args:
        owner: the class.
        method: its name there.
    """

    def __init__(self, owner: type, method: str) -> None:
        self._owner = owner
        self._method = method
        self._listeners: list[Listener] = []
        self._lock = Lock()
        self._ours: Any = None

    @contextmanager
    def by(self, listener: Listener) -> Iterator[None]:
        """While it is open, ``listener`` is told of each call."""
        with self._lock:
            self._listeners.append(listener)
            if len(self._listeners) == 1:
                self._watch()
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)
                if not self._listeners:
                    self._leave()

    def _watch(self) -> None:
        call = getattr(self._owner, self._method)

        def heard(itself: Any, *args: Any, **kwargs: Any) -> Any:
            value = call(itself, *args, **kwargs)
            self._tell(itself, value, args, kwargs)
            return value

        heard.__wrapped__ = call  # type: ignore[attr-defined]
        setattr(self._owner, self._method, heard)
        self._ours = heard

    def _leave(self) -> None:
        # Whoever has put something of their own in front meanwhile goes on calling ours, which then tells nobody.
        if getattr(self._owner, self._method) is self._ours:
            setattr(self._owner, self._method, self._ours.__wrapped__)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _tell(self, *call: Any) -> None:
        for listener in tuple(self._listeners):
            listener(*call)
