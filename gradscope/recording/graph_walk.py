"""Walking a graph backwards, and a TF1 graph from an activation to its layer and to the activations before it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradscope.model_card import ActivationCard

__all__ = ["ACTIVATIONS", "GraphLayer", "ancestors", "depends_on", "find_layer", "inbound", "variables_by_operation"]

ACTIVATIONS: Mapping[str, ActivationCard] = {
    "Relu": ActivationCard("relu", "rectifier", 1.0),
    "Relu6": ActivationCard("relu6", "rectifier", 1.0),
    "Elu": ActivationCard("elu", "half_saturating", 1.0),
    "Selu": ActivationCard("selu", "half_saturating", 1.7580993),
    "LeakyRelu": ActivationCard("leaky_relu", "leaky", 1.0),
    "Softplus": ActivationCard("softplus", "half_saturating", 1.0),
    "Softsign": ActivationCard("softsign", "bounded", 1.0),
    "Sigmoid": ActivationCard("sigmoid", "bounded", 0.25),
    "Tanh": ActivationCard("tanh", "bounded", 1.0),
    "Softmax": ActivationCard("softmax", "joint"),
}
"""How the activation functions that are one operation behave. No function can be evaluated while a graph is being
built, so what `gradscope.recording.activations.describe` finds out for Keras stands here as a table."""

_LINEAR = ActivationCard("linear", "linear", 1.0)
_READS = ("Identity", "ReadVariableOp", "Cast", "Reshape", "ExpandDims", "Squeeze")
_ADDITIONS = ("BiasAdd", "Add", "AddV2")
_PASSING = ("Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "SpaceToBatchND", "BatchToSpaceND")
_SOURCES = ("Placeholder", "PlaceholderWithDefault", "IteratorGetNext", "QueueDequeueV2", "QueueDequeueManyV2")

# Operation -> the Keras layer it is the heart of, and the roles of its inputs that are variables.
_KINDS: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "MatMul": ("Dense", {1: "kernel", 0: "kernel"}),
    "BatchMatMulV2": ("Dense", {1: "kernel"}),
    "Conv2D": ("Conv2D", {1: "kernel"}),
    "Conv3D": ("Conv3D", {1: "kernel"}),
    "Conv2DBackpropInput": ("Conv2DTranspose", {1: "kernel"}),
    "DepthwiseConv2dNative": ("DepthwiseConv2D", {1: "kernel"}),
    "FusedBatchNorm": ("BatchNormalization", {1: "gamma", 2: "beta"}),
    "FusedBatchNormV3": ("BatchNormalization", {1: "gamma", 2: "beta"}),
    "ResourceGather": ("Embedding", {0: "embeddings"}),
    "GatherV2": ("Embedding", {0: "embeddings"}),
}


@dataclass
class GraphLayer:
    """One layer, as far as the graph tells."""

    name: str
    activation: Any
    """The tensor a = f(z)."""
    preactivation: Any
    """The tensor z; the same as ``activation`` where there is no activation function, or none that is known."""
    kind: str
    """The Keras layer that does the same (``Dense``), or the type of the operation (``Mul``)."""
    function: ActivationCard | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    """By role: ``kernel``, ``bias``, ``gamma``, …"""
    data_format: str | None = None
    """``channels_first`` where the operation says so."""
    fan_in: int | None = None
    fan_out: int | None = None
    inbound: tuple[str, ...] | None = None
    is_output: bool = False


def variables_by_operation(variables: Iterable[Any]) -> dict[str, Any]:
    """Variables by the name of the operation that holds them, so that a walk that ends there knows them."""
    return {variable.op.name: variable for variable in variables}


def find_layer(name: str, activation: Any, preactivation: Any, variables: Mapping[str, Any]) -> GraphLayer:
    """The layer that made an activation.

    Args:
        name: what to call it.
        activation: tensor a.
        preactivation: tensor z where the caller knows it better than the graph tells, or None.
        variables: as `variables_by_operation` gives them.
    """
    function = ACTIVATIONS.get(activation.op.type)
    if function is not None:
        z = activation.op.inputs[0] if preactivation is None else preactivation
    elif preactivation is not None and preactivation is not activation:
        function, z = ActivationCard("custom", "joint"), preactivation
    else:
        z = activation
    layer = GraphLayer(name, activation, z, str(activation.op.type), function)
    _find_variables(layer, variables)
    if function is None and "kernel" in layer.variables:
        layer.function = _LINEAR
    return layer


def _find_variables(layer: GraphLayer, variables: Mapping[str, Any]) -> None:
    """Go back through the bias to the product, and note what is found on the way."""
    operation = layer.preactivation.op
    found: dict[str, Any] = {}
    while operation.type in _PASSING or operation.type in _ADDITIONS:
        position = 0
        if operation.type not in _PASSING:
            owned = [_variable(tensor, variables) for tensor in operation.inputs]
            position = 1 if owned[1] is None and owned[0] is not None else 0
            bias = owned[1 - position]
            if bias is not None:
                found.setdefault("bias", bias)
            elif operation.type != "BiasAdd":
                return  # two signals come together here
        operation = operation.inputs[position].op
    kind, roles = _KINDS.get(operation.type, ("", {}))
    for position, role in roles.items():
        variable = _variable(operation.inputs[position], variables)
        if variable is not None and role not in found:
            found[role] = variable
            if role == "kernel":
                layer.fan_in, layer.fan_out = _fans(operation, position, variable)
    if found.keys() & set(roles.values()):
        layer.kind, layer.variables = kind, found
        layout = operation.get_attr("data_format") if kind.startswith(("Conv", "Depthwise", "Batch")) else b""
        layer.data_format = "channels_first" if layout.startswith(b"NC") else None


def _variable(tensor: Any, variables: Mapping[str, Any]) -> Any:
    """The variable that a tensor is the value of, or None."""
    operation = tensor.op
    while operation.name not in variables:
        if operation.type not in _READS:
            return None
        operation = operation.inputs[0].op
    return variables[operation.name]


def _fans(operation: Any, position: int, variable: Any) -> tuple[int | None, int | None]:
    shape = variable.shape.as_list() if variable.shape.rank else []
    if len(shape) < 2 or None in shape:
        return None, None
    field_size = math.prod(shape[:-2])
    fan_in, fan_out = field_size * shape[-2], field_size * shape[-1]
    if operation.type == "MatMul":
        swapped = operation.get_attr("transpose_b") if position == 1 else not operation.get_attr("transpose_a")
    elif operation.type == "DepthwiseConv2dNative":
        return field_size, field_size * shape[-1]
    else:
        swapped = operation.type == "Conv2DBackpropInput"
    return (fan_out, fan_in) if swapped else (fan_in, fan_out)


def inbound(layer: GraphLayer, stops: Mapping[str, str], *, any_source: bool) -> tuple[str, ...] | None:
    """Names of what the layer takes in, in the order of ``stops``; None where the walk meets none of them.

    Args:
        layer: where to start.
        stops: names of the recorded layers, and ``input``, by tensor name.
        any_source: whether floating placeholders and the like count as ``input`` without being told.
    """
    met: set[str] = set()

    def known(tensor: Any) -> bool:
        name = stops.get(tensor.name)
        if name is None and any_source and _is_source(tensor):
            name = "input"
        if name is not None:
            met.add(name)
        return name is not None

    for _ in ancestors([layer.activation.op], known):
        pass
    return tuple(name for name in dict.fromkeys(["input", *stops.values()]) if name in met) or None


def _is_source(tensor: Any) -> bool:
    # A scalar that is fed is a rate or a switch, not the data.
    return tensor.op.type in _SOURCES and tensor.dtype.is_floating and tensor.shape.rank != 0


def depends_on(operations: Collection[Any], names: Collection[str]) -> bool:
    """Whether one of the operations is, or needs, one of those named."""
    return any(operation.name in names for operation in ancestors(operations))


def ancestors(
    operations: Iterable[Any], stop: Any = lambda _: False, *, control: bool = True, most: float = math.inf
) -> Iterator[Any]:
    """The operations and all they need, each once; not beyond tensors for which ``stop`` holds.

    Args:
        operations: where to start.
        stop: of a tensor, whether to go no further there.
        control: whether to follow control dependencies too.
        most: the walk ends when so many operations are known.
    """
    waiting = list(operations)
    seen = {operation.name for operation in waiting}
    while waiting and len(seen) < most:
        operation = waiting.pop()
        yield operation
        needed = [tensor.op for tensor in operation.inputs if not stop(tensor)]
        for other in [*needed, *(operation.control_inputs if control else ())]:
            if other.name not in seen:
                seen.add(other.name)
                waiting.append(other)
