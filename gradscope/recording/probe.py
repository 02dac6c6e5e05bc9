"""Probe: the activations and gradients of a model on always the same examples, beside those of the training batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradscope.errors import RecordingError
from gradscope.recording.collector import Measured
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.losses import loss_in_inference
from gradscope.recording.sampled_step import SampledStep
from gradscope.recording.trouble import Trouble

__all__ = ["Probe"]


class Probe:
    """A fixed batch that is run through the model after each sampled step, in inference mode and without training.

    Glorot & Bengio (2010) watch the activations of 300 fixed examples so. What is measured is recorded as tensors of
    kind ``probe_activation``, ``probe_activation_gradient``, ``probe_gradient`` and so on.

    Args:
        batch: ``(x, y)``, or ``x`` alone (an array or tensor, or a structure of them): then only what flows forward.
        trouble: where failures go.

    Raises:
        RecordingError: ``batch`` is an empty tuple, or one of more than two parts.
    """

    def __init__(self, batch: Any, trouble: Trouble) -> None:
        parts = batch if isinstance(batch, tuple) else (batch,)
        if not 1 <= len(parts) <= 2 or parts[0] is None:
            raise RecordingError(f"probe: got a tuple of {len(parts)} parts; give (x, y), or x alone")
        self._x = tf.nest.map_structure(tf.convert_to_tensor, parts[0])
        self._y = tf.nest.map_structure(tf.convert_to_tensor, parts[1]) if len(parts) == 2 else None
        self._trouble = trouble
        self._step: SampledStep | None = None
        self._of: SampledStep | None = None

    def __call__(self, sampled: SampledStep) -> Measured | None:
        """Measure the batch on the model of a sampled step; None if that failed, which is reported once."""
        if self._of is not sampled:
            self._of = sampled
            self._step = sampled.sibling(self._make(sampled.model))
        with self._trouble.instead_of_raising("the probe is not recorded"):
            return self._step.measure() if self._step is not None else None
        self._step = None
        return None

    def _make(self, model: Any) -> Callable[[Any], Callable[..., Any]]:
        def make(observer: Any) -> Callable[..., Any]:
            def look() -> None:
                observer.begin()
                variables = [v.value for v in model.trainable_variables]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(variables)
                    outputs = model(self._x, training=False)
                    loss = self._loss(model, outputs)
                if loss is not None:
                    observer.optimizers.seen(variables, tape.gradient(loss, variables))
                observer.end_probe()

            compiled: Callable[..., Any] = tf.function(
                look, autograph=False, jit_compile=bool(getattr(model, "jit_compile", False))
            )
            return compiled

        return make

    def _loss(self, model: Any, outputs: Any) -> Any:
        if self._y is None or not isinstance(model, keras.Model) or not model.compiled:
            return None
        return loss_in_inference(model, x=self._x, y=self._y, y_pred=outputs)
