"""Hearing: calls of a method of any object of a class, told to whoever listens while a sampled step runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from gradscope.recording.frameworks import tf

__all__ = ["Hearing", "Listener"]

Listener = Callable[[Any, Sequence[Any], Mapping[str, Any]], Callable[[Any], None] | None]
"""Is told of a call before it happens: the object and the arguments. What it gives back is told what the call returned.
"""


class Hearing:
    """The calls of one method. The class is as it was when the last of those who listen has gone.

    Losses, tapes and optimizers of a step of one's own are objects that nobody hands over, so their class has to be
    watched.

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
        self._inherited = False

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
        self._inherited = self._method not in vars(self._owner)
        call = getattr(self._owner, self._method)

        def heard(itself: Any, *args: Any, **kwargs: Any) -> Any:
            endings = self._begin(itself, args, kwargs)
            value = call(itself, *args, **kwargs)
            self._end(endings, value)
            return value

        heard.__wrapped__ = call  # type: ignore[attr-defined]
        setattr(self._owner, self._method, heard)
        self._ours = heard

    def _leave(self) -> None:
        # Whoever has put something of their own in front meanwhile goes on calling ours, which then tells nobody.
        if getattr(self._owner, self._method) is not self._ours:
            return
        if self._inherited:
            delattr(self._owner, self._method)
        else:
            setattr(self._owner, self._method, self._ours.__wrapped__)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _begin(self, *call: Any) -> list[Callable[[Any], None]]:
        endings = [listener(*call) for listener in tuple(self._listeners)]
        return [ending for ending in endings if ending is not None]

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _end(self, endings: Sequence[Callable[[Any], None]], value: Any) -> None:
        for ending in endings:
            ending(value)
