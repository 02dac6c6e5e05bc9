"""Models with a `train_step` of their own, trained by `fit`."""

from __future__ import annotations

from typing import Any

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("own_steps", half="think")


def _narrow(seed: int, *, head_only: bool = False) -> Fit:
    """Mixes examples and their labels before it trains."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed)

    class Mixing(keras.Model):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            share = tf.random.uniform((tf.shape(x)[0], 1), 0.9, 1.0)
            x = share * x + (1 - share) * tf.reverse(x, [0])
            y = share * y + (1 - share) * tf.reverse(y, [0])
            variables = self.trainable_variables[-2:] if head_only else self.trainable_variables
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return {"loss": loss}

    inputs = keras.Input((2,))
    hidden = dense_stack(inputs, 24, 2, activation="relu")
    model = Mixing(inputs, keras.layers.Dense(3, name="output")(hidden))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(1e-2)
    return Fit(model, x, keras.utils.to_categorical(y), optimizer, loss, skill.classes, steps=400)


def _averaged(seed: int, *, twice: bool = False) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.digits()

    class Averaging(keras.Model):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                logits = self(x, training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
                if twice:
                    loss /= tf.cast(tf.shape(x)[0], loss.dtype)
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 64, 2, activation="gelu")
    model = Averaging(inputs, keras.layers.Dense(10, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=280, batch_size=128)


def _focal(seed: int, *, power: float = 2.0) -> Fit:
    """A focal loss of one's own: (1 - p)^power · -log p."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, spread=0.3)

    def loss(truth: Any, logits: Any) -> Any:
        logs = tf.reduce_sum(truth * tf.nn.log_softmax(logits), -1)
        return -((1 - tf.exp(logs)) ** power) * logs

    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 64, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(5, name="output")(hidden))
    optimizer = keras.optimizers.Adam(1e-2)
    return Fit(model, x, keras.utils.to_categorical(y), optimizer, loss, skill.classes, steps=900)


def _layer_wise(seed: int, *, factor: float = 0.95) -> Fit:
    """Lower layers get smaller steps, each ``factor`` times that of the next."""
    keras.utils.set_random_seed(seed)
    x, y = data.parity(seed)

    class LayerWise(keras.Model):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            variables = self.trainable_variables
            gradients = tape.gradient(loss, variables)
            above = [(len(variables) - 1 - place) // 2 for place in range(len(variables))]
            self.optimizer.apply([g * factor**n for g, n in zip(gradients, above, strict=True)], variables)
            return {"loss": loss}

    inputs = keras.Input((8,))
    hidden = dense_stack(inputs, 10, 5, activation="tanh")
    model = LayerWise(inputs, keras.layers.Dense(2, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=900)


def _sharpness(seed: int, *, undone: bool = True) -> Fit:
    """Sharpness-aware: takes the gradient where the weights were moved uphill, and moves them back."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, spread=1.3)

    class SharpnessAware(keras.Model):
        def _gradients(self, x: Any, y: Any) -> tuple[Any, list[Any]]:
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            return loss, tape.gradient(loss, self.trainable_variables)

        def train_step(self, batch: Any) -> dict[str, Any]:
            loss, gradients = self._gradients(*batch)
            length = tf.linalg.global_norm(gradients)
            moves = [0.2 * gradient / (length + 1e-9) for gradient in gradients]
            for variable, move in zip(self.trainable_variables, moves, strict=True):
                variable.assign_add(move)
            _, gradients = self._gradients(*batch)
            for variable, move in zip(self.trainable_variables, moves, strict=True):
                if undone:
                    variable.assign_sub(move)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 32, 2, activation="relu")
    model = SharpnessAware(inputs, keras.layers.Dense(5, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.SGD(0.05), cross_entropy(), skill.classes, steps=320)


family.pair(
    "mixed-up",
    _narrow,
    sickness="only-the-head-is-listed",
    sick={"head_only": True},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("hidden_1", "hidden_2"),
    level=0.7,
)
family.pair(
    "averaged",
    _averaged,
    sickness="averaged-twice",
    sick={"twice": True},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "focal",
    _focal,
    sickness="root-in-the-focal-loss",
    sick={"power": 0.5},
    causes=["nonfinite-values"],
    level=0.7,
)
family.pair(
    "layer-wise",
    _layer_wise,
    sickness="factor-taken-for-its-complement",
    sick={"factor": 0.05},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
    layers=("hidden_1", "hidden_2", "hidden_3", "hidden_4"),
    level=0.6,
)
family.pair(
    "sharpness",
    _sharpness,
    sickness="uphill-move-not-undone",
    sick={"undone": False},
    causes=["diverging-loss", "learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient"],
    level=0.5,
)
