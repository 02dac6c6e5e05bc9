"""Whether the network was new when recording began."""

from __future__ import annotations

import numpy as np

from gradscope.run import Run

__all__ = ["fresh_start"]


def fresh_start(run: Run) -> bool | None:
    """True where all biases are exactly zero at the first sample, as initialisers leave them; None without biases.

    One that is not zero was trained before, or set on purpose. Biases of recurrent layers are left out: those of a
    forget gate begin at one.
    """
    owners = {variable.name: variable for variable in run.model.variables}
    recurrent = {variable.layer for variable in run.model.variables if variable.role == "recurrent_kernel"}
    biases = [
        run.series("weight", name, "rms")
        for name in run.names("weight")
        if name in owners and owners[name].role == "bias" and owners[name].layer not in recurrent
    ]
    first = [bias[np.isfinite(bias)][:1] for bias in biases]
    known = [float(value[0]) for value in first if len(value)]
    return all(value == 0 for value in known) if known else None
