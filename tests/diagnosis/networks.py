"""The networks that the rules are tried on: name -> function that trains one and gives its Run."""

from __future__ import annotations

from functools import partial

import numpy as np
from simulation import Net, Training, dense_then_sparse, gaussian, glorot, he, simulate

small = gaussian(1e-3)


def autoencoder(widths, *, init=small, bias=lambda rng, n: rng.normal(0, 1e-3, n), every=10, seed=0, steps=10_000):
    def scalar(rng):
        x = rng.uniform(-1, 1, (1, 1))
        return x, x

    net = Net(widths, [*["relu"] * (len(widths) - 2), "linear"], init, bias)
    training = Training(
        scalar,
        estimate_factor=2.0,
        learning_rate=1e-3,
        clip_value=4.5,
        steps=steps,
        sampled=dense_then_sparse(every),
    )
    return simulate(net, training, seed)


positive = lambda rng, n: np.full(n, 0.1)  # noqa: E731
two_layer = partial(autoencoder, (1, 16, 1))
three_layer = partial(autoencoder, (1, 16, 16, 1))
three_layer_fixed = partial(autoencoder, (1, 16, 16, 1), init=glorot, bias=positive)


def regression(hidden, activation, init, *, batch=32, width=32, offset=0.0, seed=0, skip=False, bias=None, **training):
    def sample(rng):
        x = rng.normal(0, 1, (batch, 8))
        return x, np.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3] + offset

    net = Net((8, *[width] * hidden, 1), [*[activation] * hidden, "linear"], init, skip=skip)
    if bias is not None:
        net.bias = bias
    return simulate(net, Training(sample, **training), seed)


def classification(
    hidden, activation, init, *, batch=32, width=32, seed=0, input_scale=1.0, separation=2.0, **training
):
    centres = np.random.default_rng(99).normal(0, separation, (5, 8))

    def sample(rng):
        label = rng.integers(0, 5, batch)
        return input_scale * (centres[label] + rng.normal(0, 1, (batch, 8))), np.eye(5)[label]

    net = Net((8, *[width] * hidden, 5), [*[activation] * hidden, "softmax"], init)
    return simulate(net, Training(sample, loss="crossentropy", **training), seed)


HEALTHY = {
    "relu regression sgd": partial(regression, 5, "relu", he, learning_rate=0.01),
    "relu regression adam": partial(regression, 5, "relu", he, optimizer="adam", learning_rate=1e-3),
    "relu glorot regression adam": partial(regression, 5, "relu", glorot, optimizer="adam", learning_rate=1e-3),
    "tanh regression sgd": partial(regression, 5, "tanh", glorot, learning_rate=0.01),
    "tanh regression sgd batch 1": partial(regression, 5, "tanh", glorot, learning_rate=0.003, batch=1, steps=6000),
    "relu regression sgd batch 1": partial(regression, 3, "relu", he, learning_rate=0.002, batch=1, steps=6000),
    "sigmoid shallow adam": partial(regression, 1, "sigmoid", glorot, optimizer="adam", learning_rate=3e-3),
    "sigmoid two hidden adam": partial(regression, 2, "sigmoid", glorot, optimizer="adam", learning_rate=3e-3),
    "linear layer": partial(regression, 0, "relu", glorot, learning_rate=0.01),
    "relu classification sgd": partial(classification, 5, "relu", he, learning_rate=0.05),
    "relu classification adam": partial(classification, 5, "relu", he, optimizer="adam", learning_rate=1e-3),
    "tanh classification adam": partial(classification, 5, "tanh", glorot, optimizer="adam", learning_rate=1e-3),
    "converged classification": partial(
        classification, 2, "relu", he, optimizer="adam", learning_rate=3e-3, separation=6.0, steps=4000
    ),
    "deep relu he": partial(regression, 12, "relu", he, optimizer="adam", learning_rate=5e-4),
    "deep relu glorot": partial(regression, 12, "relu", glorot, optimizer="adam", learning_rate=5e-4),
    "deep tanh sgd": partial(regression, 12, "tanh", glorot, learning_rate=0.01),
    "deep residual": partial(regression, 20, "tanh", gaussian(0.03), learning_rate=0.01, skip=True),
    "large target offset": partial(regression, 2, "relu", he, optimizer="adam", learning_rate=3e-2, offset=1000.0),
    "short": partial(regression, 3, "relu", he, learning_rate=0.01, steps=30),
    "three steps": partial(regression, 3, "relu", he, learning_rate=0.01, steps=3),
    "one step": partial(regression, 3, "relu", he, learning_rate=0.01, steps=1),
    "frozen first layers": partial(regression, 4, "relu", he, learning_rate=0.01, frozen=("hidden_1", "hidden_2")),
    "decaying learning rate": partial(
        classification, 3, "relu", he, learning_rate=lambda step: 0.05 * 0.995**step, steps=3000
    ),
    "leaky sgd": partial(regression, 6, "leaky", he, learning_rate=0.01),
    "narrow relu batch 1": partial(regression, 3, "relu", he, width=6, batch=1, learning_rate=0.003, steps=5000),
}
"""Networks that learn: no finding may be an error."""

FOUNDING = {
    f"{name} {how} {seed}": partial(function, every=every, seed=seed)
    for name, function in (("two_layer", two_layer), ("three_layer", three_layer), ("fixed", three_layer_fixed))
    for how, every in (("sparse", 100), ("dense", 10))
    for seed in range(3)
    if how == "sparse" or (seed == 0 and name == "three_layer")
}

SICK = {
    "sigmoid deep sgd": partial(classification, 10, "sigmoid", glorot, learning_rate=0.05),
    "sigmoid deep sgd short": partial(classification, 10, "sigmoid", glorot, learning_rate=0.05, steps=60),
    "relu tiny weights": partial(regression, 8, "relu", gaussian(0.01), learning_rate=0.01),
    "relu huge weights": partial(regression, 8, "relu", gaussian(3.0), learning_rate=1e-3),
    "tanh huge weights": partial(classification, 5, "tanh", gaussian(8.0), learning_rate=0.01),
    "rate far too large": partial(regression, 4, "relu", he, learning_rate=5.0),
    "rate too large": partial(regression, 4, "relu", he, learning_rate=0.5),
    "adam rate far too large": partial(regression, 4, "relu", he, optimizer="adam", learning_rate=1.0),
    "rate far too small": partial(regression, 4, "relu", he, learning_rate=1e-9),
    "dead from the start": partial(
        regression, 3, "relu", he, learning_rate=0.01, bias=lambda rng, n: np.full(n, -30.0 if n > 1 else 0.0)
    ),
    "unscaled input": partial(classification, 3, "tanh", glorot, learning_rate=0.01, input_scale=1000.0),
}
"""Networks that do not learn."""

NETWORKS = HEALTHY | FOUNDING | SICK
