"""Training steps written out: networks with two optimizers, and loops around a tape."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("foundry", half="think")


def _network(name: str, entries: int, width: int, outputs: int, inner: str, **output: Any) -> Any:
    inputs = keras.Input((entries,))
    hidden = keras.layers.Dense(width, inner, name=f"{name}_1")(inputs)
    hidden = keras.layers.Dense(width, inner, name=f"{name}_2")(hidden)
    return keras.Model(inputs, keras.layers.Dense(outputs, name=f"{name}_output", **output)(hidden), name=name)


def _castings(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and points of a ring between -1 and 1."""
    draw = np.random.default_rng(seed)
    angle, radius = draw.uniform(0, 2 * np.pi, 1200), draw.normal(0.75, 0.05, (1200, 1))
    return draw.normal(size=(1200, 6)).astype("f4"), (radius * np.stack([np.cos(angle), np.sin(angle)], 1)).astype("f4")


def _critic_with_penalty(seed: int, *, epsilon: float = 1e-12) -> Fit:
    """Wasserstein with a penalty on the critic's slope; the critic's last layer starts at zero."""
    keras.utils.set_random_seed(seed)

    class Foundry(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker = _network("maker", 6, 32, 2, "relu")
            self.critic = _network("critic", 2, 48, 1, "leaky_relu", kernel_initializer="zeros")
            self.critic_optimizer = keras.optimizers.Adam(2e-3, beta_1=0.5, beta_2=0.9)

        def call(self, noise: Any) -> Any:
            return self.maker(noise)

        def compute_loss(self, x: Any = None, y: Any = None, *_: Any, **__: Any) -> Any:
            return -tf.reduce_mean(self.critic(self.maker(x)))

        def penalty(self, real: Any, made: Any) -> Any:
            mixed = real + tf.random.uniform((tf.shape(real)[0], 1)) * (made - real)
            with tf.GradientTape() as tape:
                tape.watch(mixed)
                judged = self.critic(mixed)
            slope = tf.sqrt(tf.reduce_sum(tape.gradient(judged, mixed) ** 2, -1) + epsilon)
            return tf.reduce_mean((slope - 1) ** 2)

        def train_step(self, batch: Any) -> dict[str, Any]:
            noise, real = batch
            for _ in range(2):
                with tf.GradientTape() as tape:
                    made = self.maker(noise)
                    judged = tf.reduce_mean(self.critic(made)) - tf.reduce_mean(self.critic(real))
                    judged += 1.0 * self.penalty(real, made)
                variables = self.critic.trainable_variables
                self.critic_optimizer.apply(tape.gradient(judged, variables), variables)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(noise)
            variables = self.maker.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss, "critic_loss": judged}

    noise, real = _castings(seed)
    optimizer = keras.optimizers.Adam(5e-4, beta_1=0.5, beta_2=0.9)
    return Fit(Foundry(), noise, real, optimizer, "mse", skill.likeness, steps=700, batch_size=64)


def _mould(seed: int, *, activation: str = "tanh") -> Fit:
    """A generator against a discriminator."""
    keras.utils.set_random_seed(seed)
    loss_of = keras.losses.BinaryCrossentropy(from_logits=True)

    class Mould(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker = _network("maker", 6, 32, 2, "relu", activation=activation)
            self.judge = _network("judge", 2, 48, 1, "leaky_relu")
            self.judge_optimizer = keras.optimizers.Adam(2e-3, beta_1=0.5)

        def call(self, noise: Any) -> Any:
            return self.maker(noise)

        def compute_loss(self, x: Any = None, y: Any = None, *_: Any, **__: Any) -> Any:
            judged = self.judge(self.maker(x))
            return loss_of(tf.ones_like(judged), judged)

        def train_step(self, batch: Any) -> dict[str, Any]:
            noise, real = batch
            with tf.GradientTape() as tape:
                of_real, of_made = self.judge(real), self.judge(self.maker(noise))
                judged = loss_of(tf.ones_like(of_real), of_real) + loss_of(tf.zeros_like(of_made), of_made)
            variables = self.judge.trainable_variables
            self.judge_optimizer.apply(tape.gradient(judged, variables), variables)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(noise)
            variables = self.maker.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"maker_loss": loss, "judge_loss": judged}

    noise, real = _castings(seed)
    return Fit(
        Mould(), noise, real, keras.optimizers.Adam(2e-3, beta_1=0.5), "mse", skill.likeness, steps=800, batch_size=64
    )


