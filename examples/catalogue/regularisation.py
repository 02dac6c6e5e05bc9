"""Against overfitting: early stopping, l1, l2, dropout, max-norm and more data, on few labelled images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from catalogue.bench import Bench, Trial, Trick
from catalogue.networks import compiled, dense_network
from data.images import Images

LABELLED = 100


def _few(bench: Bench) -> Images:
    return bench.images.first(LABELLED)


def _moved(bench: Bench) -> Images:
    """The few images, and each of them moved by one pixel in four directions."""
    images = _few(bench)
    square = images.x.reshape(-1, 8, 8)
    moved = [np.roll(square, shift, axis).reshape(len(square), -1) for shift in (-1, 1) for axis in (1, 2)]
    return replace(images, x=np.concatenate([images.x, *moved]), y=np.tile(images.y, 5))


def _network(_: Bench, **options: Any) -> keras.Model:
    return compiled(dense_network(2, "relu", "he_normal", **options), keras.optimizers.Adam(5e-3))


def _stop() -> tuple[keras.callbacks.Callback, ...]:
    return (keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True),)


def tricks() -> list[Trick]:
    free = Trial("unregularised", _network, _few)
    held = {
        "early stopping": Trial("early_stopping", _network, _few, _stop, validated=True),
        "l1": Trial("l1", partial(_network, kernel_regularizer=keras.regularizers.L1(1e-3)), _few),
        "l2": Trial("l2", partial(_network, kernel_regularizer=keras.regularizers.L2(3e-3)), _few),
        "dropout": Trial("dropout", partial(_network, dropout=0.3), _few),
        "max-norm": Trial("max_norm", partial(_network, kernel_constraint=keras.constraints.MaxNorm(1.0)), _few),
        "data augmentation": Trial("augmented", _network, _moved),
    }
    return [Trick("regularisation", name, free, trial) for name, trial in held.items()]
