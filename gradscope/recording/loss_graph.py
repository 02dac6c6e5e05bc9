"""What a training step of one's own compares its model's outputs with, read off the operations that make its loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gradscope.recording.frameworks import tf
from gradscope.recording.graph_walk import ancestors

__all__ = ["Comparison", "comparisons"]

_MOST_OPERATIONS = 2000
# They bring a tensor into another shape or format; its numbers stay what they are.
_PASSING = ("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Cast")
_CONSTANT = ("Const", "Fill", "OnesLike", "ZerosLike")
_ENTROPIES = {
    "SparseSoftmaxCrossEntropyWithLogits": "sparse_categorical_crossentropy",
    "SoftmaxCrossEntropyWithLogits": "categorical_crossentropy",
}


class Comparison(NamedTuple):
    """One operation that holds an output of the model against something else."""

    name: str
    """As Keras calls the loss that does the same."""
    from_logits: bool | None
    output: str
    """The layer that the output comes from."""
    target: Any
    """The tensor that it is held against: of entries that are subtracted in the shape that they then have."""
    value: Any
    """The errors, of one entry or one example each."""
    broadcast: bool
    """Whether there are more errors than answers, since each is compared with several targets."""


def comparisons(loss: Any, outputs: Mapping[str, str], logits: Mapping[str, str]) -> list[Comparison]:
    """The comparisons that a loss is made of; none where it is no tensor of a graph.

    Args:
        loss: the loss of the step, or whatever it is the mean of.
        outputs: the layer that each output of the model comes from, by the name of the tensor.
        logits: the same of what a softmax at the output was given: Keras computes cross-entropies from that.
    """
    if not tf.is_tensor(loss) or not hasattr(loss, "graph"):
        return []
    found = []
    behind = ancestors([loss.op], lambda tensor: tensor.name in outputs, control=False, most=_MOST_OPERATIONS)
    for operation in behind:
        name, pair = _compared(operation)
        entropy = name.endswith("entropy")
        sources = [_source(tensor, {**outputs, **logits} if entropy else outputs) for tensor in pair]
        judged = [tensor for tensor in sources if tensor.name in outputs or (entropy and tensor.name in logits)]
        targets = [
            tensor
            for tensor in sources
            if all(tensor is not other for other in judged) and tensor.op.type not in _CONSTANT
        ]
        if len(judged) == len(targets) == 1:
            output = judged[0].name
            from_logits = output in outputs if entropy else None
            path = outputs.get(output) or logits[output]
            # Cross-entropies flatten what they are given; entries that are subtracted are compared as they are.
            answers, target = pair if sources[0] is judged[0] else pair[::-1]
            errors = operation.outputs[0]
            broadcast = not entropy and not _fits(answers.shape, errors.shape)
            found.append(Comparison(name, from_logits, path, targets[0] if entropy else target, errors, broadcast))
    return found


def _fits(one: Any, other: Any) -> bool:
    return one.rank is None or other.rank is None or one.as_list() == other.as_list()


def _compared(operation: Any) -> tuple[str, tuple[Any, ...]]:
    """The loss that an operation is the heart of, and the two tensors it compares; an empty pair for all others."""
    inputs = operation.inputs
    if operation.type in _ENTROPIES:
        return _ENTROPIES[operation.type], tuple(inputs)
    if operation.type == "SquaredDifference":
        return "mean_squared_error", tuple(inputs)
    differs = bool(len(inputs)) and inputs[0].op.type == "Sub"
    if differs and (operation.type == "Square" or _is_square(operation)):
        return "mean_squared_error", tuple(inputs[0].op.inputs)
    if differs and operation.type == "Abs":
        return "mean_absolute_error", tuple(inputs[0].op.inputs)
    return "", ()


def _is_square(operation: Any) -> bool:
    if operation.type == "Pow":
        return bool(tf.get_static_value(operation.inputs[1]) == 2)
    return bool(operation.type == "Mul" and operation.inputs[0].name == operation.inputs[1].name)


def _source(tensor: Any, ends: Mapping[str, str]) -> Any:
    """Where the numbers of a tensor come from: back through what passes them on, at the farthest to one of ``ends``."""
    while tensor.name not in ends and _passes_on(tensor):
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    return tensor


def _passes_on(tensor: Any) -> bool:
    operation = tensor.op
    if operation.type == "StridedSlice":  # y[:, 0] of answers [examples, 1]
        return _without_ones(tensor) == _without_ones(operation.inputs[0]) is not None
    return operation.type in _PASSING and len(operation.inputs) > 0


def _without_ones(tensor: Any) -> list[int | None] | None:
    return None if tensor.shape.rank is None else [size for size in tensor.shape.as_list() if size != 1]
