"""toy_run: a small made-up run, healthy unless told otherwise; the examples of the rules are built from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradscope.model_card import ActivationCard, LayerCard, ModelCard, VariableCard
from gradscope.run import Run, TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = ["toy_run"]

Values = float | Sequence[float] | npt.NDArray[np.floating]
_UNITS = 16
_SHAPES = {"relu": "rectifier", "linear": "linear", "tanh": "bounded", "sigmoid": "bounded", "softmax": "joint"}
_SCALED = ("mean", "std", "rms", "norm", "abs_mean", "min", "max")
_SIZES = {
    "weight": 0.35,
    "update": 3.5e-4,
    "gradient": 0.1,
    "activation": 0.7,
    "preactivation": 1.0,
    "activation_gradient": 0.2,
    "input": 1.0,
    "target": 1.0,
}
_ROLES: Mapping[str, tuple[str, ...]] = {
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "Dropout": (),
}
_STATISTICS_OF_BATCHES = {
    "gamma": (1.0, 1.0),
    "moving_mean": (0.35, 0.35),
    "moving_variance": (0.49, 0.49),
}  # mean, rms


def toy_run(
    scale: Mapping[tuple[str, str], Values] | None = None,
    put: Mapping[tuple[str, str, str], Values] | None = None,
    *,
    hidden: int = 2,
    activation: str = "relu",
    steps: Sequence[int] = tuple(range(0, 300, 10)),
    loss: Values | None = None,
    frozen: Sequence[str] = (),
    omitted: Sequence[str] = (),
    card: bool = True,
    batch_norm: bool = False,
    dropout: float | None = None,
    settings: Mapping[str, Any] | None = None,
    step: Mapping[str, Values] | None = None,
) -> Run:
    """A run of a stack of ``Dense(16)`` layers ``hidden_1`` … and ``output``, with plausible healthy numbers.

    It is a regression: inputs and targets are standardised, the loss is the mean squared error.

    Args:
        scale: factors on all moments of a tensor: ``{("activation_gradient", "hidden_1"): 1e-6}``. One number, or one
            per sampled step.
        put: values of single statistics: ``{("activation", "hidden_1", "dead_unit_fraction"): 0.9}``.
        hidden: number of hidden layers.
        activation: of the hidden layers: ``relu``, ``linear``, ``tanh``, ``sigmoid`` or ``softmax``.
        steps: the sampled steps.
        loss: the loss at each of them; by default it falls from 1 to about 0.05.
        frozen: names of layers that are not trainable.
        omitted: names of new layers whose variables the optimizer is not handed.
        card: whether the run has a model card.
        batch_norm: put a batch normalisation ``norm`` between the last hidden layer and the output.
        dropout: rate of a layer ``dropout`` to put there.
        settings: of the model card, besides the loss function.
        step: further step statistics: ``{"global_gradient_norm": 1.0}``. One number, or one per sampled step.

    Example:
        >>> run = toy_run({("gradient", "hidden_1/kernel"): 0.5})
        >>> float(run.series("gradient", "hidden_1/kernel", "rms")[0])
        0.05000000074505806
    """
    between = [*(["norm"] if batch_norm else []), *(["dropout"] if dropout is not None else [])]
    names = [*(f"hidden_{i + 1}" for i in range(hidden)), *between, "output"]
    tensors = tuple(
        key for key in _tensors(names) if key.layer not in omitted or key.kind not in ("gradient", "update")
    )
    values = np.full((len(steps), len(tensors), len(STATISTIC_NAMES)), np.nan, np.float32)
    columns = [STATISTIC_NAMES.index(name) for name in _SCALED]
    for row, key in enumerate(tensors):
        _fill(values[:, row], key)
        if key.kind == "gradient":  # no two batches have the same
            values[:, row, columns] *= 1 + 0.1 * np.sin(np.arange(len(steps)))[:, None]
        if activation == "relu" and key.kind == "activation" and key.name.startswith("hidden"):
            values[:, row, STATISTIC_NAMES.index("zero_fraction")] = 0.5
    index = {(key.kind, key.name): row for row, key in enumerate(tensors)}
    for where, factor in (scale or {}).items():
        values[:, index[where], columns] *= np.broadcast_to(factor, (len(steps),))[:, None]
    _relate_updates(values, index)
    for (kind, name, statistic), number in (put or {}).items():
        _put(values[:, index[kind, name]], statistic, number)
    falling = 0.05 + 0.95 * np.exp(-5 * np.linspace(0, 1, len(steps)))
    return Run(
        "toy",
        np.asarray(steps, np.int64),
        tensors,
        values,
        {
            "loss": np.broadcast_to(falling if loss is None else np.asarray(loss, float), (len(steps),)),
            "learning_rate": np.full(len(steps), 0.01),
            **{name: np.broadcast_to(values, (len(steps),)) for name, values in (step or {}).items()},
        },
        _card(names, activation, (frozen, omitted), dropout, settings or {}) if card else ModelCard(),
    )


def _relate_updates(values: npt.NDArray[np.float32], index: Mapping[tuple[str, str], int]) -> None:
    """Fill in ``update_to_weight_ratio`` from the two norms."""
    norm, ratio = STATISTIC_NAMES.index("norm"), STATISTIC_NAMES.index("update_to_weight_ratio")
    for (kind, name), update in index.items():
        if kind == "update":
            with np.errstate(divide="ignore", invalid="ignore"):
                values[:, update, ratio] = values[:, update, norm] / values[:, index["weight", name], norm]


def _put(rows: npt.NDArray[np.float32], statistic: str, number: Values) -> None:
    if statistic == "dead_unit_fraction":  # dead units are zeros
        known = np.nan_to_num(np.broadcast_to(number, len(rows)))
        dead = np.where(np.isfinite(number), known, known.max())
        zeros = rows[:, STATISTIC_NAMES.index("zero_fraction")]
        np.maximum(zeros, dead, out=zeros)
    rows[:, STATISTIC_NAMES.index(statistic)] = number


def _tensors(names: Sequence[str]) -> list[TensorKey]:
    ends = [TensorKey(kind, kind, kind) for kind in ("input", "target")]
    per_layer = [
        TensorKey(kind, name, name)
        for name in names
        for kind in ("preactivation", "activation", "activation_gradient")
        if kind != "preactivation" or _kind(name) == "Dense"
    ]
    per_variable = [
        TensorKey(kind, f"{name}/{role}", name)
        for name in names
        for role in _ROLES[_kind(name)]
        for kind in (("weight",) if role.startswith("moving") else ("weight", "gradient", "update"))
    ]
    return ends + per_layer + per_variable


def _kind(name: str) -> str:
    return {"norm": "BatchNormalization", "dropout": "Dropout"}.get(name, "Dense")


def _fill(values: npt.NDArray[np.float32], key: TensorKey) -> None:
    role = key.name.rpartition("/")[2]
    size, count = _SIZES[key.kind], _UNITS * _UNITS if role in ("kernel", key.name) else _UNITS
    known = {
        "count": count,
        "mean": 0.5 * size if key.kind == "activation" else 0.0,
        "std": size,
        "rms": size,
        "norm": size * np.sqrt(count),
        "abs_mean": 0.8 * size,
        "min": -2 * size,
        "max": 2 * size,
        "zero_fraction": 0.0,
        "nan_count": 0,
        "inf_count": 0,
    }
    if key.kind == "activation":
        known |= {"dead_unit_fraction": 0.0, "saturation_fraction": 0.1}
    if key.kind == "preactivation":
        known |= {"quantile_02": -2 * size, "quantile_98": 2 * size}
    if key.kind in ("activation", "input", "target"):
        known["example_std"] = size
    if key.kind == "weight" and role == "kernel":
        known["unit_std"] = size
    if key.kind == "weight" and role in _STATISTICS_OF_BATCHES:
        mean, rms = _STATISTICS_OF_BATCHES[role]
        known |= {"mean": mean, "rms": rms, "norm": rms * np.sqrt(count), "std": 0.0, "min": mean, "max": mean}
    for statistic, number in known.items():
        values[:, STATISTIC_NAMES.index(statistic)] = number
    if key.kind == "weight" and role == "bias":
        values[:1, [STATISTIC_NAMES.index(name) for name in _SCALED]] = 0.0  # a new network


def _card(
    names: Sequence[str],
    activation: str,
    untrained: tuple[Sequence[str], Sequence[str]],
    dropout: float | None,
    settings: Mapping[str, Any],
) -> ModelCard:
    frozen, omitted = untrained

    def layer(position: int, name: str) -> LayerCard:
        last, dense = position == len(names) - 1, _kind(name) == "Dense"
        function = "linear" if last else activation
        arguments = {"units": _UNITS} if last else {"units": _UNITS, "activation": activation}
        return LayerCard(
            name,
            _kind(name),
            depth=position,
            activation=ActivationCard(function, _SHAPES[function], 1.0) if dense else None,
            fan_in=_UNITS if dense else None,
            fan_out=_UNITS if dense else None,
            units=_UNITS,
            output_shape=(None, _UNITS),
            inbound=(names[position - 1] if position else "input",),
            is_output=last,
            trainable=name not in frozen,
            arguments=arguments if dense else {"rate": dropout} if name == "dropout" else {},
        )

    variables = tuple(
        VariableCard(
            f"{name}/{role}",
            name,
            role,
            (_UNITS, _UNITS) if role == "kernel" else (_UNITS,),
            trainable=name not in frozen and not role.startswith("moving"),
            optimized=name not in {*frozen, *omitted} and not role.startswith("moving"),
        )
        for name in names
        for role in _ROLES[_kind(name)]
    )
    return ModelCard(
        tuple(layer(i, name) for i, name in enumerate(names)),
        variables,
        {"losses": [{"name": "mean_squared_error", "from_logits": None, "output": None}], **settings},
    )
