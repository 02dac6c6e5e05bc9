"""The words of gradscope: every tensor kind, statistic and tag, once.

The recorder writes these names, the reader reads them, rules and reports speak in them. A suffix fixes the range:
``_norm`` (L2), ``_rms``, ``_std``, ``_ratio`` and ``_count`` are >= 0; ``_fraction`` lies in [0, 1]; ``_mean`` is free.

A statistic that does not apply to a tensor (or was not measured) is NaN. ``count`` is never NaN where a tensor was
recorded, so ``isnan(count)`` says "not recorded". Moments, extremes and quantiles are over *finite* entries; NaN and
infinite entries are counted beside them, so that one NaN never hides the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DATA_TAGS",
    "FORMAT_VERSION",
    "KINDS",
    "PLUGIN_NAME",
    "QUANTILES",
    "SATURATION_BOUND",
    "STATISTICS",
    "STATISTIC_NAMES",
    "STEP_STATISTICS",
    "STEP_STATISTIC_NAMES",
    "Statistic",
    "Tag",
    "TensorKind",
]

FORMAT_VERSION = 1
"""Version of the log format written and the newest one read."""

PLUGIN_NAME = "gradscope"
"""The TensorBoard plugin that owns the packed tensors."""

SATURATION_BOUND = 0.05
"""An entry counts as saturated where |f'(z)| < 0.05 * max|f'|: |z| > 4.4 (sigmoid), |z| > 2.2 (tanh), z <= 0 (ReLU)."""

QUANTILES = (0.02, 0.05, 0.25, 0.50, 0.75, 0.95, 0.98)
"""Recorded quantiles, each exact to within one histogram bucket (a quarter octave); 0.02 and 0.98 are Glorot's."""


@dataclass(frozen=True)
class TensorKind:
    """One kind of tensor that is measured in a training step."""

    name: str
    meaning: str
    per: str
    """``"variable"`` or ``"layer"``: what the recorded name refers to."""


KINDS: dict[str, TensorKind] = {
    kind.name: kind
    for kind in (
        TensorKind("weight", "a variable before the step", "variable"),
        TensorKind(
            "gradient",
            "∂loss/∂variable as the optimizer receives it: unscaled, before clipping, all-reduced over replicas",
            "variable",
        ),
        TensorKind("clipped_gradient", "the gradient after the optimizer's own clipping", "variable"),
        TensorKind("update", "variable after the step minus variable before it, measured", "variable"),
        TensorKind("input", "what the model was called with", "layer"),
        TensorKind("target", "what the loss compares the model's output with; class numbers as they are", "layer"),
        TensorKind("activation", "a layer's output a = f(z)", "layer"),
        TensorKind("preactivation", "z, the argument of a layer's activation function", "layer"),
        TensorKind("activation_gradient", "∂loss/∂a, the back-propagated gradient (Glorot & Bengio 2010)", "layer"),
        TensorKind(
            "preactivation_gradient",
            "∂loss/∂z, recorded where the loss is computed from z and so bypasses a (softmax or sigmoid outputs)",
            "layer",
        ),
    )
}
KINDS |= {
    f"probe_{name}": TensorKind(f"probe_{name}", f"{KINDS[name].meaning}; of the fixed probe batch", KINDS[name].per)
    for name in ("gradient", "input", "activation", "preactivation", "activation_gradient", "preactivation_gradient")
}


@dataclass(frozen=True)
class Statistic:
    """One number that is recorded of a tensor, or of a step."""

    name: str
    meaning: str
    unit: str
    range: str


