"""The statistics that the flow heatmap can show, each a matrix of layers x steps."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.diagnosis.rules.dead_units import DeadUnits
from gradscope.diagnosis.rules.saturated_activation import SaturatedActivation
from gradscope.diagnosis.rules.update_ratio_out_of_range import UpdateRatioOutOfRange

__all__ = ["PROFILE_KINDS", "PROFILE_STATISTICS", "SERIES", "Series"]


@dataclass(frozen=True)
class Series:
    """One statistic of the main tensor of each layer."""

    name: str
    label: str
    kinds: tuple[str, ...]
    """Kinds of tensor that have it, as in `gradscope.vocabulary.KINDS`; the first that a layer has is shown."""
    statistic: str
    scale: str = "log"
    """``log``: colour is log10, a zero is shown as such; ``share``: a linear colour from 0 to 1."""
    healthy: tuple[float, float] | None = None
    """Limits of the rules that judge this statistic; None where only its change across depth is judged."""

    @property
    def is_of_training(self) -> bool:
        """True where a layer that is not trained has no value, by its nature."""
        return not {"gradient", "update"}.isdisjoint(self.kinds)


_RATIO, _DEAD, _SATURATED = UpdateRatioOutOfRange(), DeadUnits(), SaturatedActivation()

SERIES: dict[str, Series] = {
    series.name: series
    for series in (
        Series("gradient_rms", "gradient rms", ("gradient",), "rms"),
        Series(
            "activation_gradient_rms",
            "activation gradient rms",
            ("activation_gradient", "preactivation_gradient"),
            "rms",
        ),
        Series(
            "update_to_weight_ratio",
            "update-to-weight ratio",
            ("update", "weight"),
            "update_to_weight_ratio",
            healthy=(_RATIO.min_update_to_weight_ratio, _RATIO.max_update_to_weight_ratio),
        ),
        Series("weight_rms", "weight rms", ("weight",), "rms"),
        Series("activation_std", "activation std", ("activation",), "std"),
        Series(
            "saturation_fraction",
            "saturation",
            ("activation",),
            "saturation_fraction",
            "share",
            healthy=(0.0, _SATURATED.max_saturation_fraction),
        ),
        Series(
            "dead_unit_fraction",
            "dead units",
            ("activation",),
            "dead_unit_fraction",
            "share",
            healthy=(0.0, _DEAD.max_dead_unit_fraction),
        ),
        Series("zero_fraction", "zero share of activations", ("activation",), "zero_fraction", "share"),
    )
}
"""``{name: series}``, in the order in which they are offered."""

PROFILE_KINDS = ("activation_gradient", "gradient", "activation")
"""Kinds of tensor whose quantiles the depth profile draws."""

PROFILE_STATISTICS = ("quantile_05", "quantile_25", "quantile_50", "quantile_75", "quantile_95")
