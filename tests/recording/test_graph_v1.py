"""GraphRecorder: what it measures of a TF1 graph is what the session computed, and training does not notice it."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import gradscope
from gradscope.errors import RecordingError
from gradscope.recording.graph_v1 import GraphRecorder, GraphRecorderHook

# Without TensorFlow's graph optimizer, which fuses other kernels when more is fetched and so changes the last bits.
EXACT = tf.ConfigProto()
EXACT.graph_options.rewrite_options.disable_meta_optimizer = True


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        tf.set_random_seed(3)
        yield


class Network:
    """Five inputs, eight hidden units, one output; trained with its gradients clipped."""

    def __init__(self, activation=tf.nn.tanh, optimizer=None, *, hidden_trainable=True):
        self.x = tf.placeholder(tf.float32, [None, 5], name="x")
        self.y = tf.placeholder(tf.float32, [None, 1], name="y")
        self.w1 = tf.get_variable("W", [5, 8], trainable=hidden_trainable)
        self.b1 = tf.get_variable("b", [8], initializer=tf.zeros_initializer(), trainable=hidden_trainable)
        self.w2 = tf.get_variable("head/W", [8, 1])
        self.hidden = activation(tf.matmul(self.x, self.w1) + self.b1)
        self.out = tf.matmul(self.hidden, self.w2)
        self.loss = tf.reduce_mean(tf.square(self.out - self.y))
        self.global_step = tf.train.get_or_create_global_step()
        optimizer = optimizer or tf.train.GradientDescentOptimizer(0.5)
        self.gradients = optimizer.compute_gradients(self.loss)
        self.clipped = [(tf.clip_by_value(g, -0.05, 0.05), v) for g, v in self.gradients]
        self.train_op = optimizer.apply_gradients(self.clipped, global_step=self.global_step)

    def observe(self, recorder, **more):
        arguments = {
            "grads_and_vars": self.gradients,
            "clipped_grads_and_vars": self.clipped,
            "activations": {"hidden": self.hidden, "out": self.out},
            "inputs": {"x": self.x},
            "loss": self.loss,
            "learning_rate": 0.5,
        }
        return recorder.observe(**{**arguments, **more})

    def feed(self, step):
        rng = np.random.default_rng(step)
        x = rng.normal(size=(16, 5)).astype(np.float32)
        return {self.x: x, self.y: x[:, :1] - x[:, 1:2]}


def started():
    session = tf.Session(config=EXACT)
    session.run(tf.global_variables_initializer())
    return session


def train(network, recorder, steps, feed=None):
    with recorder, started() as session:
        for step in range(steps):
            recorder.run(session, network.train_op, feed or network.feed(step), step=step)
        weights = session.run(tf.trainable_variables())
    return gradscope.read_run(recorder.log_dir), weights


@pytest.fixture
def recorder(tmp_path):
    return GraphRecorder(tmp_path / "run", every=1, summary=False)


def norm(array):
    return float(np.linalg.norm(np.asarray(array, np.float64)))


# -- what is measured -------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_step(recorder):
    network = Network()
    network.observe(recorder)
    wanted = tf.gradients(network.loss, [network.hidden, network.out])
    expected = []
    with recorder, started() as session:
        for step in range(3):
            feed = network.feed(step)
            variables = [network.w1, network.b1, network.w2]
            before = session.run(variables)
            seen = session.run([[g for g, _ in network.gradients], network.hidden, network.loss, *wanted], feed)
            recorder.run(session, network.train_op, feed, step=step)
            expected.append((before, *seen, [a - b for a, b in zip(session.run(variables), before, strict=True)]))
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    assert run.steps.tolist() == [0, 1, 2]
    names = ["hidden/W", "hidden/b", "out/W"]
    for sample, (weights, gradients, hidden, loss, d_hidden, d_out, updates) in enumerate(expected):
        series = {
            **{("weight", name): w for name, w in zip(names, weights, strict=True)},
            **{("gradient", name): g for name, g in zip(names, gradients, strict=True)},
            **{("clipped_gradient", name): np.clip(g, -0.05, 0.05) for name, g in zip(names, gradients, strict=True)},
            **{("update", name): u for name, u in zip(names, updates, strict=True)},
            ("activation", "hidden"): hidden,
            ("activation_gradient", "hidden"): d_hidden,
            ("activation_gradient", "out"): d_out,
        }
        for (kind, name), array in series.items():
            measured = float(run.series(kind, name, "norm")[sample])
            assert measured == pytest.approx(norm(array), rel=1e-5), f"{kind} {name} at step {sample}"
        assert run.step_statistics["loss"][sample] == pytest.approx(loss, rel=1e-6)
    ratio = run.series("update", "hidden/W", "update_to_weight_ratio")
    assert ratio[1] == pytest.approx(norm(expected[1][-1][0]) / norm(expected[1][0][0]), rel=1e-5)
    assert run.step_statistics["example_count"].tolist() == [16, 16, 16]
    assert run.step_statistics["learning_rate"].tolist() == [0.5] * 3
    share = np.mean(np.concatenate([np.abs(g).ravel() > 0.05 for g in expected[0][1]]))
    assert run.step_statistics["clipped_fraction"][0] == pytest.approx(share)


@pytest.mark.parametrize(
    ("activation", "saturated"),
    [
        (tf.nn.sigmoid, lambda z: np.abs(z) > 4.357),
        (tf.nn.tanh, lambda z: np.abs(z) > 2.1785),
        (tf.nn.relu, lambda z: z <= 0),
    ],
)
def test_saturation_is_that_of_the_activation(activation, saturated, recorder):
    network = Network(lambda z: activation(8.0 * z))
    network.observe(recorder)
    z = network.hidden.op.inputs[0]
    feed = network.feed(0)
    with recorder, started() as session:
        share = saturated(session.run(z, feed)).mean()
        recorder.run(session, network.train_op, feed, step=0)
    run = gradscope.read_run(recorder.log_dir)
    assert 0.05 < share < 0.95
    assert run.series("activation", "hidden", "saturation_fraction")[0] == pytest.approx(share, abs=0.01)
    assert run.names("preactivation") == ("hidden",)


def test_a_cross_entropy_has_its_gradient_where_the_loss_reads_it(recorder):
    network = Network()
    logits = tf.matmul(network.hidden, tf.get_variable("classes", [8, 3]))
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=[[1.0, 0.0, 0.0]] * 16, logits=logits))
    gradients = tf.train.AdamOptimizer().compute_gradients(loss)
    activations = {"hidden": network.hidden, "classes": tf.nn.softmax(logits)}
    expected = tf.gradients(loss, logits)[0]
    recorder.observe(grads_and_vars=gradients, activations=activations, loss=loss)
    with recorder, started() as session:
        value = session.run(expected, network.feed(0))
        recorder.run(session, loss, network.feed(0), step=0)
    run = gradscope.read_run(recorder.log_dir)
    assert run.names("activation_gradient") == ("hidden",)
    assert run.series("preactivation_gradient", "classes", "norm")[0] == pytest.approx(norm(value), rel=1e-5)


def test_what_the_loss_compares_is_read_off_it_and_the_update_held_against_the_gradient(recorder):
    network = Network()
    network.observe(recorder)
    expected, variables = [], [network.w1, network.b1, network.w2]
    with recorder, started() as session:
        for step in range(3):
            feed = network.feed(step)
            before = session.run(variables)
            gradients = session.run([g for g, _ in network.gradients], feed)
            recorder.run(session, network.train_op, feed, step=step)
            changes = [after - old for after, old in zip(session.run(variables), before, strict=True)]
            products = [np.sum(g * change) for g, change in zip(gradients, changes, strict=True)]
            expected.append((feed[network.y], np.sum(products), before[0].std(axis=1)))
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    (loss,) = run.settings["losses"]
    assert (loss["name"], loss["output"]) == ("mean_squared_error", "out")
    assert run.settings["target_shapes"] == {"target": [None, 1]}
    np.testing.assert_allclose(run.step_statistics["called_loss"], run.step_statistics["loss"], rtol=1e-6)
    for sample, (target, change, unit_std) in enumerate(expected):
        assert run.series("target", "target", "std")[sample] == pytest.approx(target.std(), rel=1e-5)
        assert run.step_statistics["expected_loss_change"][sample] == pytest.approx(change, rel=1e-4)
        seen = run.series("weight", "hidden/W", "unit_std")[sample]
        assert seen == pytest.approx(np.sqrt(np.mean(unit_std**2)), rel=0.01)
    assert np.isfinite(run.series("activation", "hidden", "example_std")).all()


def test_a_cross_entropy_of_classes_is_named_with_its_logits(recorder):
    words = tf.placeholder(tf.float32, [None, 4])
    classes = tf.placeholder(tf.int32, [None])
    logits = tf.matmul(words, tf.get_variable("W", [4, 3]))
    loss = tf.losses.sparse_softmax_cross_entropy(classes, logits)
    pairs = tf.train.GradientDescentOptimizer(0.1).compute_gradients(loss)
    recorder.observe(grads_and_vars=pairs, activations={"logits": logits}, loss=loss)
    with recorder, started() as session:
        feed = {words: np.eye(4, dtype=np.float32), classes: [0, 1, 2, 2]}
        recorder.run(session, [g for g, _ in pairs], feed, step=0)
    run = gradscope.read_run(recorder.log_dir)
    (loss,) = run.settings["losses"]
    assert (loss["name"], loss["from_logits"], loss["output"]) == ("sparse_categorical_crossentropy", True, "logits")
    assert run.series("target", "target", "max")[0] == 2


def test_targets_are_those_that_are_told(recorder):
    network = Network()
    network.observe(recorder, targets={"y": network.y}, loss=tf.reduce_mean(tf.math.log(tf.cosh(network.out))))
    run, _ = train(network, recorder, 1)
    assert run.settings["losses"] == []
    assert run.series("target", "target", "rms")[0] == pytest.approx(norm(network.feed(0)[network.y]) / 4, rel=1e-5)


def test_dead_units_and_nonfinite_entries_are_counted(recorder):
    network = Network(lambda z: tf.nn.relu(z - [1e3, 1e3, 0, 0, 0, 0, 0, 0]))
    network.observe(recorder)
    feeds = [network.feed(step) for step in range(9)]
    feeds[8][network.x][0, 0] = np.nan
    with recorder, started() as session:
        for step, feed in enumerate(feeds):
            recorder.run(session, network.train_op, feed, step=step)
    run = gradscope.read_run(recorder.log_dir)
    shares = run.series("activation", "hidden", "dead_unit_fraction")
    assert np.isnan(shares[:7]).all()  # 16 examples a step, and the window wants 128
    assert shares[7] == 0.25
    assert run.series("input", "x", "nan_count")[8] == 1
    assert run.series("input", "x", "rms")[8] > 0
    assert np.isnan(run.step_statistics["loss"][8])


# -- what the graph tells of the model ---------------------------------------------------------------------------------


def test_the_card_of_a_small_network(recorder):
    network = Network()
    network.observe(recorder)
    run, _ = train(network, recorder, 1)
    hidden, out = run.model.layers
    assert (hidden.kind, hidden.fan_in, hidden.fan_out, hidden.units) == ("Dense", 5, 8, 8)
    assert (hidden.activation.name, hidden.activation.shape) == ("tanh", "bounded")
    assert (out.activation.name, out.fan_in, out.fan_out) == ("linear", 8, 1)
    assert (hidden.inbound, out.inbound) == (("input",), ("hidden",))
    assert (hidden.is_output, out.is_output) == (False, True)
    roles = {variable.name: variable.role for variable in run.model.variables}
    assert roles == {"hidden/W": "kernel", "hidden/b": "bias", "out/W": "kernel"}


def test_convolutions_embeddings_and_skips_are_recognised(recorder):
    image = tf.placeholder(tf.float32, [4, 8, 8, 3])
    words = tf.placeholder(tf.int32, [4, 6])
    rate = tf.placeholder_with_default(0.5, [], name="keep")
    conv = tf.nn.relu(
        tf.nn.bias_add(tf.nn.conv2d(image, tf.get_variable("k", [3, 3, 3, 7]), padding="SAME"), [0.0] * 7)
    )
    embedded = tf.nn.embedding_lookup(tf.get_variable("table", [20, 5]), words)
    series = tf.nn.elu(tf.nn.conv1d(embedded, tf.get_variable("k1", [2, 5, 7]), padding="SAME"))
    pooled = tf.reduce_mean(tf.nn.max_pool2d(conv, 2, 2, "SAME"), [1, 2])
    kept = tf.nn.dropout(pooled, rate=rate)
    skip = tf.add(kept, tf.reduce_mean(series, 1))
    column = tf.matmul(tf.get_variable("rows", [2, 7]), skip, transpose_b=True)
    activations = {"column": column, "skip": skip, "series": series, "embedded": embedded, "conv": conv}
    loss = tf.reduce_sum(tf.square(column))
    optimizer = tf.train.GradientDescentOptimizer(0.01)
    gradients = optimizer.compute_gradients(loss)
    recorder.observe(grads_and_vars=gradients, activations=activations, loss=loss)
    train_op = optimizer.apply_gradients(gradients)
    feed = {image: np.ones((4, 8, 8, 3)), words: np.arange(24).reshape(4, 6) % 20}
    with recorder, started() as session:
        recorder.run(session, train_op, feed, step=0)
    run = gradscope.read_run(recorder.log_dir)
    assert run.trouble == ()
    layers = {layer.name: layer for layer in run.model.layers}
    assert list(layers) == ["conv", "embedded", "series", "skip", "column"]  # forward order
    assert (layers["conv"].kind, layers["conv"].fan_in, layers["conv"].fan_out) == ("Conv2D", 27, 63)
    assert (layers["series"].kind, layers["series"].fan_in) == ("Conv2D", 10)
    assert layers["embedded"].kind == "Embedding"
    assert (layers["column"].fan_in, layers["column"].fan_out) == (7, 2)
    assert layers["conv"].inbound == ("input",)
    assert layers["skip"].inbound == ("conv", "series")  # and not the dropout rate that is fed
    assert layers["skip"].activation is None
    assert [layer.name for layer in run.model.layers if layer.is_output] == ["column"]
    assert run.series("gradient", "embedded/table", "count")[0] == 100  # sparse in the graph
    assert run.series("update", "embedded/table", "norm")[0] > 0


def test_frozen_and_disconnected_variables_are_named(recorder):
    network = Network(hidden_trainable=False)
    unused = tf.get_variable("somewhere/unused", [3])
    network.observe(recorder, grads_and_vars=[*network.gradients, (None, unused)])
    run, _ = train(network, recorder, 1)
    frozen, other = run.model.variable("hidden/W"), run.model.variable("somewhere/unused")
    assert (frozen.trainable, frozen.optimized) == (False, False)
    assert (other.connected, other.layer) == (False, "somewhere")
    assert "hidden/W" in run.names("weight")
    assert "hidden/W" not in run.names("gradient") + run.names("update")
    assert "somewhere/unused" not in run.names("gradient")


def test_a_function_the_graph_does_not_show_is_told_by_its_preactivation(recorder):
    network = Network(lambda z: z * tf.nn.sigmoid(1.7 * z))
    z = network.hidden.op.inputs[0]
    network.observe(recorder, preactivations={"hidden": z}, outputs=["hidden"])
    run, _ = train(network, recorder, 1)
    hidden, out = run.model.layers
    assert (hidden.kind, hidden.fan_in, hidden.activation.name) == ("Dense", 5, "custom")
    assert run.names("preactivation") == ("hidden",)
    assert (hidden.is_output, out.is_output) == (True, False)


# -- how it is used ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [tf.train.GradientDescentOptimizer, tf.train.AdamOptimizer])
def test_training_is_bit_identical_with_every_step_recorded(optimizer, tmp_path):
    weights = []
    for every in (1, None):
        with tf.Graph().as_default():
            tf.set_random_seed(3)
            network = Network(optimizer=optimizer(0.05))
            recorder = GraphRecorder(tmp_path / f"{every}", every=every, summary=False)
            if every:
                network.observe(recorder)
            with recorder, started() as session:
                for step in range(20):
                    run = session.run if every is None else recorder.run
                    run(session, network.train_op, network.feed(step), step=step) if every else session.run(
                        network.train_op, network.feed(step)
                    )
                weights.append(session.run(tf.trainable_variables()))
    assert gradscope.read_run(tmp_path / "1").steps.tolist() == list(range(20))
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_unsampled_steps_fetch_what_the_user_fetches(tmp_path):
    network = Network()
    recorder = GraphRecorder(tmp_path, every=3, summary=False)
    network.observe(recorder)
    fetched = []
    with recorder, started() as session:

        class Spy:
            def run(self, fetches, *args, **kwargs):
                fetched.append(fetches)
                return session.run(fetches, *args, **kwargs)

        losses = [recorder.run(Spy(), [network.train_op, network.loss], network.feed(0), step=n)[1] for n in range(6)]
    assert len(set(losses)) == 6
    assert [fetches == [network.train_op, network.loss] for fetches in fetched].count(True) == 4
    assert len(fetched) == 4 + 2 * 3
    assert gradscope.read_run(tmp_path).steps.tolist() == [0, 3]


def test_by_hand_with_one_fetch_or_with_three(tmp_path):
    network = Network()
    recorder = GraphRecorder(tmp_path / "one", every=2, summary=False)
    fetch = network.observe(recorder)
    with recorder, started() as session:
        for step in range(4):
            if recorder.samples(step):
                _, seen = session.run([network.train_op, fetch], network.feed(step))
                recorder.write(seen, step)
            else:
                session.run(network.train_op, network.feed(step))
    run = gradscope.read_run(tmp_path / "one")
    assert run.steps.tolist() == [0, 2]
    assert not run.names("weight") + run.names("update")
    assert "hidden/W" in run.names("gradient")

    recorder = GraphRecorder(tmp_path / "three", every=1, summary=False)
    fetch = network.observe(recorder)
    with recorder, started() as session:
        before = session.run(recorder.before)
        _, seen = session.run([network.train_op, recorder.fetch], network.feed(0))
        recorder.write(seen, 0, before=before, after=session.run(recorder.after))
    run = gradscope.read_run(tmp_path / "three")
    assert run.series("update", "hidden/W", "update_to_weight_ratio")[0] > 0


def test_the_hook_follows_the_global_step_and_leaves_evaluations_alone(tmp_path):
    network = Network()
    for until in (4, 7):  # the second session goes on from the first one's checkpoint
        with tf.Graph().as_default():
            tf.set_random_seed(3)
            network = Network()
            recorder = GraphRecorder(tmp_path / f"until_{until}", every=1, summary=False)
            network.observe(recorder)
            session = tf.train.MonitoredTrainingSession(
                checkpoint_dir=str(tmp_path / "checkpoints"),
                hooks=[GraphRecorderHook(recorder), tf.train.StopAtStepHook(last_step=until)],
                log_step_count_steps=None,
                save_summaries_steps=None,
            )
            with session:
                while not session.should_stop():
                    session.run(network.hidden, {network.x: np.ones((2, 5))})  # no step; and y is not fed
                    session.run({"train": network.train_op, "loss": [network.loss]}, network.feed(0))
    first, second = (gradscope.read_run(tmp_path / f"until_{until}") for until in (4, 7))
    assert first.steps.tolist() == [0, 1, 2, 3]
    assert second.steps.tolist() == [4, 5, 6]
    changed = first.series("weight", "hidden/W", "norm")[3] != second.series("weight", "hidden/W", "norm")[0]
    assert changed
    assert first.series("update", "hidden/W", "norm").min() > 0
    assert list((tmp_path / "until_4").glob("*.gradscope"))


def test_the_verdict_is_said_and_written_at_the_end(tmp_path, capsys):
    network = Network()
    recorder = GraphRecorder(tmp_path, every=1)
    network.observe(recorder)
    run, _ = train(network, recorder, 5)
    said = capsys.readouterr().out
    assert gradscope.diagnose(run).sentence in said
    assert f"gradscope check {tmp_path}" in said


def test_steps_that_do_not_go_up_are_left_out(recorder, caplog):
    network = Network()
    network.observe(recorder)
    with recorder, started() as session, caplog.at_level(logging.WARNING, logger="gradscope"):
        for step in (100, 101, 100, 50, 102):
            recorder.run(session, network.train_op, network.feed(0), step=step)
    run = gradscope.read_run(recorder.log_dir)
    assert run.steps.tolist() == [100, 101, 102]
    assert len(caplog.records) <= 1


SCRIPT = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
from gradscope.recording.graph_v1 import GraphRecorder

tf.set_random_seed(3)
x = tf.placeholder(tf.float32, [None, 5])
w = tf.get_variable("w", [5, 1])
assert "Ref" in type(w).__name__, type(w)
y = tf.sigmoid(tf.matmul(x, w))
loss = tf.reduce_mean(tf.square(y - x[:, :1]))
optimizer = tf.train.MomentumOptimizer(0.1, 0.9)
gradients = optimizer.compute_gradients(loss)
train_op = optimizer.apply_gradients(gradients)
recorder = GraphRecorder(sys.argv[1], every=1)
recorder.observe(grads_and_vars=gradients, activations={"y": y}, loss=loss)
saver = tf.train.Saver()
with recorder, tf.Session() as session:
    session.run(tf.global_variables_initializer())
    norms = []
    for step in range(5):
        before = session.run(w)
        recorder.run(session, train_op, {x: np.random.default_rng(step).normal(size=(8, 5))}, step=step)
        norms += [np.linalg.norm(before), np.linalg.norm(session.run(w) - before)]
    print("names", sorted(v.op.name for v in saver._var_list))
print("norms", *norms)
"""


