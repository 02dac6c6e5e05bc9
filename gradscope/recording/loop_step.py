"""The sampled form of a step of a loop of one's own, and of what such a step has a strategy run in each replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradscope.recording.frameworks import tf
from gradscope.recording.observer import Observer
from gradscope.recording.replicas import Observers

__all__ = ["loop_step", "strategy_of", "tap_strategy_run"]

_Step = Callable[..., Any]


def loop_step(own: Any, observer: Callable[[], Observer]) -> _Step:
    """The same step, measured; eager, or a `tf.function` with all its options.

    Args:
        own: the step as it is.
        observer: gives the one that is to observe, where the step runs.
    """
    compiled = isinstance(own, tf.types.experimental.PolymorphicFunction)
    function = own.python_function if compiled else own

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        observer().begin()
        observer().losses.loop_called(function, args, kwargs)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def end(outputs: Any) -> None:
        observer().end_step(outputs, trust=True)

    def sampled(*args: Any, **kwargs: Any) -> Any:
        begin(args, kwargs)
        outputs = function(*args, **kwargs)
        end(outputs)
        return outputs

    if not compiled:
        return sampled
    clone = own._clone(sampled)  # noqa: SLF001  the only way to keep all its options
    # As tf.function does: without it a strategy does not see that it is one.
    decorated: _Step = tf.__internal__.decorator.make_decorator(sampled, clone)
    return decorated


def strategy_of(model: Any) -> Any:
    """The strategy of several replicas that a model was made under, or None."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy if getattr(strategy, "num_replicas_in_sync", 1) > 1 else None


def tap_strategy_run(observers: Observers) -> Callable[[_Step], _Step]:
    """A tap on ``strategy.run``: what it runs is a step of each replica, and the step around it is none."""
    known: dict[Any, _Step] = {}

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def in_replica(function: _Step) -> _Step:
        observers.leave_to_replicas()
        if function not in known:  # a strategy knows by the function what it has traced
            known[function] = loop_step(function, lambda: observers.current)
        return known[function]

    def tap(run: _Step) -> _Step:
        def tapped(fn: _Step, args: Any = (), kwargs: Any = None, options: Any = None) -> Any:
            return run(in_replica(fn), args=args, kwargs=kwargs, options=options)

        return tapped

    return tap
