"""Runs behind URLs: in fsspec's memory, and on an S3 server on this machine."""

from __future__ import annotations

import importlib.util
import os

import fsspec
import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from gradscope.diagnosis.engine import diagnose
from gradscope.errors import MissingDependencyError, RunNotFoundError, UnreadableRunError
from gradscope.events import remote
from gradscope.events.discovery import find_runs
from gradscope.events.frames import frame
from gradscope.events.reader import read_run
from gradscope.events.summaries import array_value, metadata
from gradscope.fleet import check_run


@pytest.fixture(scope="module")
def s3(monkeypatch_module):
    """A bucket of an S3 server; `s3://bucket` is its URL."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch_module.setenv(name, value)
    remote._system_of.cache_clear()
    system = fsspec.filesystem("s3", use_listings_cache=False)
    system.mkdir("bucket")
    yield system
    server.stop()
    remote._system_of.cache_clear()


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    return system


@pytest.fixture(params=["memory", "s3"])
def far(request):
    """(file system, URL) of an empty place far away."""
    system = request.getfixturevalue(request.param)
    base = "memory://runs" if request.param == "memory" else "s3://bucket/runs"
    if system.exists(base):
        system.rm(base, recursive=True)
    return system, base


def test_a_run_far_away_is_the_run(far, three_layer):
    system, base = far
    for file in three_layer.iterdir():
        system.pipe(f"{base}/tree/three_layer/{file.name}", file.read_bytes())
    (place,) = find_runs(base)
    assert place.endswith("/tree/three_layer")
    here, there = read_run(three_layer), read_run(place)
    np.testing.assert_array_equal(here.values, there.values)
    assert diagnose(here).sentence == diagnose(there).sentence
    assert len(there.histograms.steps) == len(here.histograms.steps)
    (file,) = (name for name in system.find(base))
    assert read_run(system.unstrip_protocol(file)).steps.tolist() == here.steps.tolist()


def test_nothing_far_away_is_said_in_one_line(far):
    _, base = far
    for path in (f"{base}/nowhere", f"{base}/nowhere/events.out.tfevents.1"):
        with pytest.raises(RunNotFoundError, match="nowhere"):
            read_run(path)
        with pytest.raises(RunNotFoundError):
            find_runs(path)
    assert "nothing there" in check_run(f"{base}/nowhere").error


def test_damage_far_away_is_damage(far, three_layer):
    system, base = far
    (file,) = three_layer.iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    system.pipe(f"{base}/run/{file.name}", bytes(data[:-3]))
    damage = read_run(f"{base}/run").damage
    assert [item.what.partition(" ")[0] for item in damage] == ["bytes", "the"]


def test_a_large_file_is_read_in_pieces(memory, monkeypatch, write_log, tmp_path):
    data = write_log(tmp_path, range(0, 5000, 5)).read_bytes()
    memory.pipe("/large/events.out.tfevents.1", data)
    asked = []
    original = remote.RemoteFile.read

    def read(self, count):
        asked.append(count)
        return original(self, count)

    monkeypatch.setattr(remote.RemoteFile, "read", read)
    assert len(read_run("memory://large").steps) == 1000
    assert len(data) <= sum(asked) < 2 * len(data)
    assert max(asked) <= 2 << 20


def test_of_another_tools_file_beside_ones_own_only_the_beginning_is_read(memory, monkeypatch, three_layer):
    (own,) = three_layer.iterdir()
    memory.pipe(f"/both/{own.name}", own.read_bytes())
    value = array_value("weights/kernel", np.zeros((30, 3)), metadata("histograms"))
    record = frame(Event(wall_time=1.0, step=1, summary=Summary(value=[value])).SerializeToString())
    memory.pipe("/both/events.out.tfevents.1.host", record * 10_000)
    asked = []
    original = remote.RemoteFile.read

    def read(self, count):
        asked.append(count)
        return original(self, count)

    monkeypatch.setattr(remote.RemoteFile, "read", read)
    run = read_run("memory://both")
    assert run.steps.tolist() == read_run(three_layer).steps.tolist()
    assert run.damage == ()
    assert sum(asked) < own.stat().st_size + len(record) * 10_000 / 3


def test_every_byte_of_a_far_file_is_asked_for_once(s3, tmp_path, monkeypatch, write_log):
    data = write_log(tmp_path, range(0, 5000, 2)).read_bytes()
    s3.pipe("bucket/once/events.out.tfevents.1", data)
    original, asked = type(s3)._call_s3, []

    async def call(self, method, *arguments, **options):
        if method == "get_object":
            first, last = options["Range"].removeprefix("bytes=").split("-")
            asked.append((int(first), int(last) + 1))
        return await original(self, method, *arguments, **options)

    monkeypatch.setattr(type(s3), "_call_s3", call)
    assert len(read_run("s3://bucket/once").steps) == 2500
    assert sum(end - start for start, end in asked) == len(data)
    assert len(asked) <= 2 + len(data) // (4 << 20)


def test_an_unknown_kind_of_url():
    with pytest.raises(UnreadableRunError, match="fsspec knows no zzz://"):
        read_run("zzz://bucket/run")


def test_a_missing_package_is_named(monkeypatch):
    def missing(_):
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr(remote, "_system_of", missing)
    with pytest.raises(MissingDependencyError, match="Install gcsfs"):
        read_run("gs://bucket/run")


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_google_storage_without_gcsfs_says_what_to_install():
    assert "gs:// needs a package" in check_run("gs://bucket/run").error
    assert check_run("gs://bucket/run").error.endswith("run `pip install gcsfs`")


def test_a_connection_that_breaks_is_damage(memory, monkeypatch, three_layer):
    (file,) = three_layer.iterdir()
    memory.pipe("/run/" + file.name, file.read_bytes())
    original = remote.RemoteFile.read
    count = iter(range(1000))

    def read(self, size):
        if next(count) > 0:
            raise OSError(0, "connection reset")
        return original(self, size)

    monkeypatch.setattr(remote.RemoteFile, "read", read)
    monkeypatch.setattr("gradscope.events.blocks._LARGEST", 1 << 14)
    run = read_run("memory://run")
    assert "cannot be read: connection reset" in run.damage[0].what


@pytest.mark.skipif(os.name == "nt", reason="paths with a colon")
def test_a_local_path_needs_no_fsspec(three_layer):
    assert not remote.is_remote(str(three_layer))