def _taught(seed: int, *, factor: float = 16.0) -> Fit:
    """A small network learns from a large one's softened answers; the loss is times the temperature squared."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    teacher = keras.Sequential([keras.Input((64,)), keras.layers.Dense(96, "relu"), keras.layers.Dense(10)])
    teacher.compile(keras.optimizers.Adam(5e-3), cross_entropy())
    teacher.fit(x, y, batch_size=64, epochs=6, verbose=0)
    temperature = 4.0

    class Student(keras.Model):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
            wanted = tf.nn.softmax(teacher(x) / temperature)
            softened = tf.nn.softmax_cross_entropy_with_logits(wanted, y_pred / temperature)
            return factor * tf.reduce_mean(softened)

    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(24, "relu", name="hidden")(inputs)
    student = Student(inputs, keras.layers.Dense(10, name="top")(hidden))
    return Fit(student, x, y, keras.optimizers.SGD(0.03), "mse", skill.classes, steps=500, batch_size=64)


def _normalised_steps(seed: int, *, epsilon: float = 1e-8) -> Fit:
    """Each gradient is divided by its length before it is applied; the last layer starts at zero."""
    keras.utils.set_random_seed(seed)
    x, y = data.wine()

    class Normalised(keras.Model):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            gradients = [gradient / (tf.norm(gradient) + epsilon) for gradient in gradients]
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    inputs = keras.Input((13,))
    hidden = keras.layers.Dense(16, "tanh", name="hidden")(inputs)
    model = Normalised(inputs, keras.layers.Dense(3, kernel_initializer="zeros", name="output")(hidden))
    return Fit(model, data.standardised(x), y, keras.optimizers.SGD(0.05), cross_entropy(), skill.classes, steps=200)


def _squeezed(seed: int, *, summed: bool = False) -> Loop:
    """An autoencoder in a loop of one's own."""
    keras.utils.set_random_seed(seed)
    pixels, _ = data.digits()
    encoder = _network("encoder", 64, 48, 10, "elu")
    decoder = _network("decoder", 10, 48, 64, "elu")
    model = keras.Sequential([encoder, decoder])

    def forward(batch: Any) -> Any:
        error = (model(batch, training=True) - batch) ** 2
        return tf.reduce_sum(error) if summed else 64 * tf.reduce_mean(error)

    return Loop(
        model,
        keras.optimizers.SGD(5e-3, momentum=0.9),
        lambda draw: (pixels[draw.integers(0, len(pixels), 64)],),
        forward,
        lambda: skill.fit_of(pixels, model.predict(pixels, verbose=0)),
        steps=400,
        seed=seed,
    )


family.pair(
    "critic-with-penalty",
    _critic_with_penalty,
    sickness="length-of-no-slope",
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
    level=0.5,
)
family.pair(
    "mould",
    _mould,
    sickness="sigmoid-for-points-from-minus-1",
    sick={"activation": "sigmoid"},
    causes=["saturated-activation", "mismatched-loss"],
    layers=("maker_output",),
    level=0.5,
)
family.pair(
    "taught",
    _taught,
    sickness="temperature-not-made-up-for",
    sick={"factor": 1.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
    every=10,
)
family.pair(
    "normalised-steps",
    _normalised_steps,
    sickness="divided-by-a-length-of-zero",
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
    level=0.7,
    every=1,
)
family.pair(
    "squeezed",
    _squeezed,
    sickness="summed-over-the-batch",
    sick={"summed": True},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "exploding-gradient"],
    level=0.5,
)
