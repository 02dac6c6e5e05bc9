"""StandIn: what stands in a layer for its activation while a sampled step runs, as like it as can be."""

from __future__ import annotations

import dis
import inspect
import itertools
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

__all__ = ["StandIn", "tells_apart"]

_LOOKING = frozenset({"id", "isinstance", "issubclass", "type"})


class StandIn:
    """Calls another function in a function's place; else it is equal to it, and has its name and public attributes.

    Args:
        call: to call.
        function: to stand in for.
    """

    def __init__(self, call: Callable[..., Any], function: Callable[..., Any]) -> None:
        self._call = call
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._call(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return bool(self._function == other)

    def __hash__(self) -> int:
        return hash(self._function)

    def __getattr__(self, name: str) -> Any:
        # What autograph and TensorFlow keep in other attributes is about the function alone.
        if name.startswith("_") and name != "__name__":
            raise AttributeError(name)
        return getattr(self._function, name)


def tells_apart(owner: type, attribute: str) -> bool:
    """Whether code of a class may see by more than equality what stands in its instances' ``attribute``.

    That is so where a method that reads an attribute of that name compares anything by ``is``, but for None, or asks
    for a type or an id. Classes of Keras do not.
    """
    own = (
        base
        for base in owner.__mro__
        if base is not object and not base.__module__.startswith(("keras.", "tensorflow."))
    )
    return any(_looks(code, attribute) for base in own for member in vars(base).values() if (code := _code(member)))


def _code(member: Any) -> CodeType | None:
    for inside in ("fget", "__func__", "python_function"):
        member = getattr(member, inside, None) or member
    code = getattr(inspect.unwrap(member) if callable(member) else member, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _looks(code: CodeType, attribute: str) -> bool:
    parts = list(_nested(code))
    names = frozenset(name for part in parts for name in part.co_names)
    return attribute in names and (not _LOOKING.isdisjoint(names) or any(map(_compares, parts)))


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _nested(part)


def _compares(code: CodeType) -> bool:
    return any(
        one.opname == "IS_OP" and not (before.opname == "LOAD_CONST" and before.argval is None)
        for before, one in itertools.pairwise(dis.get_instructions(code))
    )