def test_a_script_of_old_with_reference_variables(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    run = gradscope.read_run(tmp_path)
    measured = np.stack([run.series(kind, "y/w", "norm") for kind in ("weight", "update")], axis=1)
    np.testing.assert_allclose(measured.ravel(), np.array(lines["norms"], float), rtol=1e-5)
    assert lines["names"] == ["['w',", "'w/Momentum']"]  # none of the recorder's own
    assert "gradscope:" in lines


# -- does no harm ------------------------------------------------------------------------------------------------------


def test_an_unwritable_dir_costs_one_warning_and_nothing_else(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    network = Network()
    recorder = GraphRecorder(blocked / "run", every=1)
    network.observe(recorder)
    with recorder, started() as session, caplog.at_level(logging.WARNING, logger="gradscope"):
        for step in range(5):
            recorder.run(session, network.train_op, network.feed(step), step=step)
        assert session.run(network.global_step) == 5
    assert [record.name for record in caplog.records] == ["gradscope"]
    assert "recording stops, training goes on" in caplog.text


def test_a_tensor_that_cannot_be_measured_is_named_and_the_rest_recorded(recorder):
    network = Network()
    strings = tf.as_string(network.hidden)
    apart = tf.square(network.x)
    activations = {"text": strings, "hidden": network.hidden, "apart": apart, "out": network.out}
    network.observe(recorder, activations=activations)
    run, _ = train(network, recorder, 2)
    assert any("text is not recorded: it is of type string" in text for text in run.trouble)
    assert any("the loss does not depend on activation apart" in text for text in run.trouble)
    assert run.names("activation") == ("hidden", "out", "apart")
    assert run.names("activation_gradient") == ("hidden", "out")
    assert run.steps.tolist() == [0, 1]


def test_a_measure_that_fails_while_training_stops_recording_only(recorder, caplog):
    network = Network()
    liar = tf.py_func(lambda x: x[:, :3], [network.hidden], tf.float32)
    liar.set_shape([None, 7])
    network.observe(recorder, activations={"hidden": network.hidden, "liar": liar}, loss=None)
    with recorder, started() as session, caplog.at_level(logging.WARNING, logger="gradscope"):
        for step in range(4):
            recorder.run(session, network.train_op, network.feed(step), step=step)
        assert session.run(network.global_step) >= 4
    assert caplog.text.count("recording stops, training goes on") == 1


def test_the_users_own_error_reaches_them(recorder):
    network = Network()
    network.observe(recorder)
    refuse = tf.debugging.assert_less(network.loss, -1.0, message="too large for me")
    with recorder, started() as session, pytest.raises(tf.errors.InvalidArgumentError, match="too large for me"):
        recorder.run(session, [network.train_op, refuse], network.feed(0), step=0)


def test_numbers_that_are_no_numbers_stop_recording_only(recorder, caplog):
    network = Network()
    network.observe(recorder)
    with caplog.at_level(logging.WARNING, logger="gradscope"):
        for seen in (None, "junk", np.zeros(3)):
            recorder.write(seen, 0)
        recorder.close()
    assert caplog.text.count("recording stops, training goes on") == 1
    assert not recorder.samples(1)


def test_without_observe_training_goes_on_unrecorded(recorder, caplog):
    network = Network()
    with caplog.at_level(logging.WARNING, logger="gradscope"), recorder, started() as session:
        for step in range(3):
            recorder.run(session, network.train_op, network.feed(0), step=step)
        assert session.run(network.global_step) == 3
    assert caplog.text.count("observe was not called") == 1


def foreign():
    with tf.Graph().as_default():
        return tf.zeros([2, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: {"grads_and_vars": 3}, "grads_and_vars is of type int: give grads_and_vars as compute_gradients"),
        (lambda n: {"grads_and_vars": [n.w1]}, r"grads_and_vars\[0\] is .*a list of \(gradient, variable\)"),
        (lambda n: {"grads_and_vars": [(n.loss, n.loss)]}, r"grads_and_vars\[0\] has .* for a variable"),
        (lambda n: {"clipped_grads_and_vars": [("g", n.w1)]}, r"clipped_grads_and_vars\[0\] is 'g': give a tensor"),
        (lambda n: {"activations": [n.hidden]}, "activations is of type list: give a dict of names and tensors"),
        (lambda n: {"activations": {"": n.hidden}}, "activations has the name ''"),
        (lambda n: {"activations": {"h": foreign()}}, r"activations\['h'\] belongs to another graph"),
        (lambda n: {"preactivations": {"hiden": n.hidden}}, "'hiden', which is none of the activations: hidden, out"),
        (lambda n: {"outputs": ["last"]}, "'last', which is none of the activations"),
        (lambda n: {"loss": 0.5}, "loss is 0.5: give a tensor of the graph"),
        (lambda n: {"learning_rate": "fast"}, "learning_rate is 'fast': give a tensor"),
        (lambda n: {"loss": foreign()}, "loss belongs to another graph"),
    ],
)
def test_what_cannot_be_observed_is_refused_before_training(change, message, recorder):
    network = Network()
    with pytest.raises(RecordingError, match=message) as caught:
        network.observe(recorder, **change(network))
    assert len(str(caught.value).splitlines()) == 1


def test_observing_twice_or_hooking_nothing_is_refused(recorder):
    with pytest.raises(RecordingError, match="nothing is observed yet"):
        GraphRecorderHook(recorder)
    network = Network()
    network.observe(recorder)
    with pytest.raises(RecordingError, match="observe was called twice"):
        network.observe(recorder)
    with pytest.raises(RecordingError, match="give a path"):
        GraphRecorder(3)
