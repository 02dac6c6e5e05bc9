"""What the loss is made of: which function judges which output against which targets."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from gradscope.diagnosis.evidence.called_loss import CalledLoss
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.reach import TargetRange, target_range
from gradscope.diagnosis.evidence.unnamed_loss import unnamed_loss
from gradscope.diagnosis.evidence.window import median
from gradscope.run import Run

__all__ = ["LossTerm", "full_name", "loss_entries", "loss_terms"]

_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "huber_loss": "huber",
}


@dataclass(frozen=True)
class LossTerm:
    """One loss function, the output it judges and what it compares it with."""

    name: str
    """As Keras calls it in full: ``sparse_categorical_crossentropy``."""
    from_logits: bool | None
    """None where unknown or without meaning for this loss."""
    output: Layer | None
    """None where it is not known which output this term judges."""
    least: float
    """Least entry that the output had at any sampled step; NaN if unknown."""
    greatest: float
    samples: int
    """Sampled steps at which the output's range is known."""
    steepest: float
    """The greatest |∂loss/∂y| of an entry of the output, times the number of answers that the loss is a mean over: at
    most 1 where the loss takes softmax or sigmoid of the output; NaN if unknown."""
    broadcast: bool
    """True where each answer is compared with the targets of other examples too."""
    target: str
    """Name of the recorded tensor of kind ``target``; empty where it is not known which of several this term uses."""
    weight: float
    """What this term counts for in the sum of all, as configured; NaN if unknown."""
    summed: float
    """How many answers this term adds up; 1 where it takes their mean, NaN if unknown."""
    targets: TargetRange
    """All NaN where they were not recorded, or it is not known which of several this term uses."""
    logits: Layer | None
    """The layer that makes the logits, where softmax or sigmoid is a layer of its own."""
    silent: float
    """Share of the answers that are exactly zero, less that of the targets, over the second half of the samples; NaN if
    unknown."""
    weighted_share: float
    """Mean target by the weights of the examples; NaN where they have none, or it is unknown."""
    delta: float
    """Of a Huber loss: from which error on it is no longer squared; 1 where it was not recorded."""
    label_smoothing: float
    """Share of each target that is given to all classes alike; 0 where it was not recorded."""
    from_preactivation: bool
    """True where Keras computed the loss from the argument of the output's activation and so passed the activation by:
    it does so with softmax and sigmoid, whatever ``from_logits`` says."""

    @property
    def activation(self) -> str:
        """Name of the output's activation; empty if unknown."""
        return self.output.activation if self.output else ""

    @property
    def logits_activation(self) -> str:
        """Name of the activation of the layer that makes the logits; empty where there is none, or unknown."""
        return self.logits.activation if self.logits else ""

    @property
    def units(self) -> int | None:
        """Units of the output; None if unknown."""
        return self.output.card.units if self.output and self.output.card else None


def loss_terms(run: Run, layers: tuple[Layer, ...], called_loss: CalledLoss) -> tuple[LossTerm, ...]:
    """The terms in the order of the model card's ``losses``.

    Where there are several, each output must be named, and there must be as many recorded targets as terms. A run that
    names no loss (a loop of one's own) has the one that `unnamed_loss` finds, or none.
    """
    known = [entry for entry in loss_entries(run) if entry.get("name")]
    targets = run.names("target")
    outputs = [layer for layer in layers if layer.gives_answers]
    if not known and not run.settings.get("loss"):
        known = [{"name": unnamed_loss(run, outputs[0])}] if len(outputs) == 1 else []
        known = [{**entry, "inferred": True} for entry in known if entry["name"]]
    return tuple(
        _term(
            run,
            layers,
            entry,
            output=_judged_output(outputs, entry, alone=len(known) == 1),
            target=_compared_target(targets, known, i),
            called_loss=called_loss,
        )
        for i, entry in enumerate(known)
    )


def loss_entries(run: Run) -> list[dict[str, Any]]:
    """What the model card tells of each loss function; empty where it names none."""
    entries = run.settings.get("losses")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _compared_target(targets: tuple[str, ...], entries: list[dict[str, Any]], place: int) -> str:
    told = entries[place].get("target")
    if told in targets:
        return str(told)
    # Older logs do not tell; lists are in the order of the outputs.
    return targets[place] if len(targets) == len(entries) else ""


