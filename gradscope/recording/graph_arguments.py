"""The arguments of GraphRecorder.observe: checked before training starts, with one clear line about what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gradscope.errors import RecordingError
from gradscope.recording.frameworks import tf

__all__ = ["current_graph", "names", "number", "pairs", "tensors"]


def current_graph() -> Any:
    """The default graph.

    Raises:
        RecordingError: the program runs eagerly here.
    """
    if tf.executing_eagerly():
        raise RecordingError(
            "observe was called eagerly: call it in the graph, `with graph.as_default():`, or use gradscope.Recorder"
        )
    return tf.compat.v1.get_default_graph()


def pairs(argument: str, value: Any, graph: Any) -> list[tuple[Any, Any]]:
    """(gradient, variable) pairs whose gradients are tensors of ``graph``, `tf.IndexedSlices` or None.

    Raises:
        RecordingError: they are anything else.
    """
    wanted = f"give {argument} as compute_gradients returns it, a list of (gradient, variable)"
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RecordingError(f"{argument} is of type {type(value).__name__}: {wanted}")
    for position, pair in enumerate(value):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise RecordingError(f"{argument}[{position}] is {_short(pair)}: {wanted}")
        gradient, variable = pair
        if not isinstance(variable, tf.Variable) or (tf.is_tensor(gradient) and isinstance(gradient, tf.Variable)):
            raise RecordingError(f"{argument}[{position}] has {_short(variable)} for a variable: {wanted}")
        if gradient is not None and not isinstance(gradient, tf.IndexedSlices):
            _check_tensor(f"the gradient {argument}[{position}]", gradient, graph)
    return [(gradient, variable) for gradient, variable in value]


def tensors(argument: str, value: Any, graph: Any, known: Collection[str] | None = None) -> dict[str, Any]:
    """Floating tensors of ``graph`` by name; integer ones pass, and are not measured.

    Raises:
        RecordingError: it is no mapping of names to tensors of that graph, or a name is not one of ``known``.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RecordingError(f"{argument} is of type {type(value).__name__}: give a dict of names and tensors")
    for name, tensor in value.items():
        if not isinstance(name, str) or not name:
            raise RecordingError(f"{argument} has the name {name!r}: give each tensor a name of at least one letter")
        _check_tensor(f"{argument}[{name!r}]", tensor, graph)
    if known is not None:
        names(argument, value, known)
    return dict(value)


def names(argument: str, value: Iterable[str], known: Collection[str]) -> list[str]:
    """Names that are among ``known``.

    Raises:
        RecordingError: one of them is not.
    """
    chosen = [value] if isinstance(value, str) else list(value)
    for name in chosen:
        if name not in known:
            raise RecordingError(
                f"{argument} has {name!r}, which is none of the activations: {', '.join(known) or 'none'}"
            )
    return chosen


def number(argument: str, value: Any, graph: Any) -> Any:
    """None, a number or a tensor of ``graph``.

    Raises:
        RecordingError: it is anything else.
    """
    if value is not None and not (isinstance(value, (int, float)) and argument != "loss"):
        _check_tensor(argument, value, graph)
    return value


def _check_tensor(what: str, value: Any, graph: Any) -> None:
    if not isinstance(value, tf.Tensor):
        raise RecordingError(f"{what} is {_short(value)}: give a tensor of the graph")
    if value.graph is not graph:
        raise RecordingError(f"{what} belongs to another graph than the one observe was called in: call it in that one")


def _short(value: Any) -> str:
    text = repr(value).splitlines()[0]
    return text if len(text) <= 60 else f"{text[:57]}…"
