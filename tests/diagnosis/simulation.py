"""Train small dense networks with numpy and measure every step's real quantities into a Run; no TensorFlow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradscope.model_card import ActivationCard, LayerCard, ModelCard, VariableCard
from gradscope.run import Run, TensorKey
from gradscope.vocabulary import SATURATION_BOUND, STATISTIC_NAMES

Array = np.ndarray
_COLUMN = {name: i for i, name in enumerate(STATISTIC_NAMES)}
_SHAPES = {
    "relu": "rectifier",
    "leaky": "leaky",
    "linear": "linear",
    "tanh": "bounded",
    "sigmoid": "bounded",
    "softmax": "joint",
}
_WINDOW = 64


def activate(name: str, z: Array) -> tuple[Array, Array]:
    """The activation and its derivative."""
    if name == "relu":
        return np.maximum(z, 0), (z > 0).astype(float)
    if name == "leaky":
        return np.where(z > 0, z, 0.2 * z), np.where(z > 0, 1.0, 0.2)
    if name == "tanh":
        a = np.tanh(z)
        return a, 1 - a**2
    if name == "sigmoid":
        a = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
        return a, a * (1 - a)
    if name == "softmax":
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True), np.ones_like(z)
    return z, np.ones_like(z)


def glorot(rng: Any, fan_in: int, fan_out: int) -> Array:
    r = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-r, r, (fan_in, fan_out))


def he(rng: Any, fan_in: int, fan_out: int) -> Array:
    return rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out))


def gaussian(std: float) -> Callable[[Any, int, int], Array]:
    return lambda rng, fan_in, fan_out: rng.normal(0, std, (fan_in, fan_out))


@dataclass
class Net:
    widths: Sequence[int]
    activations: Sequence[str]
    init: Callable[[Any, int, int], Array] = he
    bias: Callable[[Any, int], Array] = lambda rng, n: np.zeros(n)
    skip: bool = False
    """Add the layer's input to its output where the widths agree."""


@dataclass
class Training:
    sample: Callable[[Any], tuple[Array, Array]]
    loss: str = "mse"
    estimate_factor: float = 1.0
    optimizer: str = "sgd"
    learning_rate: float | Callable[[int], float] = 0.01
    clip_value: float | None = None
    steps: int = 1200
    sampled: Callable[[int], bool] = field(default=lambda step: step < 10 or step % 10 == 0)
    frozen: tuple[str, ...] = ()


def dense_then_sparse(every: int) -> Callable[[int], bool]:
    return lambda step: step < 10 or step % every == 0


def simulate(net: Net, training: Training, seed: int = 0) -> Run:  # noqa: C901, PLR0912  one step, told in order
    rng = np.random.default_rng(seed)
    names = [*(f"hidden_{i + 1}" for i in range(len(net.widths) - 2)), "output"]
    weights = [net.init(rng, a, b) for a, b in zip(net.widths[:-1], net.widths[1:], strict=True)]
    biases = [net.bias(rng, n) for n in net.widths[1:]]
    state = [[np.zeros_like(p), np.zeros_like(p)] for p in (*weights, *biases)]
    keys = _keys(names, logits=training.loss == "crossentropy")
    rows, steps, progress, losses = [], [], [], []
    alive: list[deque] = [deque() for _ in names]
    with np.errstate(all="ignore"):
        for step in range(training.steps):
            x, target = training.sample(rng)
            lr = training.learning_rate(step) if callable(training.learning_rate) else training.learning_rate
            inputs, zs, acts, slopes = [], [], [], []
            a = x
            for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
                inputs.append(a)
                z = a @ w + b
                out, slope = activate(net.activations[layer], z)
                if net.skip and a.shape == out.shape:
                    out = out + a
                a = out
                zs.append(z), acts.append(a), slopes.append(slope)
            if training.loss == "mse":
                error = training.estimate_factor * a - target
                loss = float(np.mean(np.sum(error**2, axis=1)))
                da = 2 * training.estimate_factor * error / len(x)
            else:
                loss = float(-np.mean(np.log(np.sum(a * target, axis=1))))
                da = (a - target) / len(x)  # with respect to the logits
            losses.append(loss)
            das: list[Array] = [da] * len(weights)
            gw, gb = [None] * len(weights), [None] * len(weights)
            for layer in reversed(range(len(weights))):
                das[layer] = da
                dz = da * slopes[layer]
                gw[layer], gb[layer] = inputs[layer].T @ dz, dz.sum(axis=0)
                below = dz @ weights[layer].T
                da = below + da if net.skip and inputs[layer].shape == acts[layer].shape else below
            updates = []
            for i, g in enumerate((*gw, *gb)):
                if training.clip_value is not None:
                    g = np.clip(g, -training.clip_value, training.clip_value)  # noqa: PLW2901
                if training.optimizer == "adam":
                    m, v = state[i]
                    m += 0.1 * (g - m)
                    v += 0.001 * (g**2 - v)
                    t = step + 1
                    updates.append(-lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7))
                else:
                    updates.append(-lr * g)
            n = len(weights)
            for i in range(n):
                if names[i] in training.frozen:
                    updates[i], updates[n + i] = 0 * updates[i], 0 * updates[n + i]
            if training.sampled(step):
                steps.append(step)
                tensors = {("target", "target"): target if training.loss == "mse" else target.argmax(axis=1)}
                for i, name in enumerate(names):
                    tensors["activation", name] = acts[i]
                    tensors["activation_gradient", name] = das[i]
                    tensors["preactivation_gradient", name] = das[i]
                    for role, variable, g, u in (
                        ("kernel", weights[i], gw[i], updates[i]),
                        ("bias", biases[i], gb[i], updates[n + i]),
                    ):
                        tensors["weight", f"{name}/{role}"] = variable
                        tensors["gradient", f"{name}/{role}"] = g
                        tensors["update", f"{name}/{role}"] = u
                table = np.full((len(keys), len(STATISTIC_NAMES)), np.nan, np.float32)
                for row, key in enumerate(keys):
                    measure(table[row], tensors[key.kind, key.name])
                    if key.kind == "target":
                        if len(target) > 1 and training.loss == "mse":
                            table[row, _COLUMN["example_std"]] = np.sqrt(np.mean(target.var(axis=0)))
                        continue
                    layer = names.index(key.layer)
                    if key.kind == "activation":
                        _activation(table[row], acts[layer], slopes[layer], alive[layer], net.activations[layer])
                    if key.kind == "update":
                        weight = np.linalg.norm(tensors["weight", key.name])
                        table[row, _COLUMN["update_to_weight_ratio"]] = (
                            np.linalg.norm(tensors["update", key.name]) / weight
                        )
                rows.append(table)
                norm = np.sqrt(sum(float(np.sum(g**2)) for g in (*gw, *gb)))
                change = sum(float(np.sum(g * u)) for g, u in zip((*gw, *gb), updates, strict=True))
                progress.append((loss, lr, norm, np.mean(losses), change))
                losses = []
            for i in range(n):
                weights[i] = weights[i] + updates[i]
                biases[i] = biases[i] + updates[n + i]
    columns = np.array(progress).T
    return Run(
        "simulated",
        np.array(steps),
        keys,
        np.stack(rows),
        {
            "loss": columns[0],
            "learning_rate": columns[1],
            "global_gradient_norm": columns[2],
            "interval_loss": columns[3],
            "expected_loss_change": columns[4],
        },
        _card(names, net, training),
    )


