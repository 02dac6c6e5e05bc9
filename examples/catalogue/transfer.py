"""Layers learnt on another task: reused, frozen in two ways, their output cached; and unsupervised pretraining.

The task is to tell the digits 5 to 9 apart from few labelled images; the other task are the digits 0 to 4, of which
there are plenty.
"""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
from catalogue.bench import Bench, Trial, Trick
from catalogue.networks import UNITS, compiled, dense_network, momentum
from data.images import Images
from experiment import train

LABELLED = 40
REUSED = ("hidden_1", "hidden_2")


def _few(bench: Bench) -> Images:
    return bench.images.of_classes(range(5, 10)).first(LABELLED)


def _network(bench: Bench) -> keras.Model:
    del bench
    return compiled(dense_network(3, "relu", "he_normal"))


OTHER_TASK = Trial("other_task", _network, lambda bench: bench.images.of_classes(range(5)))


def _reused(bench: Bench, *, frozen: bool) -> keras.Model:
    model, known = dense_network(3, "relu", "he_normal"), bench.model(OTHER_TASK)
    for name in REUSED:
        model.get_layer(name).set_weights(known.get_layer(name).get_weights())
        model.get_layer(name).trainable = not frozen
    return compiled(model)


def _stopped(bench: Bench) -> keras.Model:
    """The same by `stop_gradient`: the lower layers are handed to the optimizer, but the loss does not reach them."""
    lower, fresh = _reused(bench, frozen=False), dense_network(3, "relu", "he_normal")
    x = h = keras.Input((64,))
    for name in REUSED:
        h = lower.get_layer(name)(h)
    h = keras.layers.Lambda(keras.ops.stop_gradient, name="stop")(h)
    for name in ("hidden_3", "output"):
        h = fresh.get_layer(name)(h)
    return compiled(keras.Model(x, h))


def _cached_images(bench: Bench) -> Images:
    """What the second frozen layer gives, computed once."""
    known = bench.model(OTHER_TASK)
    images = _few(bench)
    lower = keras.Sequential([keras.Input((64,)), *(known.get_layer(name) for name in REUSED)])
    return Images(lower(images.x).numpy(), images.y, lower(images.test_x).numpy(), images.test_y)


def _upper(bench: Bench) -> keras.Model:
    del bench
    return compiled(dense_network(1, "relu", "he_normal", inputs=UNITS))


def _pretrained(bench: Bench) -> keras.Model:
    """Each layer first learns to let its input be rebuilt from its output, on all images, without their labels."""
    model = dense_network(2, "sigmoid", "glorot_normal")
    x, test_x = bench.images.x, bench.images.test_x
    for number, name in enumerate(REUSED, start=1):
        width = x.shape[1]
        encoder = keras.layers.Dense(UNITS, activation="sigmoid", name="encoder")
        autoencoder = keras.Sequential([keras.Input((width,)), encoder, keras.layers.Dense(width, name="decoder")])
        autoencoder.compile(keras.optimizers.Adam(1e-2), "mse")
        log_dir = bench.log_dir / f"autoencoder_{number}"
        nothing = np.zeros(len(x), np.int64)
        images = Images(x, nothing, test_x, nothing)
        train(autoencoder, images, log_dir, steps=bench.steps, seed=bench.seed, targets=x)
        model.get_layer(name).set_weights(encoder.get_weights())
        x = encoder(x).numpy()
    return compiled(model, momentum(0.3))


def _logistic(bench: Bench) -> keras.Model:
    del bench
    return compiled(dense_network(2, "sigmoid", "glorot_normal"), momentum(0.3))


def tricks() -> list[Trick]:
    scratch = Trial("from_scratch", _network, _few)
    few = Trial("without_pretraining", _logistic, lambda bench: bench.images.first(LABELLED))
    pretrained = Trial("pretrained", _pretrained, lambda bench: bench.images.first(LABELLED))
    return [
        Trick("reuse", "trained layers", scratch, Trial("reused", partial(_reused, frozen=False), _few)),
        Trick("freezing", "not trainable", scratch, Trial("frozen", partial(_reused, frozen=True), _few)),
        Trick("freezing", "stop_gradient", scratch, Trial("stopped", _stopped, _few)),
        Trick("freezing", "frozen part's output cached", scratch, Trial("cached", _upper, _cached_images)),
        Trick("pretraining", "stacked autoencoders", few, pretrained),
    ]
