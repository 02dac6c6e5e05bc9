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

    That is so where a method that reads an attribute of that name compares anything by ``is``, but for constants, or
    asks for its type or id. Classes of Keras do not.
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
    return any(attribute in part.co_names for part in parts) and any(
        _compares(part) or _asks(part, attribute) for part in parts
    )


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _nested(part)


def _compares(code: CodeType) -> bool:
    return any(
        one.opname == "IS_OP" and before.opname != "LOAD_CONST"  # None or True, which it is not
        for before, one in itertools.pairwise(dis.get_instructions(code))
    )


def _asks(code: CodeType, attribute: str) -> bool:
    steps = list(dis.get_instructions(code))
    return any(
        function.argval in _LOOKING and argument.opname.startswith("LOAD_FAST") and one.argval == attribute
        for function, argument, one in zip(steps, steps[1:], steps[2:], strict=False)
        if function.opname == "LOAD_GLOBAL"
    )
