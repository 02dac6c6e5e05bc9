"""Builds the ModelCard of an observed TF1 graph."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from gradscope._version import __version__
from gradscope.model_card import LayerCard, ModelCard, VariableCard
from gradscope.recording.frameworks import tf
from gradscope.recording.graph_walk import GraphLayer
from gradscope.recording.naming import NamedVariable
from gradscope.recording.statistics import unit_axis

__all__ = ["graph_card"]


def graph_card(
    layers: Sequence[GraphLayer],
    variables: Sequence[NamedVariable],
    gradients: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> ModelCard:
    """The card of a graph.

    Args:
        layers: in forward order.
        variables: those of the layers and of the optimizer.
        gradients: by the name of the variable's operation; None where the loss does not depend on it.
        settings: how the run is recorded.
    """
    roles = {v.op.name: role for layer in layers for role, v in layer.variables.items()}
    return ModelCard(
        layers=tuple(_layer_card(depth, layer) for depth, layer in enumerate(layers)),
        variables=tuple(_variable_card(named, roles, gradients) for named in variables),
        settings={
            "graph": "tf1",
            "versions": {
                "gradscope": __version__,
                "tensorflow": tf.__version__,
                "python": platform.python_version(),
            },
            **settings,
        },
    )


def _variable_card(named: NamedVariable, roles: Mapping[str, str], gradients: Mapping[str, Any]) -> VariableCard:
    variable = named.variable
    own = str(variable.op.name)
    return VariableCard(
        name=named.name,
        layer=named.layer,
        role=roles.get(own, own.rpartition("/")[2]),
        shape=tuple(variable.shape.as_list()),
        dtype=str(variable.dtype.base_dtype.name),
        trainable=bool(variable.trainable),
        optimized=own in gradients,
        connected=own not in gradients or gradients[own] is not None,
    )


def _layer_card(depth: int, layer: GraphLayer) -> LayerCard:
    shape = _shape(layer.activation)
    return LayerCard(
        name=layer.name,
        kind=layer.kind,
        depth=depth,
        activation=layer.function,
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        units=shape[unit_axis(len(shape), layer.data_format)] if len(shape) > 1 else None,
        output_shape=shape,
        inbound=layer.inbound,
        is_output=layer.is_output,
        trainable=any(variable.trainable for variable in layer.variables.values()) or not layer.variables,
        arguments=_arguments(layer),
    )


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(tensor.shape.as_list()) if tensor.shape.rank is not None else ()


def _arguments(layer: GraphLayer) -> dict[str, Any]:
    """What the equivalent Keras layer would be built with, so that a remedy can be written down for it."""
    if layer.kind == "Dense" and layer.fan_out is not None:
        return {"units": layer.fan_out}
    if layer.kind in ("Conv2D", "Conv3D") and layer.fan_out is not None:
        kernel = _shape(layer.variables["kernel"])
        return {"filters": kernel[-1], "kernel_size": kernel[:-2]}
    return {}
