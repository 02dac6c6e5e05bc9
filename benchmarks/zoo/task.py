"""Task: a model, its data and how it is trained; by `fit` or by a loop of one's own."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.lazy import keras, tf

__all__ = ["Fit", "Loop", "Task"]


class Task(ABC):
    """Something to train, once."""

    model: Any
    """The Keras model that is watched."""

    @abstractmethod
    def train(self, recorder: Any = None) -> None:
        """Train to the end, recorded by a `gradscope.Recorder` if there is one."""

    @abstractmethod
    def skill(self) -> float:
        """How well it does on its training data: 0 as well as chance or a constant, 1 perfect; may be NaN."""

    @abstractmethod
    def loss(self) -> Any:
        """The loss of a fixed batch in training mode, as a tensor to differentiate."""

    def gradient_norms(self) -> dict[str, float]:
        """‖∂loss/∂variable‖ of every trainable variable on a fixed batch, by a tape of our own; 0 where it is None."""
        weights = self.model.get_weights()
        with tf.GradientTape() as tape:
            loss = self.loss()
        variables = self.model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self.model.set_weights(weights)
        return {
            variable.path: 0.0
            if gradient is None
            else float(tf.norm(tf.cast(tf.convert_to_tensor(gradient), "float32")))
            for variable, gradient in zip(variables, gradients, strict=True)
        }

    def is_finite(self) -> bool:
        """Whether all weights are finite."""
        return all(np.isfinite(np.asarray(w, "float32")).all() for w in self.model.get_weights())


@dataclass
class Fit(Task):
    """Trained by `compile` and `fit` on arrays."""

    model: Any
    x: Any
    y: Any
    optimizer: Any
    loss_function: Any
    score: Callable[[Any, Any], float]
    """``score(y, predictions)``, a skill."""
    steps: int = 300
    batch_size: int = 32
    compile_options: dict[str, Any] = field(default_factory=dict)
    fit_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model.compile(self.optimizer, self.loss_function, **self.compile_options)

    def train(self, recorder: Any = None) -> None:
        per_epoch = math.ceil(_length(self.x) / self.batch_size)
        callbacks = [*self.fit_options.get("callbacks", []), *([recorder] if recorder else [])]
        options = {**self.fit_options, "callbacks": callbacks}
        epochs = math.ceil(self.steps / per_epoch)
        self.model.fit(self.x, self.y, batch_size=self.batch_size, epochs=epochs, verbose=0, **options)

    def skill(self) -> float:
        predicted = self.model.predict(self.x, batch_size=256, verbose=0)
        return float(self.score(self.y, predicted))

    def loss(self) -> Any:
        x, y = _first(self.x, 64), _first(self.y, 64)
        return self.model.compute_loss(x, y, self.model(x, training=True))


@dataclass
class Loop(Task):
    """Trained by a `GradientTape` loop."""

    model: Any
    optimizer: Any
    batches: Callable[[np.random.Generator], tuple[Any, ...]]
    """Draws one batch: the arguments of ``forward``."""
    forward: Callable[..., Any]
    """``forward(*batch)`` is the loss, a scalar tensor."""
    score: Callable[[], float]
    steps: int = 300
    seed: int = 0
    compiled: bool = True
    change: Callable[[list[Any]], list[Any]] | None = None
    """What the loop does to the gradients before it applies them."""
    step: Callable[..., Any] | None = None
    """The training step, where it is another than: differentiate ``forward`` and apply."""

    def train(self, recorder: Any = None) -> None:
        draw = np.random.default_rng(self.seed)
        step = self.step or self._step
        step = tf.function(step) if self.compiled else step
        self.optimizer.build(self.model.trainable_variables)
        if recorder is not None:
            step = recorder.wrap(step, model=self.model, optimizer=self.optimizer)
        for _ in range(self.steps):
            step(*(tf.convert_to_tensor(part) for part in self.batches(draw)))
        if recorder is not None:
            recorder.close()

    def _step(self, *batch: Any) -> Any:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.forward(*batch)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        if self.change is not None:
            gradients = self.change(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def skill(self) -> float:
        return float(self.score())

    def loss(self) -> Any:
        return self.forward(*(tf.convert_to_tensor(part) for part in self.batches(np.random.default_rng(self.seed))))


def _length(x: Any) -> int:
    return len(next(iter(x.values()))) if isinstance(x, dict) else len(x[0] if isinstance(x, (list, tuple)) else x)


def _first(x: Any, count: int) -> Any:
    return keras.tree.map_structure(lambda part: part[:count], x)
