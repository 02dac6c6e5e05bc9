"""CompiledStep: what a step that was compiled before goes on to train, whatever was frozen or thawed since."""

from __future__ import annotations

from typing import Any

from gradscope.errors import RecordingError
from gradscope.recording.frameworks import keras
from gradscope.recording.naming import Names
from gradscope.recording.optimizer_state import built_for
from gradscope.recording.trouble import Trouble
from gradscope.recording.written import Writes

__all__ = ["CompiledStep"]


class CompiledStep:
    """Keeps the sampled form of a compiled step to what that step does.

    A step trains the variables that were trainable when it was traced. The sampled form may be traced later, and must
    not train others.

    Args:
        trouble: takes what is left out.
        names: of the model's layers and variables.
    """

    def __init__(self, trouble: Trouble, names: Names) -> None:
        self.writes: Writes | None = None
        """What the step writes; None where it was not traced before its sampled form is: then both see the same."""
        self.left_out: set[str] = set()
        """Names of the variables that became trainable since."""
        self._trouble = trouble
        self._names = names

    def trained(self, optimizer: Any, gradients: list[Any], variables: list[Any]) -> tuple[list[Any], list[Any]]:
        """Of what the optimizer is handed, the part that the compiled step hands it.

        Raises:
            RecordingError: variables were frozen since, which the compiled step goes on to train; to go on would
                change the training.
        """
        writes = self.writes
        if writes is None:
            return gradients, variables
        self._refuse_frozen(writes, optimizer, variables)
        pairs = list(zip(gradients, variables, strict=True))
        # One without a gradient is written by no step, whenever it was traced.
        kept = [(gradient, variable) for gradient, variable in pairs if gradient is None or variable in writes]
        if len(kept) == len(pairs):
            return gradients, variables
        self._leave_out([variable for gradient, variable in pairs if gradient is not None and variable not in writes])
        return [gradient for gradient, _ in kept], [variable for _, variable in kept]

    def rests(self, layer: Any) -> bool:
        """Whether the layer is a batch normalisation that the compiled step calls as a frozen one."""
        return (
            self.writes is not None
            and isinstance(layer, keras.layers.BatchNormalization)
            and layer.built
            and layer.moving_mean not in self.writes
        )

    def _refuse_frozen(self, writes: Writes, optimizer: Any, variables: list[Any]) -> None:
        handed = Writes.of(variables)
        trainable = {id(variable) for variable in self._names.model.trainable_variables}
        frozen = [
            self._names.of(variable).name
            for variable in built_for(optimizer)
            if variable in writes and variable not in handed
            if id(variable) not in trainable and self._names.include(variable)
        ]
        if frozen:
            raise RecordingError(
                f"{', '.join(frozen)} were frozen after the model had been compiled, and its compiled step goes on to "
                "train them: call compile() again"
            )

    def _leave_out(self, variables: list[Any]) -> None:
        named = [self._names.of(variable).name for variable in variables]
        self.left_out.update(named)
        self._trouble.report(
            f"{', '.join(named)} became trainable after the model had been compiled, and its compiled step leaves them "
            "as they are: call compile() again"
        )
