"""What each optimizer of a run steers: a GAN has two, and one of them may have the wrong learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from gradscope.diagnosis.evidence.learning_rate import LearningRate
from gradscope.diagnosis.evidence.travel import Travel
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

    @property
    def farthest(self) -> Travel:
        """The path that led farthest.

        Embeddings begin far smaller than other kernels, so the same step carries them far: they count only where there
        is nothing else.
        """
        matrices = [path for path in self.paths if path.kernel.role != "embeddings"] or self.paths
        return max(matrices, key=lambda path: path.distance)


def optimizer_groups(run: Run, travel: tuple[Travel, ...], learning_rate: LearningRate) -> tuple[OptimizerGroup, ...]:
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
            tuple(paths), _configured_rate(run, place), tuple(dict.fromkeys(path.kernel.layer.name for path in paths))
        )
        for place, paths in groups.items()
    )


def _configured_rate(run: Run, place: int) -> float:
    settings = run.settings.get("optimizers")
    entry = settings[place] if isinstance(settings, list) and place < len(settings) else None
    rate = entry.get("learning_rate") if isinstance(entry, dict) else None
    return float(rate) if isinstance(rate, (int, float)) else nan
