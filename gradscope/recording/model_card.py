"""Builds the ModelCard of a recorded model: what its layers are, and what the recorded step showed of them."""

from __future__ import annotations

import inspect
import math
import platform
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from gradscope._version import __version__
from gradscope.model_card import HALF_FORMATS, ActivationCard, LayerCard, ModelCard, ParentCard, VariableCard
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.losses import describe_losses, loss_additions
from gradscope.recording.naming import NamedVariable
from gradscope.recording.observer import Observer, Sighting
from gradscope.recording.optimizer_state import innermost
from gradscope.recording.untracked import untracked_variables

__all__ = ["build_model_card"]

_PLAIN = (bool, int, float, str)


def build_model_card(
    model: Any,
    observer: Observer,
    activations: Mapping[str, ActivationCard],
    settings: Mapping[str, Any],
) -> ModelCard:
    """The card of ``model`` after a recorded step: layers that were called in forward order, the others behind.

    Those are layers with variables that were not called, and dropout, which is not recorded as a layer of its own.
    """
    sightings = observer.sightings
    variables = observer.names.variables
    by_path = {named.path: named.layer for named in observer.names.layers}
    owners = {variable.layer for variable in variables}
    optimizers = _optimizers(observer)
    parents = _parent_cards(by_path)
    uncalled = [
        path for path, layer in by_path.items() if path not in sightings and (path in owners or hasattr(layer, "rate"))
    ]
    return ModelCard(
        layers=tuple(
            _layer_card(path, by_path[path], sightings.get(path), activations.get(path), parents)
            for path in [*sightings, *uncalled]
        ),
        variables=tuple(
            _variable_card(variable, by_path.get(variable.layer), observer, optimizers) for variable in variables
        ),
        settings={
            **_settings(model, getattr(model, "optimizer", None) or next(iter(optimizers), None)),
            **({"optimizers": [_optimizer_settings(optimizer) for optimizer in optimizers]} if optimizers[1:] else {}),
            **_describe_loss(model, observer),
            **({"trainable_since_compile": sorted(left)} if (left := observer.optimizers.compiled.left_out) else {}),
            **({"noises": noises} if (noises := _noises(observer)) else {}),
            **({"untracked_variables": names} if (names := _untracked(observer)) else {}),
            **settings,
        },
    )


def _optimizers(observer: Observer) -> list[Any]:
    """The optimizers that were handed variables, each once."""
    found = {id(optimizer): optimizer for optimizer in observer.optimizers.trained_by.values() if optimizer is not None}
    return list(found.values())


def _noises(observer: Observer) -> list[dict[str, Any]]:
    """The layers that add noise while training: how much, and to what."""
    return [
        {"layer": named.path, "stddev": float(named.layer.stddev), "inbound": observer.passed.get(named.path)}
        for named in observer.names.layers
        if isinstance(named.layer, keras.layers.GaussianNoise)
    ]


def _untracked(observer: Observer) -> list[str]:
    with observer.trouble.instead_of_raising("variables that Keras does not know are not looked for"):
        return untracked_variables(observer.names, observer.optimizers.optimized)
    return []


def _describe_loss(model: Any, observer: Observer) -> dict[str, Any]:
    additions = loss_additions(model, added=observer.losses.added, weighted=observer.losses.weighted)
    found = {
        "losses": describe_losses(model, observer.outputs, observer.losses.target_names),
        "target_shapes": dict(observer.losses.target_shapes),
        "loss_additions": [*additions, *(["terms of one's own"] if observer.losses.own else [])],
    }
    # What compile() was given is not the loss of a step that never asks for it.
    if observer.losses.own and not observer.losses.compiled:
        return {**found, "losses": list(observer.losses.called), "loss": None}
    # A compiled function of one's own is known by what it compares, if at all.
    return {**found, "losses": list(observer.losses.called)} if observer.losses.called else found


def _layer_card(
    path: str,
    layer: Any,
    sighting: Sighting | None,
    activation: ActivationCard | None,
    parents: Mapping[str, ParentCard],
) -> LayerCard:
    fan_in, fan_out = _fans(layer)
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    output_shape = sighting.output_shape if sighting else ()
    return LayerCard(
        name=path,
        kind=type(layer).__name__,
        depth=sighting.depth if sighting else None,
        activation=activation,
        fan_in=fan_in,
        fan_out=fan_out,
        units=output_shape[axis] if len(output_shape) > 1 else None,
        input_shapes=sighting.input_shapes if sighting else (),
        output_shape=output_shape,
        inbound=sighting.inbound if sighting else None,
        is_output=sighting.is_output if sighting else False,
        trainable=bool(layer.trainable),
        arguments=_arguments(layer),
        parents=tuple(parents[above] for above in _above(path) if above in parents),
    )


def _parent_cards(by_path: Mapping[str, Any]) -> dict[str, ParentCard]:
    """The card of each layer that others are part of, by its path: made once, however many those are."""
    above = dict.fromkeys(name for path in by_path for name in _above(path))
    return {name: _parent_card(name, by_path[name]) for name in above if name in by_path}


def _parent_card(path: str, parent: Any) -> ParentCard:
    # The configuration of a model holds those of all its layers: slow to write down, and nobody asks for it.
    is_model = isinstance(parent, keras.Model)
    return ParentCard(path, type(parent).__name__, is_model, {} if is_model else _arguments(parent))


def _above(path: str) -> list[str]:
    return [path[:end] for end, letter in enumerate(path) if letter == "/"]


