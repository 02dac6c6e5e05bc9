"""SampledStep: a second train function of a model that measures while it trains."""

from __future__ import annotations

from typing import Any

from gradscope.model_card import ModelCard
from gradscope.recording.collector import Collector, Measured
from gradscope.recording.frameworks import tf
from gradscope.recording.model_card import build_model_card
from gradscope.recording.naming import Names
from gradscope.recording.observer import SCOPE, Observer
from gradscope.recording.taps import Taps
from gradscope.recording.trouble import Trouble, describe_error

__all__ = ["SampledStep"]


def _is_the_models_own(error: Exception) -> bool:
    """Whether an error came up in the model's own operations while the graph ran.

    Then a batch has been taken from the data, and running another step would hide the error.
    """
    if not isinstance(error, tf.errors.OpError) or isinstance(error, tf.errors.ResourceExhaustedError):
        return False
    return SCOPE not in str(error)


class SampledStep:
    """The sampled train function of one model as it is now; a model that is compiled or rebuilt anew needs a new one.

    Args:
        model: compiled and built.
        own: the model's own train function, which the sampled one stands in for.
        trouble: where failures go.
    """

    def __init__(self, model: Any, own: Any, trouble: Trouble) -> None:
        self._model = model
        self._own = own
        self._trouble = trouble
        self._collector = Collector()
        self._observer = Observer(self._collector, trouble, Names(model))
        self._taps = Taps(model, self._observer)
        self._function: Any = None
        self.failed = False

    def fits(self, model: Any, own: Any) -> bool:
        """Whether this is still the sampled form of the model's train function."""
        return model is self._model and own is self._own

    def run(self, iterator: Any) -> tuple[Any, Measured | None]:
        """Run one step; returns what the model's own function would have, and what was measured.

        A failure of the sampled function is reported, and the model's own runs in its place.
        """
        try:
            with self._taps.installed():
                outputs = self._sampled_function()(iterator)
            return outputs, self._collector.read()
        except StopIteration:
            raise
        except Exception as error:
            if _is_the_models_own(error):
                raise
            # An error while tracing may still be the model's own: then its own function raises it again.
            outputs = self._own(iterator)
            self.failed = True
            self._trouble.report(f"recording stops, training goes on: a sampled step failed: {describe_error(error)}")
            return outputs, None

    def _sampled_function(self) -> Any:
        if self._function is None:
            # Made while the taps are in, so that it is built around the tapped train_step.
            self._function = self._model.make_train_function(force=True) or self._model.train_function
            self._model.train_function = self._own
        return self._function

    def model_card(self, settings: dict[str, Any]) -> ModelCard:
        """The card of the model, complete after the first run."""
        return build_model_card(self._model, self._observer, self._taps.activations, settings)