def full_name(name: str) -> str:
    """The name of a loss as Keras calls it in full."""
    return _SHORT.get(name.lower(), name.lower())


def _judged_output(outputs: list[Layer], entry: dict[str, Any], *, alone: bool) -> Layer | None:
    named = [layer for layer in outputs if layer.name == entry.get("output")]
    return named[0] if named else outputs[0] if alone and len(outputs) == 1 else None


def _term(
    run: Run,
    layers: tuple[Layer, ...],
    entry: dict[str, Any],
    *,
    output: Layer | None,
    target: str,
    called_loss: CalledLoss,
) -> LossTerm:
    logits = entry.get("from_logits")
    weight = entry.get("weight", 1.0)
    bypass = output is not None and np.isfinite(run.series("preactivation_gradient", output.name, "count")).any()
    low = run.series("activation", output.name if output else "", "min")
    high = run.series("activation", output.name if output else "", "max")
    known = np.isfinite(low) & np.isfinite(high)
    return LossTerm(
        full_name(str(entry["name"])),
        logits if isinstance(logits, bool) else None,
        output,
        least=float(low[known].min()) if known.any() else nan,
        greatest=float(high[known].max()) if known.any() else nan,
        samples=int(known.sum()),
        target=target,
        steepest=_steepest(run, output),
        broadcast=bool(entry.get("broadcast", entry.get("inferred") and _is_broadcast(run, output, target))),
        weight=called_loss.weight if weight is None else float(weight),
        summed=_summed(run, entry, output),
        targets=target_range(run, target),
        logits=_logits(layers, output),
        silent=_silent(run, output, target),
        weighted_share=_weighted_share(run, target),
        delta=float(entry.get("delta", 1.0)),
        label_smoothing=float(entry.get("label_smoothing", 0.0)),
        from_preactivation=bool(bypass),
    )


def _logits(layers: tuple[Layer, ...], output: Layer | None) -> Layer | None:
    card = output.card if output else None
    if card is None or card.kind not in ("Softmax", "Activation") or not card.inbound or len(card.inbound) != 1:
        return None
    return next((layer for layer in layers if layer.name == (card.inbound or ("",))[0]), None)


def _summed(run: Run, entry: dict[str, Any], output: Layer | None) -> float:
    """How many answers the term adds up; 1 where it takes their mean."""
    if entry.get("reduction") != "sum":
        return 1.0
    units = (output.card.units if output and output.card else None) or nan
    return median(run.series("activation", output.name if output else "", "count").astype(np.float64)) / units


def _silent(run: Run, output: Layer | None, target: str) -> float:
    answers = run.series("activation", output.name if output else "", "zero_fraction")
    return median((answers - run.series("target", target, "zero_fraction"))[len(run.steps) // 2 :])


def _weighted_share(run: Run, target: str) -> float:
    products = run.series("target", target, "weighted_mean").astype(np.float64)
    weights = run.step_statistics.get("example_weight", np.full(len(products), nan)).astype(np.float64)
    known = np.isfinite(products) & np.isfinite(weights)
    total = float(weights[known].sum())
    return float(products[known].sum()) / total if total > 0 else nan


def _steepest(run: Run, output: Layer | None) -> float:
    if output is None or not (output.card and output.card.units):
        return nan
    gradient = [run.series("activation_gradient", output.name, statistic) for statistic in ("min", "max", "count")]
    least, greatest, count = (series.astype(np.float64) for series in gradient)
    sizes = np.fmax(np.abs(least), np.abs(greatest)) * count / output.card.units
    known = sizes[np.isfinite(sizes)]
    return float(known.max()) if len(known) else nan


def _is_broadcast(run: Run, output: Layer | None, target: str) -> bool:
    """Whether the targets have an axis less than answers of one number each."""
    shapes = run.settings.get("target_shapes")
    asked = shapes.get(target) if isinstance(shapes, dict) else None
    given = output.card.output_shape if output and output.card else ()
    return isinstance(asked, list) and len(asked) + 1 == len(given) and given[-1] == 1
