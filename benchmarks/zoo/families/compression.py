"""Autoencoders, plain, sparse, denoising and variational."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("compression", half="think")


def _explained(truth: Any, made: Any) -> float:
    return skill.fit_of(np.reshape(truth, (len(truth), -1)), np.reshape(made, (len(truth), -1)))


def _two_parts(seed: int, *, both: bool = True) -> Loop:
    """Encoder and decoder are two models; the loop gathers the variables of both."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    pixels = keras.Input((64,))
    hidden = keras.layers.Dense(48, "relu", name="encoder_1")(pixels)
    encoder = keras.Model(pixels, keras.layers.Dense(6, name="encoder_2")(hidden), name="encoder")
    code = keras.Input((6,))
    hidden = keras.layers.Dense(48, "relu", name="decoder_1")(code)
    decoder = keras.Model(code, keras.layers.Dense(64, "sigmoid", name="decoder_2")(hidden), name="decoder")
    model = keras.Model(pixels, decoder(encoder(pixels)))
    optimizer = keras.optimizers.Adam(5e-3)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return (x[draw.integers(0, len(x), 64)],)

    def forward(pictures: Any) -> Any:
        return tf.reduce_mean(keras.losses.mean_squared_error(pictures, model(pictures, training=True)))

    def step(pictures: Any) -> Any:
        variables = decoder.trainable_variables + (encoder.trainable_variables if both else [])
        with tf.GradientTape() as tape:
            loss = forward(pictures)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def score() -> float:
        return _explained(x, model.predict(x, verbose=0))

    optimizer.build(model.trainable_variables)
    return Loop(model, optimizer, batches, forward, score, steps=600, seed=seed, step=step)


def _variational(seed: int, *, weight: float = 0.02, scale: float = 1.0) -> Fit:
    """Digits through eight noisy numbers; the divergence is summed over them and weighed."""
    keras.utils.set_random_seed(seed)

    class Noisy(keras.layers.Layer):
        def call(self, mean: Any, log_variance: Any) -> Any:
            divergence = keras.ops.exp(log_variance) + mean**2 - 1 - log_variance
            self.add_loss(weight * 0.5 * keras.ops.mean(keras.ops.sum(divergence, -1)))
            return mean + keras.ops.exp(log_variance / 2) * keras.random.normal(keras.ops.shape(mean))

    x, _ = data.digits()
    x = x * scale
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "relu", name="encoder")(inputs)
    mean = keras.layers.Dense(8, name="mean")(hidden)
    log_variance = keras.layers.Dense(8, name="log_variance")(hidden)
    code = Noisy(name="sample")(mean, log_variance)
    hidden = keras.layers.Dense(64, "relu", name="decoder")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, name="output")(hidden))
    return Fit(model, x, x, keras.optimizers.Adam(3e-3), "mse", _explained, steps=600, batch_size=64)


def _sparse(seed: int, *, sparsity: float = 1e-5) -> Fit:
    """The code's ReLUs are to be sparse: their sum is penalised."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "relu", name="encoder")(inputs)
    penalty = keras.regularizers.L1(sparsity)
    code = keras.layers.Dense(32, "relu", activity_regularizer=penalty, name="code")(hidden)
    hidden = keras.layers.Dense(64, "relu", name="decoder")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, "sigmoid", name="output")(hidden))
    return Fit(model, x, x, keras.optimizers.Adam(3e-3), "binary_crossentropy", _explained, steps=450, batch_size=64)


def _denoising(seed: int, *, bias: float = 0.1) -> Fit:
    """Bars are cleaned of noise by convolutions, down and up again; one stage down begins with its biases as given."""
    keras.utils.set_random_seed(seed)
    clean, _ = data.bars(seed, count=512)
    noisy = np.clip(clean + np.random.default_rng(seed).normal(0, 0.2, clean.shape), 0, 1).astype("f4")
    inputs = keras.Input(clean.shape[1:])
    start = keras.initializers.Constant(bias)
    maps = keras.layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="down_1")(inputs)
    maps = keras.layers.Conv2D(
        16, 3, strides=2, padding="same", activation="relu", bias_initializer=start, name="down_2"
    )(maps)
    maps = keras.layers.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu", name="up_1")(maps)
    maps = keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", name="up_2")(maps)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", name="output")(maps))
    return Fit(model, noisy, clean, keras.optimizers.Adam(3e-3), "mse", _explained, steps=320)


def _stacked(seed: int, *, activation: str = "elu") -> Fit:
    """A table of thirty columns through five layers of one activation, six numbers wide in the middle."""
    keras.utils.set_random_seed(seed)
    x = np.clip(data.standardised(data.cancer()[0]), -4, 4)
    hidden = inputs = keras.Input((30,))
    for number, width in enumerate((24, 16, 6, 16, 24), 1):
        hidden = keras.layers.Dense(width, activation, name=f"hidden_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(30, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    return Fit(model, x, x, optimizer, "mse", _explained, steps=500)


def _sharpened(seed: int, *, width: int = 16, slope: float = 1.0) -> Fit:
    """A code of sigmoids between tanh layers, steeper or flatter."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(48, "tanh", name="encoder")(inputs)
    code = keras.layers.Dense(width, name="code")(hidden)
    code = keras.layers.Rescaling(slope, name="slope")(code)
    code = keras.layers.Activation("sigmoid", name="squash")(code)
    hidden = keras.layers.Dense(48, "tanh", name="decoder")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, name="output")(hidden))
    optimizer = keras.optimizers.RMSprop(2e-3)
    return Fit(model, x, x, optimizer, "mse", _explained, steps=500, batch_size=64)


family.pair(
    "two-parts",
    _two_parts,
    sickness="variables-of-the-decoder-alone",
    sick={"both": False},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("encoder_1", "encoder_2", "encoder"),
    level=0.65,
)
family.pair(
    "variational",
    _variational,
    sickness="divergence-outweighs-the-picture",
    sick={"weight": 1.0},
    causes=["collapsed-representation", "constant-output"],
    level=0.3,
    healthy={"weight": 0.001},
)
family.pair(
    "variational-raw",
    _variational,
    sickness="pixels-to-255-under-an-exponential",
    sick={"scale": 255.0},
    causes=["nonfinite-values", "badly-scaled-input"],
    healthy={"weight": 0.001},
    level=0.3,
)
family.pair(
    "sparse",
    _sparse,
    sickness="penalty-of-a-tenth-on-the-code",
    sick={"sparsity": 0.1},
    causes=["dead-units", "collapsed-representation", "shrunken-weights"],
    layers=("code",),
    level=0.6,
)
family.pair(
    "denoising",
    _denoising,
    sickness="biases-of-minus-10-in-one-stage",
    sick={"bias": -10.0},
    causes=["dead-units"],
    layers=("down_2",),
    level=0.5,
)
family.pair(
    "sharpened",
    _sharpened,
    sickness="slope-of-100",
    sick={"slope": 100.0},
    causes=["saturated-activation", "gain-mismatch:too-large"],
    layers=("code", "slope", "squash"),
    level=0.6,
    every=25,
)
family.pair(
    "stacked",
    _stacked,
    sickness="sigmoids-all-the-way",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    layers=tuple(f"hidden_{number}" for number in range(1, 6)),
    level=0.6,
)