def measure(row: Array, tensor: Array) -> None:
    """Fill in the plain statistics of a tensor, over its finite entries."""
    finite = tensor[np.isfinite(tensor)].astype(np.float64)
    put = {
        "count": tensor.size,
        "nan_count": np.isnan(tensor).sum(),
        "inf_count": np.isinf(tensor).sum(),
        "zero_fraction": np.mean(tensor == 0),
    }
    if finite.size:
        put |= {
            "mean": finite.mean(),
            "std": finite.std(),
            "rms": np.sqrt(np.mean(finite**2)),
            "norm": np.sqrt(np.sum(finite**2)),
            "abs_mean": np.abs(finite).mean(),
            "min": finite.min(),
            "max": finite.max(),
            "quantile_50": np.median(finite),
        }
    for name, value in put.items():
        row[_COLUMN[name]] = value


def _activation(row: Array, a: Array, slope: Array, alive: deque, activation: str) -> None:
    alive.extend(a != 0)
    while len(alive) > max(_WINDOW, len(a)):
        alive.popleft()
    if len(alive) >= _WINDOW:
        row[_COLUMN["dead_unit_fraction"]] = 1 - np.any(alive, axis=0).mean()
    if _SHAPES[activation] not in ("linear", "joint"):
        peak = 0.25 if activation == "sigmoid" else 1.0
        row[_COLUMN["saturation_fraction"]] = np.mean(slope < SATURATION_BOUND * peak)
    if len(a) > 1:
        row[_COLUMN["example_std"]] = np.sqrt(np.mean(a.var(axis=0)))


def _keys(names: Sequence[str], *, logits: bool) -> tuple[TensorKey, ...]:
    keys = []
    for name in names:
        keys.append(TensorKey("activation", name, name))
        kind = "preactivation_gradient" if logits and name == "output" else "activation_gradient"
        keys.append(TensorKey(kind, name, name))
        keys += [
            TensorKey(kind, f"{name}/{role}", name)
            for role in ("kernel", "bias")
            for kind in ("weight", "gradient", "update")
        ]
    keys.append(TensorKey("target", "target", "target"))
    return tuple(keys)


def _card(names: Sequence[str], net: Net, training: Training) -> ModelCard:
    layers = tuple(
        LayerCard(
            name,
            "Dense",
            depth=i,
            activation=ActivationCard(net.activations[i], _SHAPES[net.activations[i]]),
            fan_in=net.widths[i],
            fan_out=net.widths[i + 1],
            units=net.widths[i + 1],
            inbound=(names[i - 1] if i else "input",),
            is_output=name == "output",
            trainable=name not in training.frozen,
            arguments={"units": net.widths[i + 1], "activation": net.activations[i]},
        )
        for i, name in enumerate(names)
    )
    variables = tuple(
        VariableCard(
            f"{name}/{role}",
            name,
            role,
            (net.widths[i], net.widths[i + 1]) if role == "kernel" else (net.widths[i + 1],),
            trainable=name not in training.frozen,
            optimized=name not in training.frozen,
        )
        for i, name in enumerate(names)
        for role in ("kernel", "bias")
    )
    loss = {"mse": "mean_squared_error", "crossentropy": "sparse_categorical_crossentropy"}[training.loss]
    settings = {
        "optimizer": {"name": training.optimizer},
        "losses": [{"name": loss, "from_logits": False, "output": None}],
    }
    return ModelCard(layers, variables, settings)
