"""TensorBoard itself reads the log: its data server, which is the default, and its Python loader."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from gradscope.events.writer import EventWriter
from gradscope.vocabulary import STATISTIC_NAMES, Tag

# TensorBoard leaves its data server and a temporary directory to be cleaned up by the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

STEPS = list(range(0, 600, 5))
REBUILT_AT = 300


def arrays_at(step):
    random = np.random.default_rng(step)
    arrays = {
        ("weight", "dense/kernel"): random.normal(0, 0.1, (8, 4)),
        ("gradient", "dense/kernel"): random.normal(0, 1e-5, (8, 4)),
        ("activation", "dense"): np.maximum(random.normal(0, 1, (16, 4)), 0),
    }
    return arrays if step < REBUILT_AT else arrays | {("gradient", "new/kernel"): random.normal(0, 1, 10)}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory, card, sample_at):
    """A log of 120 steps, more than TensorBoard keeps by default, whose model is rebuilt half-way."""
    directory = tmp_path_factory.mktemp("logs")
    with EventWriter(directory / "train") as writer:
        writer.write_model_card(card, 0)
        for step in STEPS:
            writer.write_sample(sample_at(step))
        writer.write_trouble("first", 7)
        writer.write_trouble("second", 7)
        writer.write_findings('{"causes": []}', STEPS[-1])
        writer.write_report("# Healthy\n\n| a | b |\n|---|---|\n| 1 | 2 |", STEPS[-1])
    return str(directory)


@pytest.fixture(scope="module")
def sample_at(make_sample):
    def make(step):
        return make_sample(step, arrays_at(step), histograms=step % 50 == 0, loss=1 / (1 + step))

    return make


@pytest.fixture(scope="module", params=["data server", "Python loader"])
def provider(request, logdir):
    if request.param == "data server":
        yield from serve(logdir)
    else:
        yield load(logdir)


def serve(logdir):
    server_ingester = pytest.importorskip("tensorboard.data.server_ingester")
    grpc_util = pytest.importorskip("tensorboard.util.grpc_util")
    try:
        binary = server_ingester.get_server_binary()
    except server_ingester.NoDataServerError as error:
        pytest.skip(str(error))
    ingester = server_ingester.SubprocessServerDataIngester(
        server_binary=binary,
        logdir=logdir,
        reload_interval=0,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
        samples_per_plugin={"gradscope": 0},
    )
    ingester.start()
    yield ingester.data_provider
    ingester._stdin_handle.close()  # the server ends with its input


def load(logdir):
    data_provider = pytest.importorskip("tensorboard.backend.event_processing.data_provider")
    plugin_event_multiplexer = pytest.importorskip("tensorboard.backend.event_processing.plugin_event_multiplexer")
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"gradscope": 0})
    multiplexer.AddRunsFromDirectory(logdir)
    multiplexer.Reload()
    return data_provider.MultiplexerDataProvider(multiplexer, logdir)


@pytest.fixture
def read(provider):
    from tensorboard.context import RequestContext
    from tensorboard.data.provider import RunTagFilter

    def read_tag(plugin, tag, kind="tensors"):
        """The series' own content and its points, once the loader has got them."""
        wanted = {"experiment_id": "", "plugin_name": plugin, "run_tag_filter": RunTagFilter(["train"], [tag])}
        deadline = time.monotonic() + 20
        series = {}
        while tag not in series and time.monotonic() < deadline:
            series = getattr(provider, f"list_{kind}")(RequestContext(), **wanted).get("train", {})
            time.sleep(0.05)
        points = getattr(provider, f"read_{kind}")(RequestContext(), downsample=10**6, **wanted)["train"][tag]
        return series[tag], points

    return read_tag


def content_of(series):
    return json.loads(series.plugin_content)


def test_every_packed_step_is_there_with_its_names(read, sample_at):
    for tag, steps in (
        (Tag.STATISTICS, [s for s in STEPS if s < REBUILT_AT]),
        (f"{Tag.STATISTICS}#2", [s for s in STEPS if s >= REBUILT_AT]),
    ):
        series, points = read("gradscope", tag)
        assert [point.step for point in points] == steps
        content = content_of(series)
        assert content["format"] == 1
        assert content["statistics"] == list(STATISTIC_NAMES)
        assert [(kind, name) for kind, name, _ in content["tensors"]] == list(arrays_at(steps[0]))
        for point in points:
            np.testing.assert_array_equal(point.numpy, sample_at(point.step).values)


def test_step_statistics_are_one_series(read):
    series, points = read("gradscope", Tag.STEP)
    assert content_of(series)["statistics"] == ["loss"]
    assert [point.step for point in points] == STEPS
    np.testing.assert_allclose([point.numpy[0] for point in points], [1 / (1 + step) for step in STEPS], rtol=1e-6)


def test_packed_histograms_hold_every_entry(read, sample_at):
    _, points = read("gradscope", Tag.HISTOGRAMS)
    assert [point.step for point in points] == [0, 50, 100, 150, 200, 250]
    for point in points:
        counts = np.zeros_like(sample_at(point.step).histograms)
        counts[point.numpy[:, 0], point.numpy[:, 1]] = point.numpy[:, 2]
        np.testing.assert_array_equal(counts, sample_at(point.step).histograms)


def test_texts_are_strings_and_troubles_do_not_collide(read, card):
    _, points = read("gradscope", Tag.MODEL_CARD)
    assert json.loads(points[0].numpy.item())["settings"] == card.settings
    _, points = read("gradscope", Tag.TROUBLE)
    assert json.loads(points[-1].numpy.item()) == ["first", "second"]
    _, points = read("gradscope", Tag.FINDINGS)
    assert points[-1].numpy.item() == b'{"causes": []}'


def test_the_text_tab_has_the_report(read):
    _, points = read("text", Tag.REPORT)
    assert points[-1].step == STEPS[-1]
    assert points[-1].numpy.item().startswith(b"# Healthy")


def test_the_scalars_tab_has_the_loss(read):
    _, points = read("scalars", "training/loss", "scalars")
    assert [point.step for point in points] == STEPS
    np.testing.assert_allclose([point.value for point in points], [1 / (1 + step) for step in STEPS], rtol=1e-6)


@pytest.mark.parametrize(
    ("tag", "key"),
    [
        ("weights/dense/kernel", ("weight", "dense/kernel")),
        ("gradients/dense/kernel", ("gradient", "dense/kernel")),
        ("activations/dense", ("activation", "dense")),
    ],
)
def test_the_histograms_tab_has_every_entry_between_the_extremes(read, tag, key):
    _, points = read("histograms", tag)
    assert [point.step for point in points] == list(range(0, 600, 50))
    for point in points:
        array, rows = arrays_at(point.step)[key], point.numpy
        assert rows.dtype == np.float64
        assert rows[:, 2].sum() == array.size
        assert rows[0, 0] == pytest.approx(array.min(), abs=1e-5 * abs(array).max())
        assert rows[-1, 1] == pytest.approx(array.max(), abs=1e-5 * abs(array).max())
