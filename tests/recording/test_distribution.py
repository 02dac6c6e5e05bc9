"""Several replicas: two devices under MirroredStrategy, two processes under MultiWorkerMirroredStrategy.

Each strategy runs in processes of its own: devices are set before TensorFlow starts, and a process that makes a second
strategy of several CPUs mixes up their collectives.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

import gradscope
from gradscope.histograms import BUCKETS
from gradscope.recording.collector import Layout, Measured
from gradscope.recording.frameworks import tf
from gradscope.recording.replica import sums_gradients, worker_of
from gradscope.recording.replicas import merge
from gradscope.recording.schedule import Schedule
from gradscope.recording.statistics import MOMENTS, measure
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

COMMON = """
import contextlib, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf, gradscope
layers = keras.layers

def dense():
    return [keras.Input((5,)), layers.Dense(8, "relu", name="hidden"), layers.Dense(8, "sigmoid", name="squashed"),
            layers.Dense(1, name="out")]

def embedding():
    return [keras.Input((5,), dtype="int32"), layers.Embedding(30, 4, name="words"), layers.Flatten(),
            layers.Dense(1, name="out")]

def train(parts, optimizer, log_dir, scope=contextlib.nullcontext, examples=48, **options):
    keras.utils.set_random_seed(1)
    with scope():
        model = keras.Sequential(parts())
        model.compile(optimizer(), "mse")
    x = np.random.default_rng(0).normal(size=(examples, 5)).astype("float32")
    y = x[:, :1]
    if parts is embedding:
        x = (np.abs(x) * 10).astype("int32") % 30
    recorder = gradscope.Recorder(log_dir, summary=False, **options) if log_dir else None
    model.fit(x, y, batch_size=16, verbose=0, shuffle=False, callbacks=[recorder] if recorder else [])
    return model.get_weights()

