"""The scalars and histograms of TensorBoard's own tabs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradscope.events.stock import stock_values
from gradscope.vocabulary import STATISTIC_NAMES


def scalars(sample):
    return {
        value.tag: float(np.frombuffer(value.tensor.tensor_content, np.float32)[0])
        for value in stock_values(sample)
        if value.metadata.plugin_data.plugin_name == "scalars"
    }


def histogram_tags(sample):
    return [v.tag for v in stock_values(sample) if v.metadata.plugin_data.plugin_name == "histograms"]


def test_the_scalars_of_a_step(make_sample, two_layer_arrays):
    arrays = two_layer_arrays(0)
    found = scalars(make_sample(0, arrays, loss=2.5, learning_rate=0.1, global_gradient_norm=100.0))
    first, last = (arrays["activation_gradient", name] for name in ("dense", "output"))
    assert found == pytest.approx(
        {
            "training/loss": 2.5,
            "training/learning_rate": 0.1,
            "gradient_flow/log10_global_gradient_norm": 2.0,
            "gradient_flow/log10_gradient_rms_first_layer": math.log10(np.sqrt(np.mean(first**2))),
            "gradient_flow/log10_gradient_rms_last_layer": math.log10(np.sqrt(np.mean(last**2))),
            "gradient_flow/nonfinite_gradient_entries": 0.0,
        }
    )


def test_kernels_stand_in_for_missing_activation_gradients(make_sample):
    arrays = {("gradient", "a/bias"): [1e9], ("gradient", "a/kernel"): [1e-4], ("gradient", "b/kernel"): [10.0]}
    found = scalars(make_sample(0, arrays))
    assert found["gradient_flow/log10_gradient_rms_first_layer"] == pytest.approx(-4)
    assert found["gradient_flow/log10_gradient_rms_last_layer"] == pytest.approx(1)


def test_what_has_no_place_on_a_chart_is_left_out(make_sample):
    arrays = {("gradient", "a/kernel"): [0.0, math.nan], ("weight", "a/kernel"): [math.nan]}
    sample = make_sample(0, arrays, loss=math.nan, global_gradient_norm=0.0, learning_rate=math.inf)
    assert scalars(sample) == {"gradient_flow/nonfinite_gradient_entries": 1.0}
    assert histogram_tags(sample) == ["gradients/a/kernel"]


def test_ratios_and_shares_are_summarised_over_the_tensors(make_sample):
    sample = make_sample(0, {("update", f"{n}/kernel"): [1.0] for n in range(3)})
    sample.values[:, STATISTIC_NAMES.index("update_to_weight_ratio")] = [1e-3, 1e-5, math.nan]
    sample.values[:, STATISTIC_NAMES.index("dead_unit_fraction")] = [math.nan, 0.25, 0.75]
    found = scalars(sample)
    assert found["gradient_flow/log10_update_to_weight_ratio_median"] == pytest.approx(math.log10(0.505e-3), abs=1e-5)
    assert found["units/dead_unit_fraction_max"] == 0.75
    assert "units/saturation_fraction_max" not in found


def test_histograms_are_of_weights_gradients_and_activations_only(make_sample, two_layer_arrays):
    assert histogram_tags(make_sample(0, two_layer_arrays(0))) == [
        "weights/dense/kernel",
        "gradients/dense/kernel",
        "activations/dense",
        "gradients/output/kernel",
    ]
    assert histogram_tags(make_sample(0, two_layer_arrays(0), histograms=False)) == []


def test_no_group_holds_both_scalars_and_histograms(make_sample, two_layer_arrays):
    sample = make_sample(0, two_layer_arrays(0), loss=1.0)
    assert not {tag.split("/")[0] for tag in scalars(sample)} & {tag.split("/")[0] for tag in histogram_tags(sample)}
