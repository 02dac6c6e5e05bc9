"""CompiledStep: what a step that was compiled before goes on to train, whatever was frozen or thawed since."""

from __future__ import annotations

from typing import Any

from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras
from gradscope.recording.naming import Names
from gradscope.recording.optimizer_state import built_for, innermost
from gradscope.recording.trouble import Trouble

__all__ = ["CompiledStep"]


class CompiledStep:
    """Keeps the sampled form of a compiled step to what that step does.

    A step trains the variables that were trainable when it was traced, and its optimizer was built for those. The
    sampled form may be traced later, and must not train others.

    Args:
        trouble: takes what is left out.
        names: of the model's layers and variables.
    """

    def __init__(self, trouble: Trouble, names: Names) -> None:
        self.ran_before = False
        """Whether the step was traced before its sampled form is; else both see the same."""
        self.left_out: set[str] = set()
        """Names of the variables that became trainable since."""
        self._trouble = trouble
        self._names = names

    def trained(self, optimizer: Any, gradients: list[Any], variables: list[Any]) -> tuple[list[Any], list[Any]]:
        """Of what the optimizer is handed, the part that the compiled step hands it.

        Raises:
            RecordingError: variables were frozen since, which the compiled step goes on to train, or normalisations
                thawed that a step of one's own has called already. To go on would change the training.
        """
        optimizer = innermost(optimizer)
        if not (self.ran_before and getattr(optimizer, "built", False)):
            return gradients, variables
        self._refuse_frozen(optimizer, variables)
        known = _known_to(optimizer)
        keys = [optimizer._var_key(variable) for variable in variables]  # noqa: SLF001  as the optimizer tells them apart
        unknown = [variable for key, variable in zip(keys, variables, strict=True) if key not in known]
        if not unknown:
            return gradients, variables
        self._leave_out(unknown)
        pairs = [pair for key, *pair in zip(keys, gradients, variables, strict=True) if key in known]
        return [gradient for gradient, _ in pairs], [variable for _, variable in pairs]

    def rests(self, layer: Any) -> bool:
        """Whether the layer is a batch normalisation that the compiled step calls as a frozen one.

        That can be told only of Keras' own ``train_step``, where one optimizer trains all that is trainable.
        """
        if not (self.ran_before and isinstance(layer, keras.layers.BatchNormalization)):
            return False
        model = self._names.model
        optimizer = innermost(model.optimizer)
        if type(model).train_step is not keras.Model.train_step or not getattr(optimizer, "built", False):
            return False
        known = _known_to(optimizer)
        own = [optimizer._var_key(variable) for variable in layer.trainable_variables]  # noqa: SLF001  likewise
        return bool(own) and known.isdisjoint(own)

    def _refuse_frozen(self, optimizer: Any, variables: list[Any]) -> None:
        handed = {optimizer._var_key(variable) for variable in variables}  # noqa: SLF001  likewise
        trainable = {id(variable) for variable in self._names.model.trainable_variables}
        frozen = [
            self._names.of(variable).name
            for variable in built_for(optimizer)
            if optimizer._var_key(variable) not in handed  # noqa: SLF001  likewise
            if id(variable) not in trainable and self._names.include(variable)
        ]
        if frozen:
            raise RecordingError(
                f"{', '.join(frozen)} were frozen after the model had been compiled, and its compiled step goes on to "
                "train them: call compile() again"
            )

    def _leave_out(self, unknown: list[Any]) -> None:
        named = [self._names.of(variable) for variable in unknown]
        layers = {item.layer: self._names.layer(item.layer) for item in named}
        called = [
            path
            for path, layer in layers.items()
            if isinstance(layer, keras.layers.BatchNormalization) and not self.rests(layer)
        ]
        if called:
            raise RecordingError(
                f"{', '.join(called)} became trainable after the model had been compiled, and its compiled step leaves "
                "their moving statistics as they are: call compile() again"
            )
        self.left_out.update(item.name for item in named)
        self._trouble.report(
            f"{', '.join(item.name for item in named)} became trainable after the model had been compiled, and its "
            "compiled step leaves them as they are: call compile() again"
        )


def _known_to(optimizer: Any) -> frozenset[Any]:
    """What tells the variables apart that an optimizer was built for."""
    return frozenset(optimizer._var_key(variable) for variable in built_for(optimizer))  # noqa: SLF001  likewise
