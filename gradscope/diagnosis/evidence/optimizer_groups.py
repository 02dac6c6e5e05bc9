"""What each optimizer of a run steers: a GAN has two, and one of them may have the wrong learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from gradscope.diagnosis.evidence.learning_rate import LearningRate
from gradscope.diagnosis.evidence.nonfinite import Nonfinite
from gradscope.diagnosis.evidence.optimizer_settings import optimizer_settings
from gradscope.diagnosis.evidence.travel import Travel
from gradscope.diagnosis.evidence.window import Window, finite_window, median
from gradscope.run import Run

__all__ = ["OptimizerGroup", "optimizer_groups"]


@dataclass(frozen=True, eq=False)
class OptimizerGroup:
    """The kernels that one optimizer trains."""

    paths: tuple[Travel, ...]
    """In forward order, at least one."""
    learning_rate: float
    """The largest of the run; of one of several optimizers the configured one; NaN if unknown."""
    layers: tuple[str, ...] = ()
    """Whose kernels they are, in forward order; empty where one optimizer trains all."""
    gradient_left: float = nan
    """Norm of all their gradients together, late over early; NaN if unknown."""

    @property
    def pace(self) -> float:
        """‖update‖ / ‖weight‖ over the last third of the samples, the median over the kernels."""
        return median(np.array([median(path.sizes[-max(1, len(path.sizes) // 3) :]) for path in self.paths]))

    @property
    def largest_step(self) -> float:
        """‖update‖ / ‖weight‖ of each kernel's largest sampled step, as in `Travel`: the median over the kernels."""
        return median(np.array([path.largest for path in self.paths]))

    @property
    def growth(self) -> float:
        """By what the weights have grown at the last sample, the median over the kernels; NaN if unknown."""
        return median(np.array([path.growth[-1] for path in self.paths]))

    @property
    def farthest(self) -> Travel:
        """The path that led farthest.

        Embeddings begin far smaller than other kernels, so the same step carries them far: they count only where there
        is nothing else.
        """
        matrices = [path for path in self.paths if path.kernel.role != "embeddings"] or self.paths
        return max(matrices, key=lambda path: path.distance)


def optimizer_groups(
    run: Run, travel: tuple[Travel, ...], learning_rate: LearningRate, nonfinite: Nonfinite
) -> tuple[OptimizerGroup, ...]:
    """One group per optimizer that moved a kernel; one group of all where there is one optimizer, or none known."""
    trainers = {variable.name: variable.optimizer for variable in run.model.variables}
    groups: dict[int, list[Travel]] = {}
    for path in travel:
        if (place := trainers.get(path.kernel.name)) is not None:
            groups.setdefault(place, []).append(path)
    if len(groups) <= 1:
        return (OptimizerGroup(travel, learning_rate.largest),) if travel else ()
    return tuple(
        OptimizerGroup(
            tuple(paths),
            optimizer_settings(run, paths[0].kernel.name).learning_rate,
            tuple(dict.fromkeys(path.kernel.layer.name for path in paths)),
            _gradient_left(run, paths, finite_window(run, nonfinite)),
        )
        for paths in groups.values()
    )


def _gradient_left(run: Run, paths: list[Travel], window: Window) -> float:
    norms = [run.series("gradient", path.kernel.name, "norm").astype(np.float64) for path in paths]
    together = np.sqrt(np.sum(np.square(norms), axis=0))  # NaN where one was not sampled
    early, late = window.early_level(together), median(together[window.late])
    return late / early if early > 0 else nan
