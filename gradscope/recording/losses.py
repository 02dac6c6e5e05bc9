"""Which loss a compiled model has at which output."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gradscope.recording.frameworks import keras

__all__ = ["describe_loss", "describe_losses", "loss_additions", "loss_in_inference"]


def describe_losses(
    model: Any, outputs: Mapping[int | str, str | None], targets: Mapping[int | str, str] | None = None
) -> list[dict[str, Any]]:
    """The losses that ``model.compile`` was given, as plain data.

    Args:
        model: compiled or not.
        outputs: the layer that each output of the model comes from, by its place or its key.
        targets: under which name each target was recorded, likewise.

    Returns:
        ``[{"name": "categorical_crossentropy", "from_logits": False, "output": "dense_2", "weight": 1.0}]``: the
        name in Keras' long form; whether it takes logits, None if unknown or if the loss knows no such thing; the
        layer it is computed of, None if unknown; what it counts for in the sum of all, None if unknown; ``target``,
        the name of the recorded one that it compares with, where that is known. Empty where there is no loss, or the
        model computes it in a way of its own.
    """
    if getattr(type(model), "compute_loss", None) is not keras.Model.compute_loss:
        return []
    places, compared = _by_either(model, outputs), _by_either(model, targets or {})
    weights = _loss_weights(model)
    return [
        {
            **describe_loss(loss),
            "output": places.get(place),
            "weight": _weight(weights, place),
            **({"target": compared[place]} if compared.get(place) else {}),
        }
        for place, loss in _by_output(getattr(model, "loss", None), len(outputs))
        if loss is not None
    ]


def _by_either(model: Any, named: Mapping[int | str, str | None]) -> dict[Any, str | None]:
    """What is known by the place of an output, or by its key, by both of them."""
    found: dict[Any, str | None] = dict(named)
    for place, key in enumerate(getattr(model, "output_names", None) or ()):
        found.setdefault(key, named.get(place))
        found.setdefault(place, named.get(key))
    return found


def loss_additions(model: Any, *, added: bool, weighted: bool) -> list[str]:
    """What else the loss is made of: ``penalties`` on weights or activations, ``example weights``.

    Either lifts the loss above what its functions alone would make of the same answers. Losses that layers add
    (``added`` says that something was) count as penalties.
    """
    layers = list(model._flatten_layers())  # noqa: SLF001  Keras has no other list of the layers within layers
    penalised = any(getattr(layer, "activity_regularizer", None) for layer in layers) or any(
        getattr(variable, "regularizer", None) for variable in model.trainable_variables
    )
    return [*(["penalties"] if penalised or added else []), *(["example weights"] if weighted else [])]


def _loss_weights(model: Any) -> Any:
    # get_compile_config() tells them too, but not for a loss that cannot be written down.
    return getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", ())


def _weight(weights: Any, place: int | str | None) -> float | None:
    if weights is None:
        return 1.0
    if isinstance(weights, Mapping):
        found = weights.get(place, 1.0) if isinstance(place, str) else None
    else:
        found = weights[place] if isinstance(place, int) and place < len(weights) else None
    return float(found) if isinstance(found, (int, float)) else None


def _by_output(loss: Any, count: int) -> Iterator[tuple[int | str | None, Any]]:
    if isinstance(loss, Mapping):
        yield from loss.items()
    elif isinstance(loss, Sequence) and not isinstance(loss, str):
        # Keras adds up a list of losses that is not one for each output.
        yield from ((place if len(loss) == count else None, part) for place, part in enumerate(loss))
    else:
        yield (0 if count == 1 else None), loss


def describe_loss(loss: Any) -> dict[str, Any]:
    """What ``compile()`` takes for a loss: name and ``from_logits``; ``delta`` and ``label_smoothing`` where given.

    And ``reduction`` where the examples are summed; they are averaged otherwise.
    """
    try:
        resolved = keras.losses.get(loss)
    except Exception:  # noqa: BLE001  names that compile() alone understands, and whatever else a user gives
        resolved = loss
    function = getattr(resolved, "fn", None) or resolved
    bound = function.keywords if isinstance(function, partial) else {}
    given = {**bound, **getattr(resolved, "_fn_kwargs", {})}
    numbers = {name: given.get(name) for name in ("delta", "label_smoothing")}
    return {
        "name": _name(resolved, function),
        "from_logits": _takes_logits(resolved, function, given),
        **({"reduction": "sum"} if getattr(resolved, "reduction", None) == "sum" else {}),
        **{name: float(number) for name, number in numbers.items() if isinstance(number, (int, float)) and number},
    }


def _name(resolved: Any, function: Any) -> str:
    if isinstance(resolved, str):
        return resolved
    if inspect.isroutine(function):
        return str(function.__name__).strip("<>")
    own = getattr(function, "func", None)  # of a functools.partial
    if own is not None and hasattr(own, "__name__"):
        return str(own.__name__)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(resolved).__name__).lower()


def _takes_logits(resolved: Any, function: Any, given: Mapping[str, Any]) -> bool | None:
    for candidate in (given.get("from_logits"), getattr(resolved, "from_logits", None)):
        if isinstance(candidate, bool):
            return candidate
    try:
        default = inspect.signature(function).parameters["from_logits"].default
    except (KeyError, TypeError, ValueError):
        return None
    return default if isinstance(default, bool) else None


def loss_in_inference(model: Any, *, y: Any, y_pred: Any, x: Any = None) -> Any:
    """The compiled model's loss; ``compute_loss`` of Keras 3.3, and many a user's own, knows no ``training``."""
    knows = inspect.signature(model.compute_loss).parameters
    mode = {"training": False} if "training" in knows else {}
    return model.compute_loss(x=x, y=y, y_pred=y_pred, **mode)
