"""Logs of other tools: what their tags mean, what their numbers are worth, and how they are judged."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gradscope.diagnosis.engine import diagnose
from gradscope.errors import ConfigurationError, NotARunError
from gradscope.events.mapping import TagRule, meaning
from gradscope.events.reader import read_run

SPEC = importlib.util.spec_from_file_location("foreign_writers", Path(__file__).with_name("foreign_writers.py"))
writers = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writers)


@pytest.fixture
def random():
    return np.random.default_rng(0)


STATISTICS = ("count", "mean", "std", "rms", "norm", "min", "max")


def true_statistics(array):
    flat = np.asarray(array, np.float64).ravel()
    rms = np.sqrt(np.mean(flat**2))
    return dict(
        zip(
            STATISTICS,
            (flat.size, flat.mean(), flat.std(), rms, rms * np.sqrt(flat.size), flat.min(), flat.max()),
            strict=True,
        )
    )


# Numbers


def test_the_statistics_of_tensorflow_1_and_pytorch_are_exact(tmp_path, random):
    array = np.maximum(random.normal(0.1, 2, 5000), 0)
    writers.write(tmp_path, {7: [writers.histogram_v1("activations/dense", array)]})
    run = read_run(tmp_path)
    found = {name: float(run.series("activation", "dense", name)[0]) for name in STATISTICS}
    assert found == pytest.approx(true_statistics(array), rel=1e-6)
    assert run.series("activation", "dense", "zero_fraction")[0] == pytest.approx(np.mean(array == 0))
    assert run.series("activation", "dense", "nan_count")[0] == 0
    assert run.estimated == ""


@pytest.mark.parametrize("one_event", [True, False])
def test_a_histogram_of_tensorflow_1_reads_alike_at_its_first_step_and_later(tmp_path, random, one_event):
    arrays = {
        "weights/a/kernel": random.normal(0, 1, 300),
        "grads/a/kernel": random.exponential(1, 300),
        "activations/a": np.maximum(random.normal(0, 1, 300), 0),  # its least entry is left out, being 0
        "weights/b/kernel": np.zeros(8),
        "grads/b/kernel": np.full(8, 1e-3),
    }
    values = [writers.histogram_v1(tag, array) for tag, array in arrays.items()]
    broken = writers.histogram_v1("weights/c/kernel", arrays["weights/a/kernel"])
    broken.histo.sum = float("nan")
    logged = [writers.scalar_v1("loss", 0.5), *values, broken]
    writers.write(tmp_path, dict.fromkeys(range(4), logged), one_event=one_event)
    run = read_run(tmp_path)
    assert len(run.tensors) == 6
    assert run.step_statistics["loss"].tolist() == [0.5] * 4
    for later in run.values[1:]:
        np.testing.assert_array_equal(later, run.values[0])
    assert run.series("weight", "a/kernel", "rms") == pytest.approx(true_statistics(arrays["weights/a/kernel"])["rms"])
    assert run.series("activation", "a", "zero_fraction") == pytest.approx(np.mean(arrays["activations/a"] == 0))
    assert run.series("weight", "c/kernel", "nan_count").tolist() == [1] * 4


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("make", ["normal", "exponential", "uniform", "standard_t"])
def test_the_estimates_from_buckets_keep_their_stated_error(tmp_path, random, make, scale):
    array = scale * (random.standard_t(3, 4000) if make == "standard_t" else getattr(random, make)(size=4000))
    writers.write(tmp_path, {0: [writers.histogram_v2("grads/dense/kernel", array)]})
    run = read_run(tmp_path)
    true, bound = true_statistics(array), (array.max() - array.min()) / 30
    found = {name: float(run.series("gradient", "dense/kernel", name)[0]) for name in STATISTICS}
    for name in ("mean", "std", "rms"):
        assert abs(found[name] - true[name]) <= bound, name
    assert found["norm"] == pytest.approx(found["rms"] * np.sqrt(4000), rel=1e-6)
    assert (found["count"], found["min"], found["max"]) == pytest.approx((4000, true["min"], true["max"]))
    assert "1/30" in run.estimated
    assert run.estimated in run.trouble


def uneven_rows(random, array):
    edges = np.sort(np.append(random.choice(array, 29, replace=False), [array.min(), array.max()]))
    counts, _ = np.histogram(array, edges)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


def test_buckets_of_any_width_among_even_ones(tmp_path, random):
    rows = [
        writers.rows(random.normal(0, 1, 300)),
        uneven_rows(random, random.normal(3, 1, 300)),
        writers.rows(np.full(300, 1e5)),
        uneven_rows(random, random.normal(0, 1e-6, 300)),
    ]
    about = writers.plugin("histograms")
    writers.write(tmp_path, {step: [writers.array_value("weights/a", rows[step % 4], about)] for step in range(800)})
    run = read_run(tmp_path)
    for step in (0, 1, 2, 3, 796, 797, 798, 799):
        left, right, counts = rows[step % 4].T
        mean = (counts * (left + right)).sum() / 2 / counts.sum()
        square = (counts * (left**2 + left * right + right**2)).sum() / 3 / counts.sum()
        assert run.series("weight", "a", "count")[step] == 300
        assert run.series("weight", "a", "mean")[step] == pytest.approx(mean, rel=1e-5, abs=1e-12)
        assert run.series("weight", "a", "rms")[step] == pytest.approx(np.sqrt(square), rel=1e-5)
        deviation = np.sqrt(max(square - mean**2, 0))
        assert run.series("weight", "a", "std")[step] == pytest.approx(deviation, rel=1e-4, abs=1e-3)


def test_a_nan_poisons_a_histogram_and_is_seen(tmp_path):
    bad = np.array([1.0, np.nan])
    writers.write(
        tmp_path, {s: [writers.histogram_v2("grads/a/kernel", bad if s > 4 else [1.0, 2.0])] for s in range(9)}
    )
    run = read_run(tmp_path)
    assert run.series("gradient", "a/kernel", "nan_count").tolist() == [0] * 5 + [1] * 4
    assert np.isnan(run.series("gradient", "a/kernel", "rms")[5:]).all()
    (cause,) = diagnose(run).causes
    assert (cause.root.rule, cause.root.first_step) == ("nonfinite-values", 5)


def test_zeros_are_told_where_the_buckets_tell_them(tmp_path):
    arrays = {"a": np.zeros(5), "b": np.ones(5), "c": np.array([0, 0, 1.0])}
    writers.write(tmp_path, {0: [writers.histogram_v2(f"activations/{name}", array) for name, array in arrays.items()]})
    run = read_run(tmp_path)
    found = [run.series("activation", name, "zero_fraction")[0] for name in arrays]
    assert found[:2] == [1, 0]
    assert np.isnan(found[2])


# Records


@pytest.mark.parametrize("make", [writers.scalar_v1, writers.scalar_v2, writers.scalar_torch_new_style])
@pytest.mark.parametrize("one_event", [False, True])
def test_scalars_of_every_make(tmp_path, make, one_event):
    steps = {
        s: [make("train/loss", 1 / (s + 1)), make("val/loss", 9.0), writers.histogram_v1("a/kernel_grad", [1.0, 2.0])]
        for s in range(0, 3000, 10)
    }
    writers.write(tmp_path, steps, one_event=one_event)
    run = read_run(tmp_path)
    assert run.steps.tolist() == list(steps)
    np.testing.assert_allclose(run.step_statistics["loss"], [1 / (s + 1) for s in steps], rtol=1e-6)


def test_thousands_of_records_are_read_as_each_by_itself(tmp_path, random):
    arrays = {(s, n): random.normal(0, 10.0**-n, 50) for s in range(400) for n in range(5)}
    steps = {s: [writers.histogram_v2(f"grads/layer_{n}/kernel", arrays[s, n]) for n in range(5)] for s in range(400)}
    writers.write(tmp_path, steps)
    run = read_run(tmp_path)
    assert run.values.shape[:2] == (400, 5)
    for (step, n), array in list(arrays.items())[::37]:
        single = writers.write(tmp_path / "one", {step: [writers.histogram_v2(f"grads/layer_{n}/kernel", array)]})
        np.testing.assert_array_equal(read_run(single).values[0, 0], run.values[step, n])


def test_histograms_whose_shape_changes_stay_one_series(tmp_path, random):
    def value(step):
        made = writers.histogram_v2("grads/a/kernel", random.normal(size=100))
        if step % 3 == 0:
            short = np.frombuffer(made.tensor.tensor_content, np.float64).reshape(30, 3)[:20]
            made.tensor.tensor_content = short.tobytes()
            made.tensor.tensor_shape.dim[0].size = 20
        return made

    writers.write(tmp_path, {step: [value(step)] for step in range(1000)})
    run = read_run(tmp_path)
    assert run.steps.tolist() == list(range(1000))
    assert run.damage == ()


def test_negative_and_huge_steps(tmp_path):
    steps = [-5, 0, 127, 128, 2**31, 2**60]
    writers.write(tmp_path, {s: [writers.histogram_v2("grads/a/kernel", [1.0, 2.0])] for s in steps})
    assert read_run(tmp_path).steps.tolist() == steps


def test_a_restart_supersedes_what_came_after_its_step(tmp_path):
    def write(name, first, last, wall_time=1000):
        steps = {s: [writers.histogram_v2("grads/a/kernel", [0, s + 1.0])] for s in range(first, last)}
        return writers.write(tmp_path, steps, name=name, wall_time=wall_time)

    write("events.out.tfevents.1", 0, 20)
    later = write("events.out.tfevents.2", 10, 30, wall_time=2000)
    run = read_run(tmp_path)
    assert run.steps.tolist() == list(range(30))
    assert [(d.file, d.what) for d in run.damage] == [
        (str(later), "supersedes 10 records of the same or later steps before it")
    ]


# Meanings


@pytest.mark.parametrize(
    ("tag", "kind", "name"),
    [
        ("W_0_grad", "gradient", "W"),
        ("dense/kernel_0_grad", "gradient", "dense/kernel"),
        ("grads/dense/kernel", "gradient", "dense/kernel"),
        ("gradients/dense/kernel:0", "gradient", "dense/kernel"),
        ("dense/kernel/gradient", "gradient", "dense/kernel"),
        ("fc1.weight.grad", "gradient", "fc1.weight"),
        ("train/grads/fc1.weight", "gradient", "fc1.weight"),
        ("sequential/dense/kernel/histogram", "weight", "sequential/dense/kernel"),
        ("fc1.weight", "weight", "fc1.weight"),
        ("params/fc1", "weight", "fc1"),
        ("activations/dense", "activation", "dense"),
        ("dense/activation", "activation", "dense"),
        ("activation_gradients/dense", "activation_gradient", "dense"),
        ("preactivations/dense", "preactivation", "dense"),
    ],
)
def test_common_tags_of_histograms(tag, kind, name):
    found = meaning(tag, histogram=True)
    assert (found.kind, found.name) == (kind, name)


@pytest.mark.parametrize(
    ("tag", "statistic"),
    [
        ("epoch_loss", "loss"),
        ("train/loss", "loss"),
        ("Loss/train", "loss"),
        ("train_loss_step", "loss"),
        ("loss_1", "loss"),
        ("epoch_learning_rate", "learning_rate"),
        ("lr-SGD", "learning_rate"),
        ("train/grad_norm", "global_gradient_norm"),
        ("grad_2.0_norm_total", "global_gradient_norm"),
    ],
)
def test_common_tags_of_the_step(tag, statistic):
    assert meaning(tag, histogram=False).statistic == statistic


@pytest.mark.parametrize(
    "tag", ["val_loss", "Loss/test", "evaluation_loss_vs_iterations", "accuracy", "validation/loss"]
)
def test_what_is_not_of_the_training_step_means_nothing(tag):
    assert meaning(tag, histogram=False) is None


def test_a_histogram_beside_its_gradient_is_a_weight(tmp_path):
    values = [writers.histogram_v1("lambda_0", [1.0, 2.0]), writers.histogram_v1("lambda_0_grad", [1.0, 2.0])]
    writers.write(tmp_path, {0: [*values, writers.histogram_v1("something", [3.0])]})
    run = read_run(tmp_path)
    assert [(key.kind, key.name) for key in run.tensors] == [("weight", "lambda_0"), ("gradient", "lambda_0")]
    assert any("1 histogram tag of unknown meaning, such as something" in text for text in run.trouble)


def test_lightnings_gradient_norms_are_tensors(tmp_path):
    values = lambda s: [writers.scalar_v1(f"grad_2.0_norm/{n}", 10.0**-i) for i, n in enumerate(("b.bias", "a.bias"))]  # noqa: E731
    writers.write(tmp_path, {s: [*values(s), writers.scalar_v1("train_loss", 1.0)] for s in range(50)})
    run = read_run(tmp_path)
    assert run.series("gradient", "a.bias", "norm").tolist() == pytest.approx([0.1] * 50)
    assert "vanishing-gradient" not in {v.rule for v in diagnose(run).not_judged}


def test_gradient_norms_of_kernels_alone_do_not_tell_vanishing(tmp_path):
    names = [f"{layer}.weight" for layer in "abc"]
    values = [writers.scalar_v1(f"grad_2.0_norm/{name}", 10.0**-i) for i, name in enumerate(reversed(names))]
    writers.write(tmp_path, dict.fromkeys(range(50), values))
    reasons = {verdict.rule: verdict.reason for verdict in diagnose(read_run(tmp_path)).not_judged}
    assert "record activation gradients" in reasons["vanishing-gradient"]


def test_a_users_table_comes_first(tmp_path):
    writers.write(
        tmp_path, {0: [writers.histogram_v2("opt/dense/g", [1.0]), writers.histogram_v2("grads/junk", [1.0])]}
    )
    rules = [TagRule("opt/(?P<name>.+)/g", "gradient", r"layer \g<name>"), TagRule("grads/junk", "ignore")]
    run = read_run(tmp_path, tags=rules)
    assert [(key.kind, key.name, key.layer) for key in run.tensors] == [("gradient", "dense", "layer dense")]


@pytest.mark.parametrize(("pattern", "means"), [("(", "gradient"), (".*", "gradients"), (".*", "weight_size")])
def test_a_line_of_the_table_that_cannot_be_is_refused(pattern, means):
    with pytest.raises(ConfigurationError, match=r"regular expression|cannot mean"):
        TagRule(pattern, means)


# Judgement


def deep_log(directory, *, ratio, style=writers.histogram_v1):
    """Four layers whose bias gradients shrink by ``ratio`` from each to the one before; only the output moves."""
    random = np.random.default_rng(1)

    def values(step):
        for layer in range(4):
            size = ratio ** (3 - layer)
            moving = 1 + 0.01 * step if ratio == 1 or layer == 3 else 1
            yield style(f"dense_{layer}/kernel", random.uniform(-moving, moving, 256) * 0.1)
            yield style(f"dense_{layer}/bias", np.linspace(-moving, moving, 16))
            yield style(f"dense_{layer}/kernel/grad", random.normal(0, size, 256))
            yield style(f"dense_{layer}/bias/grad", random.normal(0, size, 16))

    return writers.write(directory, {s: list(values(s)) for s in range(0, 600, 10)})


@pytest.mark.parametrize("style", [writers.histogram_v1, writers.histogram_v2])
def test_vanishing_gradients_are_found(tmp_path, style):
    deep_log(tmp_path, ratio=1e-2, style=style)
    diagnosis = diagnose(read_run(tmp_path))
    found = {finding.rule: finding for finding in diagnosis.findings()}
    assert found["vanishing-gradient"].layers[0] == "dense_0"
    assert found["vanishing-gradient"].confidence == "medium"


@pytest.mark.parametrize("style", [writers.histogram_v1, writers.histogram_v2])
def test_healthy_gradients_raise_no_alarm(tmp_path, style):
    deep_log(tmp_path, ratio=1, style=style)
    diagnosis = diagnose(read_run(tmp_path))
    assert diagnosis.healthy
    assert "vanishing-gradient" not in {finding.rule for finding in diagnosis.findings()}
    reasons = {verdict.rule: verdict.reason for verdict in diagnosis.not_judged}
    assert "record updates" in reasons["update-ratio-out-of-range"]


def test_weights_alone_are_judged_as_far_as_they_go(tmp_path, random):
    values = []
    for layer in range(3):
        values.append(writers.histogram_v2(f"dense_{layer}/kernel/histogram", random.normal(0, 1e-4, (64, 64))))
        values.append(writers.histogram_v2(f"dense_{layer}/bias/histogram", np.linspace(0, 1, 64)))
    writers.write(tmp_path, dict.fromkeys(range(10), values))
    run = read_run(tmp_path)
    assert [card.fan_in for card in run.model.layers] == [64, 64, 64]
    diagnosis = diagnose(run)
    assert [finding.pathology for finding in diagnosis.findings()] == ["gain-mismatch:too-small"]
    assert any("without gradients, activations and updates" in text for text in diagnosis.missing)


def test_a_loss_alone_is_no_run(tmp_path):
    writers.write(tmp_path, {s: [writers.scalar_v2("epoch_loss", 1.0)] for s in range(10)})
    with pytest.raises(NotARunError, match="epoch_loss"):
        read_run(tmp_path)


def test_a_million_steps_of_ten_thousand_tags_do_not_fill_the_memory(tmp_path):
    values = {s: [writers.scalar_v1(f"grad_2.0_norm/layer{s % 3000}.bias", 1.0)] for s in range(12_000)}
    writers.write(tmp_path, values)
    run = read_run(tmp_path)
    assert run.values.size < 60_000_000
    assert any("12,000 logged steps" in text for text in run.trouble)


def test_records_in_any_order_are_read_alike(tmp_path, random):
    """The same numbers, whether or not the tags come in a rhythm."""
    names = [f"grads/{'x' * (n % 7)}layer_{n}/kernel" for n in range(12)] + ["grads/" + "long/" * 80 + "kernel"]
    steps = {}
    for step in range(300):
        chosen = random.permutation(names)[: random.integers(1, len(names))] if step % 50 > 25 else names
        steps[step] = [writers.histogram_v2(str(name), [0.0, step + 1.0]) for name in chosen]
        steps[step].insert(random.integers(0, 2), writers.scalar_v2("train/loss", float(step)))
    writers.write(tmp_path, steps)
    run = read_run(tmp_path)
    for name in names:
        found = run.series("gradient", name.removeprefix("grads/"), "max")
        expected = [s + 1.0 if any(value.tag == name for value in values) else np.nan for s, values in steps.items()]
        np.testing.assert_array_equal(found, np.array(expected, np.float32))
    np.testing.assert_array_equal(run.step_statistics["loss"], np.arange(300, dtype=np.float32))