STATISTICS: tuple[Statistic, ...] = (
    Statistic("count", "number of entries", "entries", "[0, inf)"),
    Statistic("mean", "arithmetic mean", "as the tensor", "(-inf, inf)"),
    Statistic("std", "standard deviation, divided by n", "as the tensor", "[0, inf)"),
    Statistic("rms", "sqrt(mean(x^2)) = norm / sqrt(n)", "as the tensor", "[0, inf)"),
    Statistic("norm", "L2 norm, sqrt(sum(x^2))", "as the tensor", "[0, inf)"),
    Statistic("abs_mean", "mean of |x|", "as the tensor", "[0, inf)"),
    Statistic("min", "least entry", "as the tensor", "(-inf, inf)"),
    Statistic("max", "greatest entry", "as the tensor", "(-inf, inf)"),
    *(
        Statistic(
            f"quantile_{round(q * 100):02d}",
            f"the {round(q * 100)} % quantile, to within one histogram bucket",
            "as the tensor",
            "(-inf, inf)",
        )
        for q in QUANTILES
    ),
    Statistic("zero_fraction", "share of entries that are exactly zero", "1", "[0, 1]"),
    Statistic("nan_count", "number of NaN entries", "entries", "[0, inf)"),
    Statistic("inf_count", "number of infinite entries", "entries", "[0, inf)"),
    Statistic(
        "saturation_fraction",
        f"share of entries where |f'(z)| < {SATURATION_BOUND} max|f'|, from the derivative of the layer's own "
        "activation; not defined for a linear one",
        "1",
        "[0, 1]",
    ),
    Statistic(
        "dead_unit_fraction",
        "share of units (channels) that are zero on every example of the window of recent sampled steps",
        "1",
        "[0, 1]",
    ),
    Statistic(
        "example_std",
        "rms over units of the standard deviation across the examples of the batch; not defined for one example",
        "as the tensor",
        "[0, inf)",
    ),
    Statistic(
        "update_to_weight_ratio", "‖update‖ / ‖weight‖ of the same step, both measured; healthy is about 1e-3", "1",
        "[0, inf]",
    ),
    Statistic(
        "unit_std",
        "of a kernel: rms over its inputs of the standard deviation across its units, on a sample of both; 0 where all "
        "units are alike",
        "as the tensor",
        "[0, inf)",
    ),
    Statistic(
        "underflow_fraction",
        "of a gradient computed in float16: share of its entries other than zero that, times the loss scale, lie below "
        "the least normal float16 number, 2^-14; not defined where all are zero",
        "1",
        "[0, 1]",
    ),
    Statistic(
        "time_gradient_ratio",
        "of a recurrent layer that begins with a state of its own making: mean |∂loss/∂s| of that state s, over "
        "mean |∂loss/∂a| of the last step of what it gives",
        "1",
        "[0, inf]",
    ),
    Statistic(
        "leading_unit_ratio",
        "of an input: the standard deviation across the examples of the unit (column) that varies most, over the "
        "median of those of all units that vary; 1 where all vary alike, not defined where fewer than two do",
        "1",
        "[1, inf)",
    ),
    Statistic(
        "weighted_mean",
        "of targets of one number per weight: mean of target times weight of the example; known where these are given",
        "as the tensor",
        "(-inf, inf)",
    ),
    Statistic("leading_unit", "of an input: the 0-based number of that unit", "1", "[0, inf)"),
)  # fmt: skip
STATISTIC_NAMES: tuple[str, ...] = tuple(s.name for s in STATISTICS)

STEP_STATISTICS: tuple[Statistic, ...] = (
    Statistic("loss", "the loss that was differentiated, unscaled", "loss", "(-inf, inf)"),
    Statistic(
        "interval_loss",
        "mean loss over all steps since the previous sampled one, this one included; known where Keras keeps it",
        "loss",
        "(-inf, inf)",
    ),
    Statistic(
        "expected_loss_change",
        "sum of gradient times update over all variables: how this step changes the loss, to first order",
        "loss",
        "(-inf, inf)",
    ),
    Statistic(
        "called_loss",
        "sum of what the Keras losses gave that a step of one's own called, each a mean over the examples; of a "
        "compiled loss what it is without penalties and losses of layers, where there are any",
        "loss",
        "(-inf, inf)",
    ),
    Statistic(
        "learning_rate",
        "the optimizer's learning rate in this step; of several the model's own, else the first's",
        "1",
        "[0, inf)",
    ),
    Statistic("global_gradient_norm", "sqrt of the sum of squared gradient norms over all variables", "1", "[0, inf)"),
    Statistic("global_clipped_gradient_norm", "the same after clipping", "1", "[0, inf)"),
    Statistic("clipped_fraction", "share of gradient entries changed by clipping", "1", "[0, 1]"),
    Statistic("loss_scale", "factor the loss was multiplied by under mixed precision", "1", "(0, inf)"),
    Statistic("example_count", "examples in the batch", "examples", "[0, inf)"),
    Statistic("example_weight", "mean weight of the examples in the loss; known where they are given", "1", "[0, inf)"),
    Statistic("recording_seconds", "what sampling this step cost beyond a plain step", "s", "[0, inf)"),
)
STEP_STATISTIC_NAMES: tuple[str, ...] = tuple(s.name for s in STEP_STATISTICS)


class Tag:
    """Tags of the event file. A rebuilt model gets new tags: the same with ``#2``, ``#3``, … behind."""

    STATISTICS = "gradscope/statistics"
    """float32 ``[tensors, statistics]``, one event per sampled step."""
    STEP = "gradscope/step"
    """float32 ``[step statistics]``, one event per sampled step."""
    HISTOGRAMS = "gradscope/histograms"
    """int32 ``[n, 3]`` of (tensor, bucket, count), sparser than the statistics."""
    MODEL_CARD = "gradscope/model_card"
    """JSON: the layers and variables, and how the run was set up."""
    TROUBLE = "gradscope/trouble"
    """JSON: what could not be recorded, and why; one event per trouble."""
    FINDINGS = "gradscope/findings"
    """JSON: the diagnosis at the end of training."""
    REPORT = "gradscope_report/diagnosis"
    """Markdown for TensorBoard's Text tab."""


DATA_TAGS = (Tag.STATISTICS, Tag.STEP, Tag.HISTOGRAMS)
