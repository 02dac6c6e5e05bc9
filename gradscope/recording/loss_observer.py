"""LossObserver: notes the loss of a step, what it is made of, and the targets.

Every entry point guards itself: what fails is reported, and the step goes on as if nobody had looked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradscope.recording.collector import Collector
from gradscope.recording.frameworks import tf
from gradscope.recording.gradient_calls import GradientCalls
from gradscope.recording.loop_arguments import targets_among
from gradscope.recording.loss_calls import LossCalls
from gradscope.recording.naming import Names, numbered, sizes
from gradscope.recording.origins import Origins
from gradscope.recording.reported_loss import ReportedLoss
from gradscope.recording.scope import scope
from gradscope.recording.tensors import is_floating, is_numeric, tensors_in
from gradscope.recording.trouble import Trouble
from gradscope.run import TensorKey

__all__ = ["LossObserver"]

_LOSS = ("step", "", "loss")
_CALLED_LOSS = ("step", "", "called_loss")
_LOSS_SCALE = ("step", "", "loss_scale")


class LossObserver:
    """Notes what a step says, computes and differentiates as its loss.

    Args:
        collector: takes what is noted.
        trouble: where failures go.
        names: of the model's variables.
        origins: which layers tensors came out of.
        is_output: whether what a layer gives is an output of the model.
    """

    def __init__(
        self,
        collector: Collector,
        trouble: Trouble,
        names: Names,
        origins: Origins,
        is_output: Callable[[str | None], bool],
    ) -> None:
        self.compiled = False
        """Whether the model's ``compute_loss`` gave a loss."""
        self.own = False
        """Whether the recorded loss is that of a step of one's own."""
        self.called: list[Mapping[str, Any]] = []
        """The losses that such a step called, as the model card has them; empty where it is not clear which judges
        what."""
        self.target_shapes: dict[str, list[int | None] | None] = {}
        """Of each recorded target, None for sizes that vary."""
        self.target_names: dict[int | str, str] = {}
        """Under which name each target was recorded, by its place or its key."""
        self.added = False
        """Whether penalties or losses of layers add to the compiled loss."""
        self.weighted = False
        """Whether the loss was given weights of the examples."""
        self.reported = ReportedLoss(lambda: collector.listening)
        self._collector = collector
        self._trouble = trouble
        self._origins = origins
        self._is_output = is_output
        self._calls = LossCalls()
        self._gradients = GradientCalls(names)
        self._compiled: list[Any] = []

    def forget(self) -> None:
        """A step starts, or is over."""
        self.reported.forget()
        self._calls.forget()
        self._gradients.forget()
        self._compiled.clear()

    def step_returned(self, outputs: Any, applied: Sequence[Any], *, trust: bool) -> None:
        """A step of one's own is over, and returned ``outputs``: see `ReportedLoss` for which loss they tell.

        Args:
            outputs: of any kind.
            applied: the gradients that optimizers were handed.
            trust: whether a loss returned as it is tells more than what the model's ``compute_loss`` did.
        """
        if not self._collector.listening:
            return
        with scope(), self._trouble.instead_of_raising("the loss that the step returns is not recorded"):
            loss, known = self.reported.of(outputs)
            if not known:
                loss, known = self._differentiated(loss, applied)
            if loss is not None and (trust or known or self._collector.noted_scalar(_LOSS) is None):
                self.own = True
                self.computed(loss)
                self._calls.read_off(loss, self._origins)
        with scope(), self._trouble.instead_of_raising("which losses the step computes is not recorded"):
            self._note_called()

    def _differentiated(self, reported: Any, applied: Sequence[Any]) -> tuple[Any, bool]:
        """The loss that the step differentiates, rather than what it returns, and whether ``compute_loss`` gave less.

        That the step reported, if nothing else is known. What the step itself scaled against underflow is not taken for
        a loss that is known without.
        """
        targets = self._gradients.targets(reported, applied)
        scale = None if self._gradients.are_unscaled else self._collector.noted_scalar(_LOSS_SCALE)
        if not targets or (scale is not None and (self.compiled or reported is not None)):
            return reported, False
        if self.compiled and all(any(target is loss for loss in self._compiled) for target in targets):
            return reported, False
        loss = _mean(targets)
        return (loss if scale is None else loss / scale), self.compiled

    def _note_called(self) -> None:
        if not self._calls.clear:
            return
        self._collector.scalar(_CALLED_LOSS, total := self._calls.total())
        if self.compiled:
            self.called = self._calls.describe()
            return
        if self._collector.noted_scalar(_LOSS) is None:
            self.own = True
            self.computed(total)
        for key in self._collector.noted("target"):
            self._collector.drop("target", key.name)
        self.target_shapes.clear()
        self.target_names.clear()
        self.targets_given(self._calls.targets)
        self.called = self._calls.describe()
        weights, targets = self._calls.weights, self._calls.targets
        self.weighted = bool(weights)
        if weights and len(targets) == 1:  # of several losses each may have weights of its own, or none
            self.weights_given(targets, weights[0])

    # -- what is seen of a step --------------------------------------------------------------------------------------

    def loop_called(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A step of a loop of one's own was called: note the targets, if it is plain which they are."""
        with scope(), self._trouble.instead_of_raising("the targets are not recorded"):
            self.targets_given(targets_among(function, args, kwargs))

    def targets_given(self, targets: Any) -> None:
        """What the loss compares the outputs with."""
        if not self._collector.listening:
            return
        with scope(), self._trouble.instead_of_raising("the targets are not recorded"):
            named = numbered("target", filter(is_numeric, tensors_in(targets)))
            self.target_names.update(_by_place(targets, {id(tensor): name for name, tensor in named}))
            for name, tensor in named:
                self._collector.tensor(TensorKey("target", name, "target"), tensor)
                self.target_shapes[name] = sizes(tensor)
                self._collector.example_std("target", name, tensor)

    def weights_given(self, targets: Any, weights: Any) -> None:
        """What each example counts for in the loss; None if all count alike."""
        self.weighted |= weights is not None
        if not self._collector.listening or weights is None:
            return
        with scope(), self._trouble.instead_of_raising("the weights of the examples are not recorded"):
            if not tf.is_tensor(weights) or not is_numeric(weights):
                return
            counts = _without_ones(weights)
            self._collector.scalar(("step", "", "example_weight"), tf.reduce_mean(counts))
            compared = [_without_ones(tensor) for tensor in tensors_in(targets) if is_numeric(tensor)]
            if len(compared) == 1 and compared[0].shape.rank == counts.shape.rank:
                # Multiplied as Keras multiplies losses by weights, so what does not fit never comes here.
                mean = tf.reduce_mean(counts * compared[0])
                self._collector.scalar(("target", "target", "weighted_mean"), mean)

    def computed(self, loss: Any) -> None:
        """The loss that will be differentiated."""
        if self._collector.listening:
            with scope(), self._trouble.instead_of_raising("the loss is not recorded"):
                self._collector.scalar(_LOSS, tf.reduce_sum(loss))

    def compiled_computed(self, loss: Any, *, named: bool, summed: bool) -> None:
        """The model's ``compute_loss`` gave that; if its function is none of Keras', see what it is made of.

        ``summed`` says that of a loss of each example the sum is differentiated, as Keras' own step does. Otherwise,
        and of several losses in one, nobody knows what the step makes of them.
        """
        if not is_floating(loss) or (loss.shape.rank != 0 and not summed):
            return
        self.computed(loss)
        self.compiled = True
        self._compiled.append(loss)
        self._calls.forget()
        if self._collector.listening and not named:
            with scope(), self._trouble.instead_of_raising("what the loss is made of is not recorded"):
                self._calls.read_off(loss, self._origins)

    def losses_added(self, loss: Any, added: Callable[[], list[Any]]) -> None:
        """To what the outputs cost ``compute_loss`` added those: penalties, and losses of layers."""
        if self._collector.listening:
            with scope(), self._trouble.instead_of_raising("the loss without what is added to it is not recorded"):
                parts = [tf.reduce_sum(tf.cast(part, tf.float32)) for part in added()]
                self.added = bool(parts)
                if parts:
                    self._collector.scalar(_CALLED_LOSS, tf.cast(loss, tf.float32) - tf.add_n(parts))

    def loss_called(self, loss: Any, value: Any, y_true: Any, y_pred: Any, weights: Any) -> None:
        """A Keras loss was computed, of an output of the model or of anything else."""
        if self._collector.listening and not self.compiled:
            with self._trouble.instead_of_raising("which losses the step computes is not recorded"):
                output = self._origins.of(y_pred)
                self._calls.called(loss, value, y_true, output if self._is_output(output) else None, weights)

    def gradient_taken(self, target: Any, sources: Any, gradients: Any) -> None:
        """A tape gave the gradient of something."""
        if self._collector.listening:
            with self._trouble.instead_of_raising("which loss the step differentiates is not recorded"):
                self._gradients.called(target, sources, gradients)

    def without_gradient(self, applied: Sequence[Any]) -> set[str]:
        """Names of the variables that the loss whose gradients are ``applied`` does not depend on, by its tape."""
        with self._trouble.instead_of_raising("which variables the loss does not depend on is not recorded"):
            return self._gradients.without_gradient(applied)
        return set()

    def loss_scaled(self, loss: Any, larger: Any) -> None:
        """An optimizer scaled a loss against underflow."""
        if self._collector.listening:
            self._gradients.scaled(loss, larger)

    def metric_updated(self, metric: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A metric of the model is about to be updated."""
        if self._collector.active:
            with scope(), self._trouble.instead_of_raising("what a metric was given is not recorded"):
                self.reported.metric_updated(metric, args, kwargs)

    def metric_read(self, metric: Any, result: Any) -> None:
        """A metric of the model gave its result."""
        if self._collector.active:
            self.reported.metric_read(metric, result)


def _without_ones(tensor: Any) -> Any:
    """The same numbers as float32, without a last axis of size 1: one for each example, or for each of its steps."""
    numbers = tf.cast(tensor, tf.float32)
    return tf.squeeze(numbers, -1) if (numbers.shape.rank or 0) > 1 and numbers.shape[-1] == 1 else numbers


def _mean(targets: list[Any]) -> Any:
    # A tape differentiates the sum of what it is given.
    losses = [target if target.shape.rank == 0 else tf.reduce_sum(target) for target in targets]
    return losses[0] if len(losses) == 1 else tf.add_n(losses) / len(losses)


def _by_place(targets: Any, names: Mapping[int, str]) -> dict[int | str, str]:
    """The names of the targets, known by their identity, by where they stand in a list or a dict."""
    places = targets.items() if isinstance(targets, Mapping) else enumerate(tf.nest.flatten(targets))
    return {place: names[id(target)] for place, target in places if id(target) in names}
