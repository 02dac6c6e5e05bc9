"""Summary values, the cells of an event file: a tag, a tensor, and the metadata TensorBoard files it under."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_INT32, DT_STRING

__all__ = ["array_value", "metadata", "scalar_value", "text_value"]

_TYPES = {"<f4": DT_FLOAT, "<f8": DT_DOUBLE, "<i4": DT_INT32}


def metadata(plugin: str, content: bytes = b"", *, scalar: bool = False) -> SummaryMetadata:
    """What TensorBoard needs to know of a tag: its plugin, that plugin's ``content``, and tensor or scalar.

    The class is always set: without it both TensorBoard loaders drop the data of plugins they do not know.
    """
    data_class = DATA_CLASS_SCALAR if scalar else DATA_CLASS_TENSOR
    result = SummaryMetadata(data_class=data_class)
    result.plugin_data.plugin_name = plugin
    result.plugin_data.content = content
    return result


def array_value(tag: str, array: npt.NDArray[np.generic], about: SummaryMetadata | None = None) -> Summary.Value:
    """A float32, float64 or int32 array of any rank under ``tag``.

    Args:
        tag: names the series.
        array: written in little-endian order; rank 0 stays rank 0.
        about: None leaves the metadata out, which is right for all but the first event of a tag.

    Raises:
        KeyError: another dtype.
    """
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    tensor = TensorProto(
        dtype=_TYPES[little.dtype.str],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in little.shape]),
        tensor_content=little.tobytes(),
    )
    return Summary.Value(tag=tag, tensor=tensor, metadata=about)


def scalar_value(tag: str, number: float) -> Summary.Value:
    """A point of a chart in TensorBoard's Scalars tab, float32."""
    return array_value(tag, np.asarray(number, np.float32), metadata("scalars", scalar=True))


def text_value(tag: str, text: str, about: SummaryMetadata) -> Summary.Value:
    """A string, as a scalar tensor."""
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=TensorShapeProto(), string_val=[text.encode()])
    return Summary.Value(tag=tag, tensor=tensor, metadata=about)
