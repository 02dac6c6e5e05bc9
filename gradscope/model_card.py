"""ModelCard: what is known about the recorded model besides numbers; plain data, to and from JSON.

Layers stand in forward call order. Reading tolerates unknown fields, so that a newer minor version stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

__all__ = ["HALF_FORMATS", "ActivationCard", "LayerCard", "ModelCard", "ParentCard", "VariableCard"]

HALF_FORMATS = ("float16", "bfloat16")
"""The number formats of 16 bits, which round small steps away."""


@dataclass(frozen=True)
class ActivationCard:
    """How a layer's activation function behaves, found by evaluating it and its derivative on a grid of z."""

    name: str
    shape: str
    """``linear`` (f' constant), ``rectifier`` (exactly zero on the left: ReLU, ReLU6), ``half_saturating`` (f' -> 0 on
    one side: ELU, SELU, GELU, swish, softplus), ``bounded`` (f' -> 0 on both: sigmoid, tanh, softsign), ``leaky`` (f'
    never near 0), ``joint`` (entries depend on each other: softmax)."""
    max_derivative: float | None = None
    """max |f'(z)| over the grid; None for ``joint``."""


@dataclass(frozen=True)
class VariableCard:
    """One variable of the model."""

    name: str
    """``<layer path>/<variable name>``, unique in the model; tensors of kind weight, gradient, … bear it."""
    layer: str
    role: str
    """The variable's own name: ``kernel``, ``bias``, ``gamma``, …"""
    shape: tuple[int, ...]
    dtype: str = "float32"
    trainable: bool = True
    """False where the variable or its layer is frozen, and for statistics such as a moving mean."""
    optimized: bool = True
    """True where the optimizer was handed this variable in the recorded step, or would have been: a loop may leave out
    what its tape gives no gradient of."""
    optimizer: int | None = None
    """Place of the optimizer that it was handed to among all that took part; None if unknown."""
    connected: bool = True
    """False where there is no gradient (None) to hand to the optimizer: the loss does not depend on it."""
    initializer: str | None = None
    """Class name of the initializer, e.g. ``GlorotUniform``; None if unknown."""
    constraint: str | None = None
    """Class name of what the variable is held to after each step, e.g. ``MaxNorm``; None if there is nothing."""


@dataclass(frozen=True)
class ParentCard:
    """A layer or model that another layer is part of."""

    name: str
    """Path inside the model, ``encoder``."""
    kind: str
    """Class name, e.g. ``MultiHeadAttention``."""
    is_model: bool
    """True where it is a model, which hands out its layers by ``get_layer``."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """As those of a `LayerCard`."""


@dataclass(frozen=True)
class LayerCard:
    """One layer of the model, as seen in the recorded step."""

    name: str
    """Path inside the model, ``encoder/dense_1``; tensors of kind activation, … bear it."""
    kind: str
    """Class name, e.g. ``Dense``."""
    depth: int | None = None
    """0 nearest the input, in forward call order; None for a layer that was not called."""
    activation: ActivationCard | None = None
    fan_in: int | None = None
    """Inputs that feed one unit through the layer's kernel, receptive field included."""
    fan_out: int | None = None
    units: int | None = None
    """Size of the axis that counts as units (channels)."""
    input_shapes: tuple[tuple[int | None, ...], ...] = ()
    output_shape: tuple[int | None, ...] = ()
    inbound: tuple[str, ...] | None = None
    """Layers whose recorded outputs this one was called with; ``input``, ``input_1``, … are the model's
    inputs; None if unknown."""
    is_output: bool = False
    """True where the layer's output is an output of the model."""
    trainable: bool = True
    arguments: dict[str, Any] = field(default_factory=dict)
    """Constructor arguments that differ from the default and are plain data: ``{"units": 16}``."""
    parents: tuple[ParentCard, ...] = ()
    """What the layer is part of, outermost first; empty where it is part of the model only, and in older logs."""


@dataclass(frozen=True)
class ModelCard:
    """The recorded model and how it was trained."""

    layers: tuple[LayerCard, ...] = ()
    variables: tuple[VariableCard, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """Plain data: ``model``, ``optimizer`` (name and configuration), ``optimizers`` (of several, each), ``loss``,
    ``dtype_policy``, ``jit_compile``,
    ``every``, ``versions``, ``dead_unit_window`` (examples) …"""

    def layer(self, name: str) -> LayerCard | None:
        """The layer of that name, or None."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def variable(self, name: str) -> VariableCard | None:
        """The variable of that name, or None."""
        return next((variable for variable in self.variables if variable.name == name), None)

    def with_settings(self, settings: Mapping[str, Any]) -> ModelCard:
        """The same card with these settings besides its own."""
        return replace(self, settings={**self.settings, **settings})

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelCard:
        """The card that `to_json` gave; unknown fields are left out, missing ones take their default."""
        return cls(
            layers=tuple(_layer(entry) for entry in data.get("layers", ())),
            variables=tuple(
                VariableCard(**{**_known(VariableCard, entry), "shape": tuple(entry.get("shape", ()))})
                for entry in data.get("variables", ())
            ),
            settings=dict(data.get("settings", {})),
        )


def _known(cls: type, entry: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in entry.items() if key in names}


def _layer(entry: Mapping[str, Any]) -> LayerCard:
    values = _known(LayerCard, entry)
    activation = values.get("activation")
    values["activation"] = ActivationCard(**_known(ActivationCard, activation)) if activation else None
    values["input_shapes"] = tuple(tuple(shape) for shape in values.get("input_shapes", ()))
    values["output_shape"] = tuple(values.get("output_shape", ()))
    values["parents"] = tuple(ParentCard(**_known(ParentCard, entry)) for entry in values.get("parents", ()))
    if values.get("inbound") is not None:
        values["inbound"] = tuple(values["inbound"])
    return LayerCard(**values)
