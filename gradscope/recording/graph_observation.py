"""GraphObservation: what is measured of a TF1 graph, in three fetches, and the card of its layers.

Weights are only well-defined between runs of a session: within one, nothing says whether a read comes before or after
the optimizer's write. So they are measured in a run of their own before the step, which also keeps a copy of them in
the graph, and the updates in one after it. The user's operations stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradscope.model_card import ModelCard
from gradscope.recording import statistics
from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.recording.graph_card import graph_card
from gradscope.recording.graph_loss import GraphLoss, graph_loss
from gradscope.recording.graph_walk import GraphLayer, find_layer, inbound, variables_by_operation
from gradscope.recording.kernels import unit_columns
from gradscope.recording.naming import NamedVariable
from gradscope.recording.scope import SCOPE
from gradscope.recording.trouble import Trouble
from gradscope.run import TensorKey
from gradscope.vocabulary import SATURATION_BOUND

__all__ = ["GraphObservation", "Pairs"]

Pairs = Sequence[tuple[Any, Any]]
"""(gradient, variable); a gradient is a tensor, `tf.IndexedSlices`, or None where the loss does not depend on it."""

_MOST_UNITS = 8192  # beyond it (a vocabulary) single units are not watched


class GraphObservation:
    """The observed graph; made inside it, after everything that is to be measured and before a session runs it.

    What cannot be measured is reported with its name, and the rest is measured. The arguments are those of
    `gradscope.recording.graph_v1.GraphRecorder.observe`, checked.
    """

    before: Any
    """Measures the weights and keeps a copy of them; to be run before the step."""
    during: Any
    """Measures inputs, activations, gradients and the loss; to be run with the step."""
    after: Any
    """Measures what the step changed; to be run after it."""

    def __init__(
        self,
        trouble: Trouble,
        *,
        grads_and_vars: Pairs,
        clipped_grads_and_vars: Pairs,
        activations: Mapping[str, Any],
        preactivations: Mapping[str, Any],
        inputs: Mapping[str, Any],
        outputs: Iterable[str],
        targets: Mapping[str, Any],
        loss: Any,
        learning_rate: Any,
    ) -> None:
        self._trouble = trouble
        self._before, self._during, self._after = Collector(), Collector(), Collector()
        self._pairs = list(grads_and_vars)
        self._updates: dict[str, Any] = {}
        self.layers = self._find_layers(activations, preactivations, inputs, set(outputs))
        self.variables = self._name_variables()
        with tf.control_dependencies(None), tf.name_scope(SCOPE):
            self._loss = GraphLoss(targets=list(targets.values()))
            with trouble.instead_of_raising("which loss it is is not recorded"):
                self._loss = graph_loss(loss, self.layers, self._loss.targets)
            self._note_targets()
            self._note_inputs(inputs)
            for layer in self.layers:
                with trouble.instead_of_raising(f"activation {layer.name} is not recorded"):
                    self._note_layer(layer)
            self._note_step(loss, learning_rate)
            if loss is not None:
                with trouble.instead_of_raising("the activation gradients are not recorded"):
                    self._note_activation_gradients(loss)
            self._note_gradients("gradient", self._pairs)
            if clipped_grads_and_vars:
                self._note_gradients("clipped_gradient", clipped_grads_and_vars)
                with trouble.instead_of_raising("the share of clipped entries is not recorded"):
                    self._note_clipped_fraction(clipped_grads_and_vars)
            copies = self._note_weights()
            kept = self._note_expected_loss_change()
            before_layout, before = self._before.pack()
            during_layout, during = self._during.pack()
            after_layout, self.after = self._after.pack()
            with tf.control_dependencies(copies):
                self.before = tf.identity(before)
            with tf.control_dependencies(kept):
                self.during = tf.identity(during)
        self.layouts = (before_layout, during_layout, after_layout)
        """What the numbers of `before`, `during` and `after` stand for."""
        self.gradient_operations = frozenset(part.op.name for gradient, _ in self._pairs for part in _parts(gradient))
        """Names of the operations that the gradients come from."""

    # -- layers ------------------------------------------------------------------------------------------------------

    def _find_layers(
        self,
        activations: Mapping[str, Any],
        preactivations: Mapping[str, Any],
        inputs: Mapping[str, Any],
        outputs: set[str],
    ) -> list[GraphLayer]:
        graph = tf.compat.v1.get_default_graph()
        known = variables_by_operation(
            [*graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES), *(variable for _, variable in self._pairs)]
        )
        # An operation is made after those it needs, so this is forward order.
        order = {operation.name: number for number, operation in enumerate(graph.get_operations())}
        names = sorted(activations, key=lambda name: order[activations[name].op.name])
        for name in [name for name in names if not activations[name].dtype.is_floating]:
            self._trouble.report(f"activation {name} is not recorded: it is of type {activations[name].dtype.name}")
            names.remove(name)
        stops = {tensor.name: "input" for tensor in inputs.values()} | {activations[n].name: n for n in names}
        layers = []
        for name in names:
            layer = GraphLayer(name, activations[name], activations[name], str(activations[name].op.type))
            with self._trouble.instead_of_raising(f"the variables of activation {name} are not found"):
                layer = find_layer(name, activations[name], preactivations.get(name), known)
                layer.inbound = inbound(layer, stops, any_source=not inputs)
            layers.append(layer)
        feeding = {name for layer in layers for name in layer.inbound or ()}
        for layer in layers:
            layer.is_output = layer.name in (outputs or set(names) - feeding)
        return layers

    def _note_layer(self, layer: GraphLayer) -> None:
        a, z, function = layer.activation, layer.preactivation, layer.function
        self._note_signal("activation", layer.name, layer.name, a)
        rank = a.shape.rank
        axis = statistics.unit_axis(rank, layer.data_format) if rank else 0
        if rank and rank > 1 and 0 < (a.shape[axis] or 0) <= _MOST_UNITS:
            silent, per_unit = statistics.dead_units(a, axis)
            self._during.units(layer.name, tf.ensure_shape(silent, [a.shape[axis]]))
            self._during.scalar(("activation", layer.name, "entries_per_unit"), per_unit)
        if z is a or function is None:
            return
        self._during.tensor(TensorKey("preactivation", layer.name, layer.name), z)
        if function.max_derivative:
            # The sum of an elementwise function's entries has f'(z) for its gradient.
            slope = tf.gradients(a, z)[0]
            share = statistics.saturated_fraction(slope, SATURATION_BOUND * function.max_derivative, z)
            self._during.scalar(("activation", layer.name, "saturation_fraction"), share)

    def _note_signal(self, kind: str, name: str, layer: str, tensor: Any) -> None:
        self._during.tensor(TensorKey(kind, name, layer), tensor)
        if tensor.shape.rank:
            values = tf.cast(tensor, tf.float32)
            values = tf.reshape(values, [tf.shape(values)[0], -1])
            self._during.scalar((kind, name, "example_std"), statistics.example_std(values))

    def _note_inputs(self, inputs: Mapping[str, Any]) -> None:
        for name, tensor in inputs.items():
            if tensor.dtype.is_floating:
                with self._trouble.instead_of_raising(f"input {name} is not recorded"):
                    self._note_signal("input", name, "input", tensor)
                    self._during.leading_unit("input", name, tensor)
        batches = [*inputs.values(), *(layer.activation for layer in self.layers)]
        batch = next((tensor for tensor in batches if tensor.shape.rank), None)
        if batch is not None:
            self._during.scalar(("step", "", "example_count"), tf.shape(batch)[0])

    def _note_targets(self) -> None:
        for name, tensor in self._loss.named_targets:
            with self._trouble.instead_of_raising(f"{name} is not recorded"):
                self._note_signal("target", name, "target", tensor)

    def _note_activation_gradients(self, loss: Any) -> None:
        # A cross-entropy is computed from z, so nothing flows back through a.
        bypassed = [
            ly for ly in self.layers if ly.function and (ly.function.shape == "joint" or ly.function.name == "sigmoid")
        ]
        wanted = [*(ly.activation for ly in self.layers), *(ly.preactivation for ly in bypassed)]
        gradients = tf.gradients(loss, wanted) if wanted else []
        through_z = {ly.name: g for ly, g in zip(bypassed, gradients[len(self.layers) :], strict=True)}
        for layer, gradient in zip(self.layers, gradients, strict=False):
            if gradient is not None:
                self._during.tensor(TensorKey("activation_gradient", layer.name, layer.name), gradient)
            elif through_z.get(layer.name) is not None:
                key = TensorKey("preactivation_gradient", layer.name, layer.name)
                self._during.tensor(key, through_z[layer.name])
            else:
                self._trouble.report(f"the loss does not depend on activation {layer.name}: it has no gradient")

    # -- the step ----------------------------------------------------------------------------------------------------

    def _note_step(self, loss: Any, learning_rate: Any) -> None:
        for name, value in (("loss", loss), ("called_loss", self._loss.called), ("learning_rate", learning_rate)):
            if value is not None:
                with self._trouble.instead_of_raising(f"the {name.replace('_', ' ')} is not recorded"):
                    self._during.scalar(("step", "", name), tf.reduce_sum(value))

    # -- variables ---------------------------------------------------------------------------------------------------

    def _name_variables(self) -> list[NamedVariable]:
        """The variables of the layers and of the optimizer; after the layer that owns them, or their own scope."""
        owner = {v.op.name: layer.name for layer in reversed(self.layers) for v in layer.variables.values()}
        variables = [*(v for layer in self.layers for v in layer.variables.values()), *(v for _, v in self._pairs)]
        named: dict[str, NamedVariable] = {}
        taken: set[str] = set()
        for variable in variables:
            own = str(variable.op.name)
            if own in named or not variable.dtype.is_floating:
                continue
            scope, _, last = own.rpartition("/")
            layer = owner.get(own, scope or own)
            candidates = [f"{layer}/{last}" if own in owner else own, own, str(variable.name)]
            name = next(candidate for candidate in candidates if candidate not in taken)
            taken.add(name)
            named[own] = NamedVariable(name, layer, variable)
        self._named = named
        return list(named.values())

    def _note_gradients(self, kind: str, pairs: Pairs) -> None:
        for gradient, variable in pairs:
            named = self._named.get(str(variable.op.name))
            if gradient is not None and named is not None:
                with self._trouble.instead_of_raising(f"the {kind.replace('_', ' ')} of {named.name} is not recorded"):
                    self._during.tensor(TensorKey(kind, named.name, named.layer), gradient)

    def _note_clipped_fraction(self, clipped_pairs: Pairs) -> None:
        clipped = {variable.op.name: gradient for gradient, variable in clipped_pairs}
        changed, count = tf.constant(0.0), tf.constant(0.0)
        for gradient, variable in self._pairs:
            result = clipped.get(variable.op.name)
            if gradient is not None and result is not None:
                differs = tf.not_equal(tf.convert_to_tensor(gradient), tf.convert_to_tensor(result))
                changed += tf.reduce_sum(tf.cast(differs, tf.float32))
                count += tf.cast(tf.size(differs), tf.float32)
        self._during.scalar(("step", "", "clipped_fraction"), changed / count)

    def _note_weights(self) -> list[Any]:
        """Note weights and updates; returns the operations that keep a copy of the weights for the updates."""
        copies = []
        handed = {variable.op.name for _, variable in self._pairs}
        for named in self.variables:
            variable = named.variable
            with self._trouble.instead_of_raising(f"the weights of {named.name} are not recorded"):
                value = tf.convert_to_tensor(variable)
                self._before.tensor(TensorKey("weight", named.name, named.layer), value)
                self._note_unit_std(named, value)
                if variable.op.name not in handed:
                    continue
                # A real copy: the value of a reference variable is the very memory that the optimizer writes to.
                copy, write = _kept(variable, tf.raw_ops.DeepCopy(x=value))
                copies.append(write)
                self._updates[variable.op.name] = tf.convert_to_tensor(variable) - copy
                self._after.tensor(TensorKey("update", named.name, named.layer), self._updates[variable.op.name])
        return copies

    def _note_unit_std(self, named: NamedVariable, value: Any) -> None:
        layer = next((one for one in self.layers if one.variables.get("kernel") is named.variable), None)
        swapped = layer is not None and layer.kind == "Dense" and layer.fan_out != value.shape[-1]
        columns = None if layer is None or swapped else unit_columns(layer.kind, "kernel", value)
        if columns is not None:
            self._before.scalar(("weight", named.name, "unit_std"), statistics.unit_std(columns))

    def _note_expected_loss_change(self) -> list[Any]:
        """Returns the operations that keep the gradients until the updates are there."""
        writes, changes = [], []
        with self._trouble.instead_of_raising("the expected change of the loss is not recorded"):
            for gradient, variable in self._pairs:
                update = self._updates.get(variable.op.name)
                if gradient is not None and update is not None:
                    copy, write = _kept(variable, tf.convert_to_tensor(gradient))
                    writes.append(write)
                    changes.append(statistics.dot(copy, update))
            if changes:
                self._after.scalar(("step", "", "expected_loss_change"), tf.add_n(changes))
        return writes

    def model_card(self, settings: Mapping[str, Any]) -> ModelCard:
        """The card of the observed layers and variables."""
        gradients = {variable.op.name: gradient for gradient, variable in self._pairs}
        return graph_card(self.layers, self.variables, gradients, {**self._loss.settings, **settings})


def _kept(variable: Any, value: Any) -> tuple[Any, Any]:
    """A copy of ``value`` that outlasts the run of the session, beside the variable, and what writes it."""
    with tf.device(variable.device):
        # In no collection: not initialised with the user's variables, not saved with them.
        copy = tf.compat.v1.Variable(
            tf.zeros(variable.shape, value.dtype), trainable=False, collections=[], use_resource=True
        )
    return copy, copy.assign(value, read_value=False)


def _parts(gradient: Any) -> list[Any]:
    if gradient is None:
        return []
    return [gradient.values] if isinstance(gradient, tf.IndexedSlices) else [gradient]
