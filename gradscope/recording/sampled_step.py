"""SampledStep: a second form of a training step that measures while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from gradscope.model_card import ModelCard
from gradscope.recording.collector import Measured
from gradscope.recording.frameworks import tf
from gradscope.recording.model_card import build_model_card
from gradscope.recording.naming import Names
from gradscope.recording.observer import Observer
from gradscope.recording.replicas import Observers
from gradscope.recording.scope import SCOPE
from gradscope.recording.taps import Taps
from gradscope.recording.trouble import Trouble, describe_error
from gradscope.recording.written import written_by

__all__ = ["SampledStep", "train_function"]

_Step = Callable[..., Any]
_NO_GRADIENTS = "gradients and updates are not recorded"


class SampledStep:
    """The sampled form of one step of one model as it is now; a model that is compiled anew needs a new one.

    Args:
        model: built, or built in its first step.
        own: the step as it is, which the sampled one stands in for.
        make: makes the sampled function, given the observer; called once, with the taps in.
        trouble: where failures go.
        optimizers: those that the model itself does not know.
        strategy: whose ``run`` the step calls by itself.
    """

    def __init__(
        self,
        model: Any,
        own: _Step,
        make: Callable[[Observer], _Step],
        trouble: Trouble,
        *,
        optimizers: Iterable[Any] = (),
        strategy: Any = None,
    ) -> None:
        self.model = model
        self._own = own
        self._make = make
        self._trouble = trouble
        names = Names(model)
        self._observers = Observers(trouble, names)
        self._layers = [id(named.layer) for named in names.layers]
        self._outgrown = False
        self._taps = Taps(model, self._observers, optimizers, strategy)
        self._function: _Step | None = None
        self._card: ModelCard | None = None
        self._gradients_seen = False
        self.failed = False

    @property
    def is_new(self) -> bool:
        """Whether it has not run yet, and will be traced when it does."""
        return self._function is None

    @property
    def observer(self) -> Observer:
        """The observer for where the caller stands."""
        return self._observers.current

    def stands_for(self, model: Any, own: _Step) -> bool:
        """Whether this is the sampled form of that step; not of one whose model has got more layers since."""
        return model is self.model and own is self._own and not self._outgrown

    def run(self, *args: Any, **kwargs: Any) -> tuple[Any, Measured | None]:
        """Run one step; returns what the step itself would have, and what was measured.

        A failure of the sampled function is reported, and the step itself runs in its place.
        """
        first = self.is_new
        applied = self._times_applied()
        try:
            with self._taps.installed():
                if self._function is None:
                    self._function = self._make(self.observer)
                outputs = self._function(*args, **kwargs)
            if first:  # layers may make their parts when they are built, which is in the model's first step
                self._outgrown = self._layers != [id(named.layer) for named in Names(self.model).layers]
            failure = self._observers.failure
            if failure is not None:
                self._fail(failure)
                return outputs, None
            return outputs, self._checked(self._observers.read(), applied)
        except StopIteration:
            raise
        except Exception as error:
            if _is_the_models_own(error):
                raise
            # An error while tracing may still be the model's own: then its own step raises it again.
            outputs = self._own(*args, **kwargs)
            self._fail(error)
            return outputs, None

    def _times_applied(self) -> list[int]:
        """How often each optimizer was applied so far; not asked any more once gradients have been seen."""
        if self._gradients_seen:
            return []
        with suppress(Exception):  # one of a user's own may count in a way of its own
            return [int(optimizer.iterations.numpy()) for optimizer in self._taps.optimizers]
        return []

    def _checked(self, measured: Measured | None, applied: list[int]) -> Measured | None:
        """What was measured; if an optimizer was applied in the step that just ran and nobody heard of it, say so."""
        if measured is None or self._gradients_seen:
            return measured
        self._gradients_seen = any(key.kind == "gradient" for key in measured.layout.tensors)
        said = any(text.startswith(_NO_GRADIENTS) for text in self._trouble.texts)
        if not said and not self._gradients_seen and self._times_applied() != applied:
            self._trouble.report(
                f"{_NO_GRADIENTS}: the step calls an optimizer's apply that was looked up before"
                " it (apply = optimizer.apply): write optimizer.apply(...) inside the step"
            )
        return measured

    def _fail(self, error: Exception) -> None:
        self.failed = True
        self._trouble.report(f"recording stops, training goes on: a sampled step failed: {describe_error(error)}")

    @property
    def loss_metric(self) -> Any:
        """The metric that keeps a running mean of the loss, where a ``train_step`` of one's own reports it; or None."""
        return self._observers.first.losses.reported.metric

    def sibling(self, make: Callable[[Observer], _Step]) -> SampledStep:
        """Something else that measures the same model."""
        return SampledStep(self.model, lambda: None, make, self._trouble)

    def measure(self) -> Measured | None:
        """Run the function, which takes nothing and trains nothing; returns what was measured.

        Raises:
            Exception: whatever the function raises.
        """
        with self._taps.installed():
            if self._function is None:
                self._function = self._make(self.observer)
            self._function()
        return self._observers.read()

    def model_card(self, settings: dict[str, Any]) -> ModelCard:
        """The card of the model, complete after the first run; the same object from then on."""
        if self._card is None:
            self._card = build_model_card(self.model, self._observers.first, self._taps.activations, settings)
        return self._card


def train_function(model: Any) -> Callable[[Observer], _Step]:
    """Makes the sampled form of a compiled model's train function; the taps wrap the train_step in it."""

    def make(observer: Observer) -> _Step:
        own = model.train_function
        observer.optimizers.compiled.writes = written_by(own)
        try:
            # Keras up to 3.14 returns nothing, later versions neither; the function is set on the model.
            model.make_train_function(force=True)
            sampled: _Step = model.train_function
        finally:
            model.train_function = own
        return sampled

    return make


def _is_the_models_own(error: Exception) -> bool:
    """Whether an error came up in the model's own operations while the graph ran.

    Then a batch has been taken from the data, and running another step would hide the error.
    """
    if not isinstance(error, tf.errors.OpError) or isinstance(error, tf.errors.ResourceExhaustedError):
        return False
    return SCOPE not in str(error)
