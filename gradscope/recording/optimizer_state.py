"""The optimizer's own variables, made just before the first step where that step would make them anyway.

A `tf.function` that makes variables while it is traced is traced a second time. Keras' optimizers make theirs in the
first step; made before it, the sampled step, which has more to trace than a plain one, is traced once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradscope.recording.frameworks import keras, tf
from gradscope.recording.trouble import Trouble, describe_error

__all__ = ["build_optimizer", "built_for", "innermost"]


def innermost(optimizer: Any) -> Any:
    """The optimizer that does the work: that which one wraps that scales the loss, else itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def built_for(optimizer: Any) -> Sequence[Any]:
    """The variables that an optimizer was built for."""
    variables: Sequence[Any] = innermost(optimizer)._trainable_variables  # noqa: SLF001  Keras tells it in no other way
    return variables


def build_optimizer(model: Any, trouble: Trouble) -> None:
    """Make the variables of a compiled model's optimizer as the model's first step is about to; never raises.

    Does nothing where that step might make others: unless the step and the optimizer are Keras' own, the model has all
    its variables, and it trains under no strategy. Does nothing for an eager step, which is not traced.

    Args:
        model: compiled, about to run its first step.
        trouble: told when it fails; then the step makes the variables, as it would have.
    """
    optimizer: Any = None
    try:
        if not _can_be_built(model):
            return
        optimizer = model.optimizer
        # In the scope in which the step would call it, for the same names.
        with keras.name_scope(optimizer.name, caller=optimizer):
            optimizer.build(list(model.trainable_weights))
    except Exception as error:  # noqa: BLE001  nothing on our side may end a training run
        if optimizer is None:
            return
        for part in (optimizer, getattr(optimizer, "inner_optimizer", None)):
            if part is not None:
                part.built = False
        trouble.report(f"the optimizer could not be built before the first step: {describe_error(error)}")


def _can_be_built(model: Any) -> bool:
    return (
        _is_keras_own(model.optimizer)
        and not model.optimizer.built
        and not model.run_eagerly
        and all(_is_keras_own_method(model, name) for name in ("train_step", "make_train_function"))
        and not tf.distribute.has_strategy()
        and model.distribute_strategy is tf.distribute.get_strategy()
        and all(layer.built for layer in model._flatten_layers())  # noqa: SLF001  Keras has no other list of them
        and len(model.trainable_weights) > 0
    )


def _is_keras_own(optimizer: Any) -> bool:
    """Whether an optimizer, and the one it may wrap, is of a class of Keras, with none of its methods replaced."""
    return (
        isinstance(optimizer, keras.optimizers.Optimizer)
        and type(optimizer).__module__.startswith("keras.")
        and not any(name in vars(optimizer) for name in ("apply", "apply_gradients", "build"))
        and (not hasattr(optimizer, "inner_optimizer") or _is_keras_own(optimizer.inner_optimizer))
    )


def _is_keras_own_method(model: Any, name: str) -> bool:
    return name not in vars(model) and getattr(type(model), name).__module__.startswith("keras.")