def _variable_card(named: NamedVariable, layer: Any, observer: Observer, optimizers: Sequence[Any]) -> VariableCard:
    variable = named.variable
    trainer = observer.optimizers.trained_by.get(named.name)
    return VariableCard(
        name=named.name,
        layer=named.layer,
        role=str(variable.name),
        shape=tuple(int(size) for size in variable.shape),
        dtype=str(variable.dtype),
        trainable=bool(variable.trainable),
        optimized=named.name in observer.optimizers.optimized,
        optimizer=next((place for place, optimizer in enumerate(optimizers) if optimizer is trainer), None),
        connected=named.name not in observer.optimizers.disconnected,
        initializer=_initializer(layer, str(variable.name)),
        constraint=type(variable.constraint).__name__ if getattr(variable, "constraint", None) is not None else None,
    )


def _initializer(layer: Any, role: str) -> str | None:
    # Keras calls that of a kernel ``depthwise_initializer`` where the kernel is one of depth.
    own = "depthwise" if role == "kernel" and hasattr(layer, "depthwise_initializer") else role
    found = (getattr(layer, f"{name}_initializer", None) for name in (own, own.removesuffix("_kernel")))
    initializer = next((one for one in found if one is not None), None)
    return type(initializer).__name__ if initializer is not None else None


def _fans(layer: Any) -> tuple[int | None, int | None]:
    """How many inputs feed one unit through the kernel, and how many units one input feeds."""
    kernel = getattr(layer, "kernel", None)
    shape = [int(size) for size in getattr(kernel, "shape", ())]
    if len(shape) < 2:
        return None, None
    if isinstance(layer, keras.layers.EinsumDense):
        operand, _, result = layer.equation.replace("...", "").partition("->")
        kernel_axes = operand.split(",")[1]
        sizes = dict(zip(kernel_axes, shape, strict=False))
        return (
            math.prod(size for axis, size in sizes.items() if axis not in result),
            math.prod(size for axis, size in sizes.items() if axis in result),
        )
    receptive = math.prod(shape[:-2])
    if type(layer).__name__.startswith("Depthwise"):
        return receptive, receptive * shape[-1]
    if type(layer).__name__.endswith("Transpose"):
        return receptive * shape[-1], receptive * shape[-2]
    return receptive * shape[-2], receptive * shape[-1]


def _arguments(layer: Any) -> dict[str, Any]:
    """The constructor arguments that differ from their default and are plain data."""
    try:
        config = _written_down(layer)
        defaults = inspect.signature(type(layer).__init__).parameters
    except Exception:  # noqa: BLE001  a custom layer's get_config may raise anything; the card goes without
        return {}
    skipped = {"name", "trainable", "dtype"}
    return {
        key: value
        for key, value in config.items()
        if key in defaults and key not in skipped and _is_plain(value) and value != defaults[key].default
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (
        isinstance(value, (list, tuple)) and all(v is None or isinstance(v, _PLAIN) for v in value)
    )


def _settings(model: Any, optimizer: Any) -> dict[str, Any]:
    return {
        "model": str(model.name),
        "optimizer": _optimizer_settings(optimizer) if optimizer is not None else None,
        "loss": _loss_name(getattr(model, "loss", None)),
        "dtype_policy": _dtype_policy(model),
        "jit_compile": bool(getattr(model, "jit_compile", False)),
        "run_eagerly": bool(getattr(model, "run_eagerly", False)),
        "steps_per_execution": int(getattr(model, "steps_per_execution", 1) or 1),
        "parameter_count": int(model.count_params()) if model.built else None,
        "versions": {
            "gradscope": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def _dtype_policy(model: Any) -> str:
    """The model's policy; that of a layer which computes in another, half as precise format, where one does."""
    layers = model._flatten_layers()  # noqa: SLF001  Keras has no other list of the layers within layers; it begins it
    policies = [layer.dtype_policy for layer in layers]
    half = [policy for policy in policies if policy.compute_dtype in HALF_FORMATS]
    return str((half or policies)[0].name)


def _optimizer_settings(optimizer: Any) -> dict[str, Any]:
    inner = innermost(optimizer)
    config = _configuration(inner)
    plain = {key: value for key, value in config.items() if isinstance(value, _PLAIN) and key != "name"}
    if isinstance(config.get("learning_rate"), dict):
        plain["learning_rate"] = str(config["learning_rate"].get("class_name", "schedule"))
    return {"name": type(inner).__name__, "loss_scaling": inner is not optimizer, **plain}


def _configuration(optimizer: Any) -> dict[str, Any]:
    """What an optimizer was made with; of one that cannot write itself down its public attributes.

    A schedule of one's own is often written without ``get_config``, as in the tutorial on transformers.
    """
    try:
        config = _written_down(optimizer)
    except Exception:  # noqa: BLE001  a schedule or an optimizer of one's own may raise anything
        schedule = {"class_name": type(getattr(optimizer, "_learning_rate", None)).__name__}
        config = {name: value for name, value in vars(optimizer).items() if not name.startswith("_")}
        config["learning_rate"] = schedule
    return config


def _written_down(thing: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of a lambda in it, for those who are going to save it
        config: dict[str, Any] = thing.get_config()
        return config


def _loss_name(loss: Any) -> str | None:
    if loss is None:
        return None
    if isinstance(loss, str):
        return loss
    if isinstance(loss, (list, tuple, dict)):
        parts = loss.values() if isinstance(loss, dict) else loss
        return ", ".join(_loss_name(part) or "none" for part in parts)
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))
