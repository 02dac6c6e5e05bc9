"""Taps: instance attributes that stand in front of a model's methods while a sampled step runs, and leave no trace.

They are put into the objects' ``__dict__`` directly, past Keras' attribute tracking, around the call of the sampled
function and not inside the step: `tf.distribute` runs replicas in threads, which would race. Between sampled steps
every object is as it was, so saving, cloning and pickling never see one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from gradscope.model_card import ActivationCard
from gradscope.recording.activations import activation_name, describe, evaluable
from gradscope.recording.frameworks import keras, tf
from gradscope.recording.gradient_calls import GRADIENTS, SCALINGS
from gradscope.recording.gradient_observer import SCALED_UPDATES, UPDATES
from gradscope.recording.inlining import inlined, is_inlinable
from gradscope.recording.learning_rate import RATES
from gradscope.recording.loop_step import loop_step, tap_strategy_run
from gradscope.recording.loss_calls import LOSSES
from gradscope.recording.losses import describe_losses
from gradscope.recording.naming import NamedLayer
from gradscope.recording.observer import Observer
from gradscope.recording.optimizer_state import built_for, innermost
from gradscope.recording.replicas import Observers
from gradscope.recording.stand_in import StandIn, tells_apart

__all__ = ["Taps"]

# They move or drop entries but compute nothing of their own; their outputs would only repeat their inputs' rows.
_TRANSPARENT = (
    keras.layers.InputLayer,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.RepeatVector,
    keras.layers.Identity,
    keras.layers.Masking,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
)
# Layers that are an activation: their call is the function.
_ACTIVATION_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU, keras.layers.Softmax)

_Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Taps:
    """The taps on one model and its optimizers, and on the strategy that a loop of one's own asks to run its step."""

    def __init__(self, model: Any, observers: Observers, optimizers: Iterable[Any] = (), strategy: Any = None) -> None:
        self._model = model
        self._observers = observers
        step = getattr(model, "train_step", None)
        compiled = isinstance(step, tf.types.experimental.PolymorphicFunction)
        self._compiled_step = loop_step(step, lambda: self._observer) if compiled else None
        self.activations: dict[str, ActivationCard] = {}
        """How the tapped layers' activations behave, by layer path."""
        self._taps: list[tuple[Any, str, _Wrapper]] = [
            (model, "train_step", self._tap_train_step),
            (model, "call", self._tap_model_call),
            (model, "compute_loss", self._tap_compute_loss),
        ]
        if strategy is not None:
            self._taps.append((strategy, "run", tap_strategy_run(observers)))
        self._loss_is_named = all(hasattr(keras.losses, entry["name"]) for entry in describe_losses(model, {}))
        # Attention weights [batch, heads, from, to] are by far the largest tensors of a transformer, and tell little.
        self._inside_attention = {
            f"{named.path}/{part.name}"
            for named in observers.names.layers
            if isinstance(named.layer, keras.layers.MultiHeadAttention)
            for part in named.layer._flatten_layers(include_self=False)  # noqa: SLF001
        }
        # What they give is their layer's output, and recorded as such; of a block of layers the parts are recorded.
        serving = {
            id(getattr(named.layer, "activation", None)) for named in observers.names.layers if is_leaf(named.layer)
        }
        for named in observers.names.layers:
            if id(named.layer) not in serving:
                self._plan_layer(named)
        for metric in _metrics(model):
            self._taps.append((metric, "update_state", partial(self._tap_metric_update, metric)))
            self._taps.append((metric, "result", partial(self._tap_metric_result, metric)))
        self.optimizers = _optimizers(model, optimizers)
        """Those whose calls are tapped."""
        for optimizer in self.optimizers:
            self._taps.append((optimizer, "apply", partial(self._tap_apply, optimizer)))
        # One that scales the loss has another do its work.
        self._known = {id(part): part for each in self.optimizers for part in (each, innermost(each))}

    @property
    def _observer(self) -> Observer:
        return self._observers.current

    def _plan_layer(self, named: NamedLayer) -> None:
        layer, path = named.layer, named.path
        if isinstance(layer, _TRANSPARENT):
            self._taps.append((layer, "call", partial(self._tap_transparent, path)))
            return
        weights = isinstance(layer, keras.layers.Softmax) and path in self._inside_attention
        if weights or not (is_leaf(layer) or _owns_variables(layer)):
            if is_inlinable(layer.call):
                self._taps.append((layer, "call", partial(inlined, layer)))
            return
        if isinstance(layer, _ACTIVATION_LAYERS):
            card = describe(layer, activation_name(layer))
            self.activations[path] = card
            self._taps.append((layer, "call", partial(self._tap_activation, path, card, repeated=True)))
        elif callable(vars(layer).get("activation")):
            card = describe(layer.activation, activation_name(layer.activation))
            self.activations[path] = card
            repeated = isinstance(layer, keras.layers.Activation)
            tap = partial(self._tap_activation, path, card, repeated=repeated)
            if tells_apart(type(layer), "activation"):
                self._observer.trouble.report(
                    f"the activation of layer {path} is not recorded: {type(layer).__name__} looks at what kind it is"
                )
            else:
                self._taps.append((layer, "activation", lambda function: StandIn(tap(function), function)))
        if isinstance(layer, keras.layers.RNN):  # within the tap below, which tells where a tensor comes from
            self._taps.append((layer, "get_initial_state", partial(self._tap_initial_state, path, layer)))
            self._taps.append((layer, "call", partial(self._tap_sequence, path, layer)))
        self._taps.append((layer, "call", partial(self._tap_layer, path, layer)))

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put the taps in; whatever happens, take them out again."""
        before: list[tuple[dict[str, Any], str, bool, Any]] = []
        try:
            for target, name, wrap in self._taps:
                if not hasattr(target, name):
                    continue  # a layer that is trained in a loop of one's own has no train_step
                attributes = vars(target)
                before.append((attributes, name, name in attributes, attributes.get(name)))
                attributes[name] = wrap(getattr(target, name))
            unscaled, scaled = SCALINGS
            with (
                LOSSES.by(self._loss_called),
                GRADIENTS.by(self._gradient_called),
                unscaled.by(self._loss_scaled),
                scaled.by(self._loss_scaled),
                UPDATES.by(self._update_called),
                SCALED_UPDATES.by(self._update_called),
                RATES.by(self._rate_asked),
            ):
                yield
        finally:
            for attributes, name, existed, value in reversed(before):
                if existed:
                    attributes[name] = value
                else:
                    del attributes[name]

    # -- what stands in front of what --------------------------------------------------------------------------------

    def _tap_train_step(self, train_step: Callable[..., Any]) -> Callable[..., Any]:
        if self._compiled_step is not None:  # it has a graph of its own, and is to be observed in there
            return self._compiled_step

        def tapped(*args: Any, **kwargs: Any) -> Any:
            self._observer.begin()
            outputs = train_step(*args, **kwargs)
            self._observer.end_step(outputs, trust=False)
            return outputs

        return tapped

    def _tap_model_call(self, call: Callable[..., Any]) -> Callable[..., Any]:
        call = inlined(self._model, call)

        def tapped(*args: Any, **kwargs: Any) -> Any:
            self._observer.model_called(args)
            outputs = call(*args, **kwargs)
            self._observer.model_returned(outputs)
            return outputs

        return tapped

    def _tap_compute_loss(self, compute_loss: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*args: Any, **kwargs: Any) -> Any:
            loss = compute_loss(*args, **kwargs)
            losses = self._observer.losses
            losses.compiled_computed(loss, named=self._loss_is_named, summed=not _has_own_step(self._model))
            losses.losses_added(loss, self._added_losses)
            targets = kwargs.get("y", args[1] if len(args) > 1 else None)
            losses.targets_given(targets)
            losses.weights_given(targets, kwargs.get("sample_weight", args[3] if len(args) > 3 else None))
            return loss

        return tapped

    def _added_losses(self) -> list[Any]:
        """Of a loss that is put together in a way of the user's own nobody knows what was added."""
        plain = type(self._model).compute_loss is keras.Model.compute_loss
        # Each replica has its share of them, by a rule of Keras' own.
        return self._model.losses if plain and self._observer.collector.replica is None else []

    def _loss_called(self, loss: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[Any], None]:
        given = {**dict(zip(("y_true", "y_pred", "sample_weight"), args, strict=False)), **kwargs}

        def computed(value: Any) -> None:
            told = [given.get(name) for name in ("y_true", "y_pred", "sample_weight")]
            self._observer.losses.loss_called(loss, value, *told)

        return computed

    def _gradient_called(self, _tape: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[Any], None]:
        given = {**dict(zip(("target", "sources"), args, strict=False)), **kwargs}
        target, sources = given.get("target"), given.get("sources")
        return lambda gradients: self._observer.losses.gradient_taken(target, sources, gradients)

    def _loss_scaled(
        self, _optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Callable[[Any], None] | None:
        loss = args[0] if args else kwargs.get("loss")
        return lambda larger: self._observer.losses.loss_scaled(loss, larger)

    def _update_called(
        self, optimizer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Callable[[Any], None] | None:
        """An optimizer that the model does not know: a loop may have one for each of its networks."""
        given = {**dict(zip(("grads", "trainable_variables"), args, strict=False)), **kwargs}
        gradients, variables = given.get("grads"), given.get("trainable_variables")
        if variables is None and optimizer.built:
            variables = built_for(optimizer)
        # To look at an iterator would take from the call what it is about to go through.
        if not isinstance(gradients, (list, tuple)) or not isinstance(variables, (list, tuple)):
            return None
        if id(optimizer) in self._known:
            return None
        if (inner := getattr(optimizer, "inner_optimizer", None)) is not None:
            self._known[id(inner)] = inner
        handed = self._observer.optimizers.before_another(optimizer, gradients, variables)
        return None if handed is None else lambda _: self._observer.optimizers.after(handed)

    def _rate_asked(self, optimizer: Any, *_: Any) -> Callable[[Any], None]:
        return lambda rate: self._observer.optimizers.learning_rate.asked(optimizer, rate)

    def _tap_metric_update(self, metric: Any, update_state: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*args: Any, **kwargs: Any) -> Any:
            self._observer.losses.metric_updated(metric, args, kwargs)
            return update_state(*args, **kwargs)

        return tapped

    def _tap_metric_result(self, metric: Any, result: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*args: Any, **kwargs: Any) -> Any:
            value = result(*args, **kwargs)
            self._observer.losses.metric_read(metric, value)
            return value

        return tapped

    def _tap_transparent(self, path: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            self._observer.passed_through(path, args, outputs)
            return outputs

        return tapped

    def _tap_layer(self, path: str, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        card, call = self.activations.get(path), inlined(layer, call)
        # A ReLU's units can fall silent; of a layer of the user's own nobody knows.
        watch_units = card.shape == "rectifier" if card else not type(layer).__module__.startswith("keras.")

        def tapped(*args: Any, **kwargs: Any) -> Any:
            if self._observer.optimizers.compiled.rests(layer):
                kwargs["training"] = False
            outputs = call(*args, **kwargs)
            return self._observer.layer_called(path, layer, (args, kwargs), outputs, watch_units=watch_units)

        return tapped

    def _tap_initial_state(self, path: str, layer: Any, initial: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*args: Any, **kwargs: Any) -> Any:
            return self._observer.sequences.begun(path, layer, initial(*args, **kwargs))

        return tapped

    def _tap_sequence(self, path: str, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*args: Any, **kwargs: Any) -> Any:
            return self._observer.sequences.given(path, layer, call(*args, **kwargs))

        return tapped

    def _tap_activation(
        self, path: str, card: ActivationCard, function: Callable[..., Any], *, repeated: bool
    ) -> Callable[..., Any]:
        def tapped(z: Any, *args: Any, **kwargs: Any) -> Any:
            bare = partial(_apply, evaluable(function), args, kwargs)
            z = self._observer.activation_called(path, bare, card, z, repeated=repeated)
            return function(z, *args, **kwargs)

        return tapped

    def _tap_apply(self, optimizer: Any, apply: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(grads: Any, trainable_variables: Any = None, *args: Any, **kwargs: Any) -> Any:
            variables = built_for(optimizer) if trainable_variables is None else trainable_variables
            gradients, variables = self._observer.optimizers.compiled.trained(optimizer, list(grads), list(variables))
            handed = self._observer.optimizers.before_own(optimizer, gradients, variables)
            result = apply(gradients, variables if trainable_variables is not None else None, *args, **kwargs)
            self._observer.optimizers.after(handed)
            return result

        return tapped


def _apply(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], z: Any) -> Any:
    return function(z, *args, **kwargs)


def _owns_variables(layer: Any) -> bool:
    """Whether a layer of layers has trainable variables besides theirs, as an adapter around a frozen layer has."""
    parts = layer._flatten_layers(include_self=False)  # noqa: SLF001  Keras has no other list of them
    theirs = {id(variable) for part in parts for variable in part.variables}
    return any(id(variable) not in theirs for variable in layer.trainable_variables)


def is_leaf(layer: Any) -> bool:
    """Whether a layer is recorded as one: it has no parts that are layers, or runs them in a loop of its own."""
    if isinstance(layer, keras.layers.RNN):
        return True
    return not isinstance(layer, keras.Model) and not any(
        isinstance(part, keras.layers.Layer) and part is not getattr(layer, "activation", None)
        for part in layer._flatten_layers(include_self=False, recursive=False)  # noqa: SLF001
    )


def _metrics(model: Any) -> list[Any]:
    """The metrics by which a ``train_step`` of one's own may report its loss; Keras' own step needs none."""
    return [m for m in model.metrics if isinstance(m, keras.metrics.Metric)] if _has_own_step(model) else []


def _has_own_step(model: Any) -> bool:
    return isinstance(model, keras.Model) and type(model).train_step is not keras.Model.train_step


def _optimizers(model: Any, others: Iterable[Any]) -> list[Any]:
    """The model's optimizer, any it keeps as attributes of its own (a GAN has two), and the others, each once."""
    candidates = [getattr(model, "optimizer", None), *vars(model).values(), *others]
    found = {id(o): o for o in candidates if isinstance(o, keras.optimizers.Optimizer)}
    return list(found.values())
