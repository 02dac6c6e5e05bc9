"""The bench that remedies are tried on: train once what is asked for, record it, measure it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from data.images import Images
from experiment import accuracy, train, verdict

import gradscope
from gradscope.diagnosis.evidence import Evidence
from gradscope.diagnosis.evidence.window import median


@dataclass(frozen=True)
class Trial:
    """One network and how it is trained; trials of the same name are the same and train once."""

    name: str
    build: Callable[[Bench], keras.Model]
    """Gives the compiled model; it may train others on the bench first."""
    images: Callable[[Bench], Images] = lambda bench: bench.images
    callbacks: Callable[[], tuple[keras.callbacks.Callback, ...]] = tuple
    validated: bool = False
    """Whether the test images are looked at while it trains, as early stopping needs."""


@dataclass(frozen=True)
class Trick:
    """A sick (or lesser) network, and the same with the remedy."""

    family: str
    name: str
    before: Trial
    after: Trial


@dataclass(frozen=True)
class Measured:
    """What a trial came to; NaN where it does not apply."""

    name: str
    decay: float  # gradient per layer towards the input: 1 keeps it, 0.1 loses a decade per layer
    ill_share: float  # greatest share of dead units (ReLU) or saturated entries (bounded) among the hidden layers
    update_ratio: float  # update-to-weight ratio of the first kernel that learns
    accuracy: float  # on the test images
    train_accuracy: float
    healthy: bool
    verdict: str


@dataclass
class Bench:
    """Trains trials, each once."""

    images: Images
    log_dir: Path
    steps: int
    seed: int
    models: dict[str, keras.Model] = field(default_factory=dict)
    _measured: dict[str, Measured] = field(default_factory=dict)

    def model(self, trial: Trial) -> keras.Model:
        """The trained model of a trial."""
        if trial.name not in self.models:
            keras.utils.set_random_seed(self.seed)
            model = trial.build(self)
            train(
                model,
                trial.images(self),
                self.log_dir / trial.name,
                steps=self.steps,
                seed=self.seed,
                callbacks=trial.callbacks(),
                epochs=10 if trial.validated else 1,
                validated=trial.validated,
            )
            self.models[trial.name] = model
        return self.models[trial.name]

    def measure(self, trial: Trial) -> Measured:
        """What a trial came to."""
        if trial.name not in self._measured:
            model, images = self.model(trial), trial.images(self)
            run = gradscope.read_run(self.log_dir / trial.name)
            diagnosis = gradscope.diagnose(run)
            self._measured[trial.name] = Measured(
                trial.name,
                _decay(run),
                _ill_share(run),
                _update_ratio(run),
                accuracy(model, images.test_x, images.test_y),
                accuracy(model, images.x, images.y),
                diagnosis.healthy,
                verdict(diagnosis),
            )
        return self._measured[trial.name]


def _decay(run: gradscope.Run) -> float:
    flow = Evidence(run)["flow"]
    if flow.missing:
        return float("nan")
    return median(flow.gradient[:, 0]) ** (1 / len(flow.layers))


def _ill_share(run: gradscope.Run) -> float:
    shares = []
    for layer in Evidence(run)["layers"]:
        statistic = {"rectifier": "dead_unit_fraction", "bounded": "saturation_fraction"}.get(layer.shape)
        if statistic and not layer.is_output:
            shares.append(median(run.series("activation", layer.name, statistic)))
            shares.append(median(run.series("preactivation", layer.name, statistic)))
    known = [share for share in shares if np.isfinite(share)]
    return max(known, default=float("nan"))


def _update_ratio(run: gradscope.Run) -> float:
    kernels = Evidence(run)["kernels"]
    return median(kernels[0].update_to_weight_ratio) if kernels else float("nan")
