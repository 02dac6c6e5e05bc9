"""What is known about the operations of a TF1 graph, held against TensorFlow itself."""

from __future__ import annotations

import pytest
import tensorflow as tf

from gradscope.errors import RecordingError
from gradscope.recording.activations import describe
from gradscope.recording.graph_v1 import GraphRecorder
from gradscope.recording.graph_walk import ACTIVATIONS, find_layer, variables_by_operation


@pytest.mark.parametrize("operation", ACTIVATIONS)
def test_the_table_of_activations_says_what_evaluating_them_does(operation):
    card = ACTIVATIONS[operation]
    function = getattr(tf.nn, card.name)
    evaluated = describe(function, card.name)
    assert card.shape == evaluated.shape
    if card.max_derivative is None:
        assert evaluated.max_derivative is None
    else:  # SELU is steepest right below 0, between two points of the grid
        assert card.max_derivative == pytest.approx(evaluated.max_derivative, rel=0.03)
    with tf.Graph().as_default():
        assert function(tf.zeros([1, 3])).op.type == operation


def test_channels_first_and_transposed_kernels_are_seen():
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        kernel, rows = v1.get_variable("k", [3, 3, 2, 4]), v1.get_variable("r", [6, 9])
        known = variables_by_operation([kernel, rows])
        image = v1.placeholder(tf.float32, [None, 2, 8, 8])
        conv = find_layer("conv", tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME", "NCHW")), None, known)
        tied = find_layer("tied", tf.matmul(v1.placeholder(tf.float32, [None, 9]), rows, transpose_b=True), None, known)
    assert (conv.kind, conv.data_format, conv.fan_in, conv.fan_out) == ("Conv2D", "channels_first", 18, 36)
    assert (tied.kind, tied.fan_in, tied.fan_out) == ("Dense", 9, 6)


def test_observing_eagerly_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="observe was called eagerly: call it in the graph"):
        GraphRecorder(tmp_path).observe(grads_and_vars=[])
