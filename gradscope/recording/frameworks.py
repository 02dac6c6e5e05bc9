"""TensorFlow and Keras, or one clear sentence about what is missing."""

from __future__ import annotations

from gradscope.errors import MissingDependencyError

__all__ = ["keras", "tf"]

try:
    import keras
    import tensorflow as tf
except ImportError as error:
    raise MissingDependencyError(
        f"recording needs TensorFlow with Keras 3, and importing it failed ({error}): "
        'pip install "gradscope[tensorflow]", or install your own build of tensorflow >= 2.16'
    ) from error

if keras.backend.backend() != "tensorflow":
    raise MissingDependencyError(
        f"recording needs Keras on the tensorflow backend, and this one runs on {keras.backend.backend()}: "
        "set KERAS_BACKEND=tensorflow before keras is imported"
    )