def train_by_hand(way, log_dir, strategy=None, batches=3):
    # What is a tf.function: the step (outer), what it has run in each replica (inner), nothing (eager).
    keras.utils.set_random_seed(1)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model, optimizer = keras.Sequential(dense()), keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)

    def replica_step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((model(x, training=True) - y) ** 2) / 16
        returned = loss
        if way != "eager" and loss > 1e9:  # autograph turns this into a branch of the graph
            returned = 2.0 * loss
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return returned

    run = tf.function(replica_step) if way == "inner" else replica_step

    def train_step(x, y):
        if strategy is None:
            return replica_step(x, y)
        return strategy.reduce("SUM", strategy.run(run, args=(x, y)), axis=None)

    step = tf.function(train_step) if way == "outer" else train_step
    x = np.random.default_rng(0).normal(size=(batches * 16, 5)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(16)
    if strategy:
        data = strategy.experimental_distribute_dataset(data)
    if log_dir is None:
        losses = [step(*batch) for batch in data]
    else:
        with gradscope.Recorder(log_dir, every=1, summary=False) as recorder:
            step = recorder.wrap(step, model=model, optimizer=optimizer)
            losses = [step(*batch) for batch in data]
    return model.get_weights()

def furthest(some, others):
    return float(max(np.abs(a - b).max() for a, b in zip(some, others)))
"""

MIRRORED = """
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
adam = keras.optimizers.Adam
clipping = lambda: keras.optimizers.SGD(0.1, clipvalue=0.05)
log_dir = sys.argv[1]
for name, parts, optimizer, examples in [
    ("dense", dense, adam, 48), ("embedding", embedding, adam, 48), ("clipped", dense, clipping, 48),
    ("uneven", dense, adam, 33),  # the last batch leaves a replica without any example
]:
    plain = train(parts, optimizer, None, strategy.scope, examples)
    recorded = train(parts, optimizer, f"{log_dir}/{name}", strategy.scope, examples, every=1)
    alone = train(parts, optimizer, f"{log_dir}/{name}_alone", examples=examples, every=1)
    print(name, furthest(plain, recorded), furthest(recorded, alone))
"""

MIRRORED_LOOP = """
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
log_dir = sys.argv[1]
alone = train_by_hand("outer", f"{log_dir}/alone")
for way in ("outer", "inner", "eager"):
    plain = train_by_hand(way, None, strategy)
    recorded = train_by_hand(way, f"{log_dir}/{way}", strategy)
    assert "run" not in vars(strategy)
    print(way, furthest(plain, recorded), furthest(recorded, alone))

# What is run in each replica is not the step.
with strategy.scope():
    model = keras.Sequential(dense())
recorder = gradscope.Recorder(f"{log_dir}/mistaken", summary=False)
strategy.run(recorder.wrap(lambda: model(tf.ones([2, 5])), model=model))
recorder.close()
"""

WORKER = """
strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
reduce = strategy.reduce
# Without this fit() of Keras 3.15 fails by itself: it asks for the mean of a pair (x, y), and along an axis of scalars.
strategy.reduce = lambda how, values, axis=None: tf.nest.map_structure(lambda value: reduce(how, value, None), values)
log_dir = sys.argv[1]
weights = train(dense, keras.optimizers.Adam, log_dir, strategy.scope, 12 * 16)
np.savez(f"{log_dir}.npz", *weights)
train_by_hand("outer", f"{log_dir}_loop", strategy)
"""


UNSUMMED = """
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
plain = train(dense, keras.optimizers.Adam, None, strategy.scope)
print(furthest(plain, train(dense, keras.optimizers.Adam, sys.argv[1], strategy.scope, every=1)))
"""

summed = pytest.mark.skipif(not sums_gradients(), reason="this version of Keras trains each replica by itself")


def start(program, log_dir, **environment):
    source = log_dir.parent / f"{log_dir.name}.py"  # a file, since autograph reads its source
    source.write_text(COMMON + program, "utf-8")
    return subprocess.Popen(
        [sys.executable, str(source), str(log_dir)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop(process):
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


def outcome(process, seconds=300):
    try:
        output, errors = process.communicate(timeout=seconds)
    finally:
        stop(process)
    assert process.returncode == 0, errors[-3000:]
    return output


def assert_same(run, alone, steps, unknown=frozenset()):
    """Every statistic of every tensor is that of the single device, but for rounding; what is pooled, nearly so.

    Which of the columns leads is chance where all vary alike.
    """
    assert run.trouble == ()
    assert set(run.tensors) == set(alone.tensors)
    for key in alone.tensors:
        extent = max(np.nanmax(np.abs(alone.series(key.kind, key.name, name)[:steps])) for name in ("min", "max"))
        for name in set(STATISTIC_NAMES) - {"leading_unit"}:
            seen, wanted = (one.series(key.kind, key.name, name)[:steps] for one in (run, alone))
            tolerance = 0.2 if name in ("example_std", "leading_unit_ratio") else 1e-5
            np.testing.assert_allclose(seen, wanted, tolerance, tolerance * extent, err_msg=f"{key} {name}")
    # Among several workers nobody reads Keras' running mean: it would be an exchange of its own.
    for name in set(alone.step_statistics) - {"recording_seconds"} - unknown:
        seen, wanted = (one.step_statistics[name][:steps] for one in (run, alone))
        np.testing.assert_allclose(seen, wanted, rtol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """The folder of the runs, and by name how far the weights of recorded training are from others'."""
    folder = tmp_path_factory.mktemp("mirrored")
    lines = [line.split() for line in outcome(start(MIRRORED, folder)).splitlines()]
    return folder, {line[0]: (float(line[1]), float(line[2])) for line in lines if len(line) == 3}


@summed
@pytest.mark.parametrize("name", ["dense", "embedding"])
def test_two_devices_record_what_one_does(mirrored, name):
    folder, differences = mirrored
    assert max(differences[name]) < 1e-6
    run, alone = gradscope.read_run(folder / name), gradscope.read_run(folder / f"{name}_alone")
    assert run.steps.tolist() == [0, 1, 2]
    assert_same(run, alone, 3)


@summed
def test_a_loop_of_ones_own_under_a_strategy_records_what_it_does_on_one_device(tmp_path):
    process = start(MIRRORED_LOOP, tmp_path)
    output, errors = process.communicate(timeout=300)
    stop(process)
    assert process.returncode == 0, errors[-3000:]
    assert "wrap the function that calls strategy.run" in errors
    assert not (tmp_path / "mistaken").exists()
    alone = gradscope.read_run(tmp_path / "alone")
    differences = {way: (float(some), float(others)) for way, some, others in map(str.split, output.splitlines())}
    assert set(differences) == {"outer", "inner", "eager"}
    for way, numbers in differences.items():
        assert max(numbers) < 1e-6
        run = gradscope.read_run(tmp_path / way)
        assert run.steps.tolist() == [0, 1, 2]
        # Eagerly there is no graph that the loss could be read off.
        assert_same(run, alone, 3, unknown={"called_loss"} if way == "eager" else frozenset())


@pytest.mark.skipif(sums_gradients(), reason="this version of Keras sums gradients over replicas")
def test_where_keras_does_not_sum_gradients_that_is_said_and_training_goes_on(tmp_path):
    process = start(UNSUMMED, tmp_path / "run")
    output, errors = process.communicate(timeout=300)
    stop(process)
    assert process.returncode == 0, errors[-3000:]
    assert float(output) < 1e-6
    assert errors.count("does not sum gradients over replicas: install a newer one") == 1


@summed
def test_what_is_left_of_clipped_gradients_is_what_the_replicas_leave(mirrored):
    folder, differences = mirrored
    assert differences["clipped"][0] < 1e-6
    run = gradscope.read_run(folder / "clipped")
    assert run.trouble == ()
    for name in ("hidden/kernel", "out/kernel", "out/bias"):
        applied = 0.1 * run.series("clipped_gradient", name, "norm")
        np.testing.assert_allclose(run.series("update", name, "norm"), applied, rtol=1e-4)
    assert (run.series("clipped_gradient", "out/bias", "max") <= 0.1 + 1e-6).all()


@summed
def test_a_replica_without_examples_has_no_say(mirrored):
    folder, differences = mirrored
    assert differences["uneven"][0] < 1e-6
    run, alone = gradscope.read_run(folder / "uneven"), gradscope.read_run(folder / "uneven_alone")
    assert run.steps.tolist() == [0, 1, 2]
    assert_same(run, alone, 2)
    assert run.step_statistics["example_count"].tolist() == [16, 16, 1]
    for name in ("mean", "rms", "max", "count", "dead_unit_fraction"):
        np.testing.assert_allclose(
            run.series("activation", "hidden", name), alone.series("activation", "hidden", name), rtol=1e-3, atol=1e-6
        )


@summed
def test_two_workers_record_what_one_device_does_and_the_chief_alone_writes(tmp_path):
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    workers = []
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        workers.append(start(WORKER, tmp_path / f"worker_{index}", TF_CONFIG=config))
    single = start(
        "np.savez(sys.argv[1] + '.npz', *train(dense, keras.optimizers.Adam, sys.argv[1], examples=12 * 16, every=1))\n"
        "train_by_hand('outer', sys.argv[1] + '_loop')",
        tmp_path / "alone",
    )
    try:
        for process in (*workers, single):
            outcome(process)
    finally:
        for process in (*workers, single):
            stop(process)
    weights = [dict(np.load(tmp_path / f"{name}.npz")) for name in ("worker_0", "worker_1", "alone")]
    for name, values in weights[2].items():
        np.testing.assert_array_equal(weights[0][name], weights[1][name])
        np.testing.assert_allclose(weights[0][name], values, atol=1e-6)
    run = gradscope.read_run(tmp_path / "worker_0")
    # Every step: an eighth of a step below 8 is less than one; then every second.
    assert run.steps.tolist() == [*range(9), 10]
    alone = gradscope.read_run(tmp_path / "alone")
    assert_same(run, alone, 9, unknown={"interval_loss"})
    assert_same(gradscope.read_run(tmp_path / "worker_0_loop"), gradscope.read_run(tmp_path / "alone_loop"), 3)
    assert not (tmp_path / "worker_1").exists()
    assert not (tmp_path / "worker_1_loop").exists()


# -- without TensorFlow's strategies ---------------------------------------------------------------------------------


def measured(*tensors, scalars=(), units=()):
    layout = Layout(
        tuple(TensorKey("activation", f"layer_{i}", f"layer_{i}") for i in range(len(tensors))),
        tuple(key for key, _ in scalars),
        tuple((layer, len(silent)) for layer, silent in units),
    )
    parts = [measure(tf.constant(tensor, tf.float32)[None, :]) for tensor in tensors]
    return Measured(
        layout,
        np.concatenate([moments.numpy() for moments, _ in parts]),
        np.concatenate([histogram.numpy() for _, histogram in parts]).astype(np.int32),
        np.array([value for _, value in scalars], np.float32),
        np.concatenate([np.asarray(silent, np.float32) for _, silent in units]) if units else np.zeros(0, np.float32),
    )


def test_merged_moments_and_histograms_are_those_of_all_entries_together():
    rng = np.random.default_rng(0)
    whole = rng.normal(3.0, 2.0, 40).astype(np.float32)
    whole[[1, 5]] = 0.0
    whole[[2, 30]] = np.nan
    whole[7] = np.inf
    tiny = np.full(40, 1e-30, np.float32)
    merged = merge([measured(whole[:12], tiny[:12]), measured(whole[12:], tiny[12:]), measured([], [])])
    wanted = measured(whole, tiny)
    np.testing.assert_allclose(merged.moments, wanted.moments, rtol=1e-5)
    np.testing.assert_array_equal(merged.histograms, wanted.histograms)
    assert merged.histograms.shape == (2, BUCKETS)


def test_entries_that_are_nowhere_finite_merge_to_nan():
    merged = merge([measured([np.nan, np.inf]), measured([np.nan])])
    row = dict(zip(MOMENTS, merged.moments[0], strict=True))
    assert (row["count"], row["nan_count"], row["inf_count"]) == (3, 2, 1)
    assert np.isnan([row[name] for name in ("mean", "std", "rms", "norm", "min", "max")]).all()


def test_merged_scalars_and_units():
    def part(examples, spread, saturated, silent, rate=0.1):
        return measured(
            np.ones(examples),
            scalars=[
                (("step", "", "example_count"), examples),
                (("step", "", "loss"), 2.0),
                (("step", "", "called_loss"), saturated),
                (("step", "", "learning_rate"), rate),
                (("activation", "layer_0", "example_std"), spread),
                (("activation", "layer_0", "saturation_fraction"), saturated),
                (("activation", "layer_0", "entries_per_unit"), examples),
            ],
            units=[("layer_0", silent)],
        )

    merged = merge([part(3, 1.0, 0.0, [1, 1, 0]), part(1, np.nan, 1.0, [1, 0, 0]), part(0, np.nan, np.nan, [0, 0, 0])])
    np.testing.assert_allclose(merged.scalars, [4, 6, 0.25, 0.1, np.sqrt(3 / 2 * 3 / 4), 0.25, 4], rtol=1e-6)
    assert merged.silent_units.tolist() == [1, 0, 0]
    assert merge([]) is None


def test_workers_in_step_sample_by_the_step_alone():
    schedules = [Schedule(in_step=True), Schedule(in_step=True)]
    schedules[1].clock.recording_seconds = 1e6  # this worker's clock says that nothing more may be spent
    chosen = []
    for schedule in schedules:
        steps = [step for step in range(1000) if schedule.samples(step) and not schedule.sampled(step)]
        chosen.append(steps)
    assert chosen[0] == chosen[1]
    assert chosen[0][:10] == [*range(9), 10]
    assert len(chosen[0]) == 44


def test_a_process_that_trains_alone_is_its_own_chief():
    worker = worker_of(tf.distribute.get_strategy())
    assert worker.alone
    assert worker.chief
